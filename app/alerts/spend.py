"""What spend alerts read: usage charges of the running statements, of all or for each value of group keys.

Owns the rating of a sub-spend, in which the keys are presentation keys, so that tiers begin anew for each value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from sqlmodel import select

from app.alerts.snapshot import Snapshot
from app.alerts.tables import AlertRow
from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.alert_readings import presented_by, spend_by, spend_of
from app.core.alerts import Reading, Subject
from app.core.metering import group_names
from app.core.money import ZERO, exact
from app.invoices.drafts import RatedStatement, rate

MAX_VALUES = 5_000
"""Values of a key that are watched, by key; what comes after them is not."""


async def spend(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
    """Usage charges of the current statements before balances, in the alert's unit."""
    drafts = await snapshot.drafts(row, current=True)
    if not drafts:
        return []
    unit = str(row.unit)
    if row.group_values:
        return await _by_group(snapshot, row, drafts, unit)
    with exact():
        return [Reading(sum((spend_of(item.draft.lines, unit) for item in drafts), ZERO))]


async def _by_group(snapshot: Snapshot, row: AlertRow, drafts: Sequence[RatedStatement], unit: str) -> list[Reading]:
    keys = sorted(str(item["key"]) for item in row.group_values)
    fixed = {item["key"]: item["value"] for item in row.group_values if item["value"] is not None}
    offering = await _offering(snapshot, keys)
    found: dict[Subject, Decimal] = {}
    for item in drafts:
        terms = presented_by(item.terms, keys, offering)
        # Fees have no usage, and may be of products that were left out.
        rated = await rate(snapshot.session, replace(item.statement, items=()), terms=terms)
        snapshot.together.rated += 1
        for subject, amount in spend_by(rated.draft.lines, unit, keys).items():
            if fixed.items() <= dict(subject).items():
                with exact():
                    found[subject] = found.get(subject, ZERO) + amount
    return [Reading(amount, subject) for subject, amount in sorted(found.items())[:MAX_VALUES]]


async def _offering(snapshot: Snapshot, keys: Sequence[str]) -> set[UUID]:
    """The metrics that have all of these keys among their group keys."""
    rows = (await snapshot.session.execute(select(MetricRow))).scalars()
    return {row.id for row in rows if set(keys) <= set(group_names(metric_of(row)))}
