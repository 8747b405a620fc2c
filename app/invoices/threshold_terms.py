"""The terms of the commit that a threshold buys (semantics 4.11): what it grants, from when to when, and what it costs.

Owns that mapping.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract, ThresholdRow
from app.contracts.terms import contract_period, schedule_of
from app.contracts.threshold_reading import rate_of
from app.core.fees import ScheduledItem
from app.core.grants import GrantType, PaymentGate
from app.core.money import ONE, fiat, round_total
from app.core.overrides import specifier_from_json
from app.core.period import Frequency, Period, floor_hour, statement_period_at, step
from app.core.thresholds import ThresholdKind
from app.grants import definitions


async def commit_of(
    session: AsyncSession,
    contract: Contract,
    row: ThresholdRow,
    amount: Decimal,
    gate: PaymentGate | None,
    *,
    now: datetime,
) -> definitions.NewGrant | None:
    """The commit; None when its unit cannot be paid for any more."""
    if row.unit == contract.currency:
        # What is granted is what is paid, and an invoice is in whole smallest units.
        amount = round_total(amount, fiat(contract.currency))
        paid = ScheduledItem(now, amount, ONE)
    else:
        rate = await rate_of(session, contract, row.unit)
        if rate is None:
            return None
        paid = ScheduledItem(now, rate, amount)
    access = _access(contract, row, now=now)
    assert access.ending_before is not None, "what is bought has an end"
    return definitions.NewGrant(
        type=GrantType.PREPAID,
        segments=[definitions.NewSegment(amount, access.starting_at, access.ending_before)],
        product_id=row.product_id,
        name=row.name,
        description=row.description,
        unit=row.unit,
        priority=row.priority,
        scope=definitions.Scope(
            product_ids=[UUID(item) for item in row.product_ids],
            tags=row.tags,
            specifiers=[specifier_from_json(item) for item in row.specifiers],
        ),
        payment=definitions.PaymentSchedule((paid,), contract.currency),
        gate=gate,
        threshold_id=row.id,
    )


def _access(contract: Contract, row: ThresholdRow, *, now: datetime) -> Period:
    """The current statement for what was spent; else from this hour on, for months, and as long as the contract."""
    period = contract_period(contract)
    if row.kind == ThresholdKind.SPEND:
        found = statement_period_at(schedule_of(contract), contract=period, at=now)
    else:
        start = floor_hour(now)
        found = Period(start, step(start, Frequency.MONTHLY, row.access_months)).intersect(period)
    assert found is not None, "the contract runs now"
    return found
