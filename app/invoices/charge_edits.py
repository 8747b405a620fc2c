"""Scheduled charges, changed or taken out of their contract: as far as final invoices allow.

Owns both changes of semantics 4.2. An instalment that is final stays as it is; one that is moved to a date with a final
invoice gets a further invoice, because an invoice is never added to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts.changing import changeable_charge
from app.contracts.charge_rules import NewCharge, schedule_of
from app.contracts.fees import charge_of
from app.contracts.tables import Contract
from app.core.fees import RecurringSchedule, ScheduledItem
from app.core.scheduled import scheduled_items
from app.invoices.payment_guards import by_place, check_absent, check_items, of_charge


@dataclass(frozen=True, slots=True)
class ChargeChange:
    """The schedule that takes the place of a charge's: items, or one that recurs."""

    charge_id: UUID
    items: Sequence[ScheduledItem] = ()
    recurring: RecurringSchedule | None = None


async def update_charge(session: AsyncSession, contract: Contract, change: ChargeChange, *, path: Path) -> None:
    """Give a charge another schedule; drafts follow at once.

    Errors: `NotFound`, ARCHIVED, those of `schedule_of`, ALREADY_FINALIZED naming the invoice that has an instalment
    which would change or go.
    """
    row = await changeable_charge(session, contract, change.charge_id, path=(*path, "id"))
    entry = NewCharge(product_id=row.product_id, items=change.items, recurring=change.recurring)
    coming = replace(charge_of(row), schedule=schedule_of(entry, contract, path=path))
    await check_items(
        session, of_charge(row.id), by_place(scheduled_items(coming), row.unit), what="instalment", path=path
    )
    row.schedule = coming.schedule
    await session.flush()


async def archive_charge(
    session: AsyncSession, contract: Contract, charge_id: UUID, *, path: Path, now: datetime
) -> None:
    """Let a charge ask for nothing more. Errors: `NotFound`, ARCHIVED, ALREADY_FINALIZED naming an invoice that has it."""
    row = await changeable_charge(session, contract, charge_id, path=path)
    await check_absent(session, of_charge(row.id), what="charge", path=path)
    row.archived_at = now
    await session.flush()
