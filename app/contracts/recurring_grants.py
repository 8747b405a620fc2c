"""Recurring commits and credits of a contract: what one may say, and its row.

Owns the refusals. A definition is checked as the child that a whole period of it would make; children themselves are made
by `recurring_children.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path, at_most, interval_of, within
from app.contracts.new_recurring import NewRecurringGrant
from app.contracts.tables import Contract
from app.core.fees import ScheduledItem
from app.core.grants import DEFAULT_PRIORITY, GrantType
from app.core.overrides import specifier_to_json
from app.core.period import HOUR
from app.errors import ErrorCode, InvalidInput
from app.grants import references
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule, check_grant
from app.grants.tables import RecurringGrantRow

MAX_RECURRING = 100
MAX_DURATION = 120


async def insert_recurring_grants(
    session: AsyncSession, contract: Contract, entries: Sequence[NewRecurringGrant], *, path: Path, now: datetime
) -> list[RecurringGrantRow]:
    """Check and store them, in the order given. Errors: those of a commit or credit, and INVALID_INTERVAL, INVALID."""
    at_most(entries, MAX_RECURRING, path=path)
    rows = [
        await _checked_row(session, contract, entry, path=(*path, str(index)), now=now)
        for index, entry in enumerate(entries)
    ]
    session.add_all(rows)
    await session.flush()
    return rows


async def _checked_row(
    session: AsyncSession, contract: Contract, entry: NewRecurringGrant, *, path: Path, now: datetime
) -> RecurringGrantRow:
    child, access, price = entry.child, entry.access_amount, entry.invoice_amount
    start, end = interval_of(entry.starting_at or contract.starting_at, entry.ending_before, path=path)
    assert start is not None
    if child.type is GrantType.POSTPAID or (child.type is GrantType.CREDIT and price is not None):
        raise InvalidInput(
            ErrorCode.INVALID,
            "What recurs is a PREPAID commit, or a CREDIT that nobody pays for.",
            path=(*path, "type"),
        )
    within(entry.duration, low=1, high=MAX_DURATION, path=(*path, "duration"))
    for name, amount in (("accessAmount", access), ("invoiceAmount", price)):
        if amount is not None and (amount.unit_price < 0 or amount.quantity < 0):
            raise InvalidInput(ErrorCode.INVALID, f"{name} is 0 or more.", path=(*path, name))
    specimen = NewGrant(
        type=child.type, segments=[NewSegment(access.unit_price, start, start + HOUR)], product_id=child.product_id,
        name=child.name, unit=child.unit, priority=child.priority, scope=child.scope, rate_type=child.rate_type,
        rollover_fraction=child.rollover_fraction, payment=_specimen_payment(entry, start),
    )  # fmt: skip
    check_grant(specimen, of_customer=False, path=path)
    await references.check_references(session, contract.customer_id, specimen, path=path)
    return RecurringGrantRow(
        id=entry.id,
        created_at=now,
        contract_id=contract.id,
        type=child.type,
        product_id=child.product_id,
        name=child.name,
        unit=child.unit,
        access_unit_price=access.unit_price,
        access_quantity=access.quantity,
        invoice_unit=entry.invoice_unit,
        invoice_unit_price=None if price is None else price.unit_price,
        invoice_quantity=None if price is None else price.quantity,
        starting_at=start,
        ending_before=end,
        frequency=entry.frequency,
        duration=entry.duration,
        proration=entry.proration,
        priority=DEFAULT_PRIORITY if child.priority is None else child.priority,
        product_ids=[str(product_id) for product_id in child.scope.product_ids],
        tags=list(child.scope.tags),
        specifiers=[specifier_to_json(specifier) for specifier in child.scope.specifiers],
        rate_type=child.rate_type,
        rollover_fraction=child.rollover_fraction,
    )


def _specimen_payment(entry: NewRecurringGrant, start: datetime) -> PaymentSchedule | None:
    """What a child's payment would be: refused now, not in a run that finalizes."""
    price = entry.invoice_amount
    if price is None:
        return None
    return PaymentSchedule((ScheduledItem(start, price.unit_price, price.quantity),), entry.invoice_unit)
