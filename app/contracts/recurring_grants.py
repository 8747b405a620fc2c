"""Recurring commits and credits of a contract: their rows.

Owns their way into the database. What one may say is checked by `recurring_rules.py`; children are made by
`recurring_children.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from app.checks import Path, at_most
from app.contracts.new_recurring import NewRecurringGrant
from app.contracts.recurring_past import check_begun
from app.contracts.recurring_rules import check_recurring, checked_interval
from app.contracts.seat_links import seats_of
from app.contracts.tables import Contract
from app.core import grants, overrides
from app.custom_fields.service import insert_custom_fields
from app.grants import child_access, references, sharing
from app.grants.tables import RecurringGrantRow

MAX_RECURRING = 100


async def insert_recurring_grants(
    session: AsyncSession, contract: Contract, entries: Sequence[NewRecurringGrant], *, path: Path, now: datetime
) -> list[RecurringGrantRow]:
    """Check and store them, in the order given.

    Errors: those of `check_recurring`, `check_references` and `insert_custom_fields`; `LimitExceeded` above 100, or above
    1,000 periods that have begun.
    """
    if not entries:
        return []
    held = await session.execute(select(func.count()).where(RecurringGrantRow.contract_id == contract.id))
    at_most(range(held.scalar_one() + len(entries)), MAX_RECURRING, path=path)
    rows: list[RecurringGrantRow] = []
    seats: dict[UUID, int] = {}
    for index, entry in enumerate(entries):
        place = (*path, str(index))
        specimen = check_recurring(entry, contract, path=place)
        await references.check_references(session, contract.customer_id, specimen, path=place)
        await sharing.check_sharing(session, contract, entry.child.sharing, path=(*place, "childAccess"))
        rows.append(_row(contract, entry, path=place, now=now))
        if entry.link is not None:
            seats[entry.id] = await seats_of(session, contract, entry.link, path=(*place, "subscription"))
    check_begun(rows, contract, seats, path=path, now=now)
    session.add_all(rows)
    await session.flush()
    for index, (row, entry) in enumerate(zip(rows, entries, strict=True)):
        place = (*path, str(index), "customFields")
        await insert_custom_fields(session, row, entry.child.custom_fields, path=place)
    return rows


def _row(contract: Contract, entry: NewRecurringGrant, *, path: Path, now: datetime) -> RecurringGrantRow:
    child, price = entry.child, entry.invoice_amount
    access, named = child_access.columns_of(child.sharing)
    start, end = checked_interval(entry.starting_at, entry.ending_before, contract, path=path)
    return RecurringGrantRow(
        id=entry.id,
        created_at=now,
        contract_id=contract.id,
        type=child.type,
        product_id=child.product_id,
        name=child.name,
        description=child.description,
        unit=child.unit,
        access_unit_price=entry.access_amount.unit_price,
        access_quantity=entry.access_amount.quantity,
        invoice_unit=entry.invoice_unit,
        invoice_unit_price=None if price is None else price.unit_price,
        invoice_quantity=None if price is None else price.quantity,
        starting_at=start,
        ending_before=end,
        frequency=entry.frequency,
        duration=entry.duration,
        proration=entry.proration,
        priority=grants.DEFAULT_PRIORITY if child.priority is None else child.priority,
        product_ids=[str(product_id) for product_id in child.scope.product_ids],
        tags=list(child.scope.tags),
        specifiers=[overrides.specifier_to_json(specifier) for specifier in child.scope.specifiers],
        rate_type=child.rate_type,
        rollover_fraction=child.rollover_fraction,
        child_access=access,
        child_contract_ids=named,
        subscription_id=None if entry.link is None else entry.link.subscription_id,
        allocation=None if entry.link is None else entry.link.allocation,
        prorate_seat_increases=entry.link is not None and entry.link.prorate_increases,
    )
