"""Finds customers for a change.

Owns the way to a customer's row: a change takes the customer's lock first and meets the row as it is now, and an
archived customer takes no changes.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.customers.tables import Customer
from app.errors import ErrorCode, InvalidState, NotFound
from app.store.ids import to_text
from app.store.locks import lock_customer


async def changeable_customer(session: AsyncSession, customer_id: UUID, *, path: Path = ("id",)) -> Customer:
    """The customer, locked to the end of the transaction. `NotFound`, or `InvalidState` ARCHIVED."""
    await lock_customer(session, customer_id)
    customer = await session.get(Customer, customer_id, populate_existing=True)
    if customer is None:
        raise NotFound("Customer", to_text("customer", customer_id), path=path)
    if customer.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED, f"Customer {to_text('customer', customer_id)} is archived and takes no changes; make a new customer.",
            path=path, conflicting=customer,
        )  # fmt: skip
    return customer
