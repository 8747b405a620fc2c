"""Our side of a reconciliation with a marketplace: slots of a period, summed as the marketplace sums them.

Owns which slots count. What the marketplace shows is read by `reconciling.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core import reconciliation as core
from app.core.money import exact
from app.core.period import Period
from app.delivery.documents import metering_document
from app.delivery.states import SlotStatus
from app.delivery.tables import MeteringSlot
from connectors.base import UsageRecord


async def slots_of(session: AsyncSession, connection: str, period: Period) -> list[MeteringSlot]:
    """The slots of hours in the period that the marketplace may count."""
    found = await session.execute(
        select(MeteringSlot).where(
            MeteringSlot.connection == connection,
            MeteringSlot.status != SlotStatus.REFUSED,
            MeteringSlot.hour >= period.starting_at,
            col(MeteringSlot.hour) < period.ending_before,
        )
    )
    return list(found.scalars())


def worth_of(rows: Sequence[MeteringSlot]) -> Mapping[str | None, Decimal]:
    """What the slots that were accepted are worth, by currency."""
    with exact():
        return core.totals(
            (row.currency, row.quantity * row.unit_price) for row in rows if row.status == SlotStatus.ACCEPTED
        )


def days_of(
    rows: Sequence[MeteringSlot], shown: Mapping[str, Decimal], listed_as: Callable[[UsageRecord], str]
) -> list[core.Ours]:
    """Our slots summed as the marketplace sums them. Slots without an answer count where they make both sides equal."""
    accepted: dict[str, Decimal] = {}
    unanswered: dict[str, Decimal] = {}
    for row in rows:
        [record] = metering_document([row]).records
        sums = accepted if row.status == SlotStatus.ACCEPTED else unanswered
        with exact():
            sums[listed_as(record)] = sums.get(listed_as(record), Decimal(0)) + row.quantity
    days: list[core.Ours] = []
    for reference in sorted({*accepted, *unanswered}):
        sure, open_ = accepted.get(reference, Decimal(0)), unanswered.get(reference, Decimal(0))
        is_open = open_ > 0 and (sure == 0 or shown.get(reference) == sure + open_)
        expected = core.Expected.OPEN if is_open else core.Expected.THERE
        days.append(core.Ours(reference, sure + open_ if is_open else sure, None, expected))
    return days
