"""Billable metrics: their definition as a core value, and their creation.

Owns the mapping row -> `core.Metric` and the moment from which a metric sees new events. Metrics see all retained
events; the buckets of the earlier ones are filled by a job of the usage slice.
"""

from __future__ import annotations

from app.catalog.tables import MetricRow
from app.core.terms import Aggregation, Metric, PropertyFilter

METRICS_LOCK = "metrics"
"""Shared by ingest, taken whole by the creation of a metric: every event is measured by each metric or known to be
older than it."""


def metric_of(row: MetricRow) -> Metric:
    """The definition as the core reads it."""
    return Metric(
        id=row.id,
        name=row.name,
        aggregation=Aggregation(row.aggregation),
        key=row.key,
        event_types_in=tuple(row.event_types_in or ()),
        event_types_not_in=tuple(row.event_types_not_in or ()),
        filters=tuple(
            PropertyFilter(
                name=item["name"],
                exists=item.get("exists"),
                in_values=tuple(item.get("in_values") or ()),
                not_in_values=tuple(item.get("not_in_values") or ()),
            )
            for item in row.filters
        ),
        group_keys=tuple(tuple(names) for names in row.group_keys),
    )
