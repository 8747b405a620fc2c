"""Customers: created, renamed, archived.

Owns who is billed. Aliases are in `aliases.py`, the customer's side of provider accounts in `billing.py`; what a
customer has agreed to belongs to contracts. A customer is never deleted, because its invoices stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.change import note_change
from app.checks import name_of
from app.contracts.tables import Contract
from app.custom_fields.service import insert_custom_fields
from app.customers import aliases, reading
from app.customers.tables import Customer
from app.errors import ErrorCode, InvalidState
from app.store.ids import to_text
from app.store.unique import once


async def create_customer(
    session: AsyncSession,
    *,
    name: str,
    external_id: str | None = None,
    ingest_aliases: Collection[str] = (),
    custom_fields: Mapping[str, str] | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> Customer:
    """A new customer. Usage that came under its aliases before it existed is its own from now on.

    Errors: INVALID, `LimitExceeded`, `Conflict` ALIAS_TAKEN or UNIQUENESS_KEY_CONFLICT.
    """
    name = name_of(name, path=("input", "name"))
    references = aliases.checked_aliases(ingest_aliases, path=("input", "ingestAliases"))
    external = set() if external_id is None else aliases.checked_aliases([external_id], path=("input", "externalId"))
    customer = Customer(created_at=now, name=name, external_id=external_id, uniqueness_key=uniqueness_key)
    try:
        async with once(session, Customer, uniqueness_key):
            session.add(customer)
            await session.flush()
            await aliases.claim(session, customer.id, external, path=("input", "externalId"), now=now)
            await aliases.claim(session, customer.id, references - external, path=("input", "ingestAliases"), now=now)
            fields = await insert_custom_fields(session, customer, custom_fields)
    except IntegrityError:
        await aliases.refuse_taken(session, external, path=("input", "externalId"))
        raise
    shown = _shown(customer) | {"ingestAliases": sorted(references | external)} | fields
    note_change(session, "customer", customer.id, after=shown)
    return customer


async def update_customer(session: AsyncSession, customer_id: UUID, *, name: str, now: datetime) -> Customer:
    """Rename a customer. Finalized invoices keep what they say."""
    name = name_of(name, path=("input", "name"))
    customer = await reading.changeable_customer(session, customer_id)
    before = _shown(customer)
    customer.name = name
    await session.flush()
    note_change(session, "customer", customer.id, before=before, after=_shown(customer))
    return customer


async def archive_customer(session: AsyncSession, customer_id: UUID, *, now: datetime) -> Customer:
    """Close a customer for good; it keeps its aliases, unless they are taken from it before.

    Errors: `NotFound`, `InvalidState` ARCHIVED, or ILLEGAL_TRANSITION while a contract still runs.
    """
    customer = await reading.changeable_customer(session, customer_id)
    running = await session.execute(
        select(Contract)
        .where(
            Contract.customer_id == customer_id,
            col(Contract.archived_at).is_(None),
            or_(col(Contract.ending_before).is_(None), col(Contract.ending_before) > now),
        )
        .order_by(col(Contract.id))
        .limit(1)
    )
    contract = running.scalar_one_or_none()
    if contract is not None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            f"Contract {to_text('contract', contract.id)} still runs; archive it first.",
            path=("id",),
            conflicting=contract,
        )
    before = _shown(customer)
    customer.archived_at = now
    await session.flush()
    note_change(session, "customer", customer.id, before=before, after=_shown(customer))
    return customer


def _shown(customer: Customer) -> dict[str, object]:
    """What the audit log keeps of a customer."""
    return {
        "name": customer.name,
        "externalId": customer.external_id,
        "archivedAt": None if customer.archived_at is None else customer.archived_at.isoformat(),
    }
