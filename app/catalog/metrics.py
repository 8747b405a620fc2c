"""Billable metrics: their definition as a core value, and their creation.

Owns the mapping row -> `core.Metric` and the moment from which a metric sees new events. Metrics see all retained
events; the buckets of the earlier ones are filled by a job of the usage slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from app.catalog.definitions import check_filters, check_keys, check_money, checked_aggregation, checked_values
from app.catalog.outcomes import NewOutcome, checked_outcome, outcome_shown
from app.catalog.sql_compiling import query_alone
from app.catalog.tables import MetricRow
from app.change import note_change
from app.checks import name_of
from app.core.terms import Aggregation, Metric, MoneyOf, PropertyFilter
from app.custom_fields.service import insert_custom_fields
from app.jobs.service import enqueue
from app.store import locks, unique
from app.usage.tables import IngestBatch

BACKFILL_JOB = "usage.backfill"

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
        money=money_of(row),
        outcome=row.outcome,
        query=row.query,
    )


def money_of(row: MetricRow) -> MoneyOf | None:
    """The money that the metric measures, if it does."""
    if row.money_currency is None and row.money_currency_property is None:
        return None
    return MoneyOf(row.money_currency, row.money_currency_property)


async def create_metric(
    session: AsyncSession,
    *,
    name: str,
    aggregation: str | None = None,
    key: str | None = None,
    sql: str | None = None,
    event_types_in: Sequence[str] | None = None,
    event_types_not_in: Sequence[str] | None = None,
    filters: Sequence[PropertyFilter] = (),
    group_keys: Sequence[Sequence[str]] = (),
    money: MoneyOf | None = None,
    outcome: NewOutcome | None = None,
    custom_fields: Mapping[str, str] | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> MetricRow:
    """A new metric over all events that are kept, earlier ones included. Its definition never changes.

    It is either a query, `sql`, or an aggregation with all the rest. Errors: INVALID, REQUIRED, NOT_SUPPORTED,
    SQL_NOT_ALLOWED, `LimitExceeded`, `Conflict`.
    """
    query = None
    if sql is not None:
        others = (
            aggregation,
            key,
            event_types_in,
            event_types_not_in,
            filters or None,
            group_keys or None,
            money,
            outcome,
        )
        query = query_alone(sql, others)
        group_keys = [query.keys] if query.keys else []
    check_filters(filters)
    check_keys(group_keys)
    check_money(money, aggregation=aggregation, group_keys=group_keys)
    counted_by = checked_aggregation(aggregation, key, is_query=query is not None)
    row = MetricRow(
        created_at=now,
        name=name_of(name, path=("input", "name")),
        aggregation=counted_by,
        key=key,
        sql=sql,
        query=query,
        event_types_in=checked_values(event_types_in, path=("input", "eventTypes")),
        event_types_not_in=checked_values(event_types_not_in, path=("input", "eventTypesNotIn")),
        filters=[_filter_to_json(condition) for condition in filters],
        group_keys=[list(names) for names in group_keys],
        money_currency=None if money is None else money.currency,
        money_currency_property=None if money is None else money.currency_property,
        outcome=checked_outcome(counted_by, outcome),
        uniqueness_key=uniqueness_key,
    )
    async with unique.once(session, MetricRow, uniqueness_key):
        fields = await _insert(session, row, custom_fields)
    note_change(session, "metric", row.id, after=_metric_shown(row) | fields)
    return row


async def _insert(session: AsyncSession, row: MetricRow, custom_fields: Mapping[str, str] | None) -> dict[str, object]:
    """Store the metric, and have its buckets filled where events came before it; what the audit log says of its fields."""
    # No ingest runs beside this: whoever comes later measures with the new metric, and whoever came earlier has a
    # batch number up to the highest one in sight.
    await locks.lock_named(session, METRICS_LOCK)
    newest = select(func.max(IngestBatch.number)).where(IngestBatch.accepted > 0)
    row.events_before_batch = (await session.execute(newest)).scalar_one() or 0
    # Only what adds up has buckets.
    row.buckets_ready = row.events_before_batch == 0 or not Aggregation(row.aggregation).is_additive
    session.add(row)
    await session.flush()
    fields = await insert_custom_fields(session, row, custom_fields)
    if not row.buckets_ready:
        await enqueue(session, BACKFILL_JOB, {"metric": str(row.id)})
    return fields


def _filter_to_json(condition: PropertyFilter) -> dict[str, object]:
    return {
        "name": condition.name,
        "exists": condition.exists,
        "in_values": list(condition.in_values),
        "not_in_values": list(condition.not_in_values),
    }


def _metric_shown(row: MetricRow) -> dict[str, object]:
    return {
        "name": row.name,
        "aggregation": row.aggregation,
        "aggregationKey": row.key,
        "sql": row.sql,
        "eventTypes": row.event_types_in,
        "eventTypesNotIn": row.event_types_not_in,
        "filters": row.filters,
        "groupKeys": row.group_keys,
        "money": row.money_currency or row.money_currency_property,
        "outcome": outcome_shown(row.outcome),
    }
