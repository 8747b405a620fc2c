"""What usage alerts read: a metric over the running statements of a customer."""

from __future__ import annotations

from app.alerts.snapshot import Snapshot
from app.alerts.tables import AlertRow
from app.catalog.tables import MetricRow
from app.core.alerts import Reading
from app.core.invoice import InvoiceType
from app.core.money import ZERO, exact
from app.core.period import Period
from app.usage.metric_hours import HoursAsked, MetricReading, hours_of_metrics
from app.usage.references import references_of


async def usage(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """The metric's value from the earliest start to the latest end of the statements of now; no data without one."""
    running = [
        item.period
        for item in (await snapshot.book()).open
        if item.type is InvoiceType.USAGE
        and item.contract.customer_id == snapshot.customer_id
        and item.period.contains(snapshot.now)
    ]
    if not running:
        return []
    ends = [period.ending_before for period in running if period.ending_before is not None]
    period = Period(min(period.starting_at for period in running), max(ends))
    assert row.metric_id is not None, "a usage alert watches a metric"
    metric = MetricReading(await snapshot.session.get_one(MetricRow, row.metric_id))
    references = await references_of(snapshot.session, snapshot.customer_id)
    [hours] = await hours_of_metrics(snapshot.session, [HoursAsked([metric], references, period)])
    with exact():
        return [Reading(sum((hour.quantity for group in hours[metric.split].values() for hour in group), ZERO))]
