"""Our side of a reconciliation of invoices: the deliveries of a period, and what each expects of the provider.

Owns which rows belong to a period. What the provider shows is read by `reconciling.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import and_, col, or_, select, true

from app.core import reconciliation as core
from app.core.period import Period
from app.delivery.registry import Connection
from app.delivery.states import CREDIT_NEEDED, CREDITED, VOIDED_AT_PROVIDER, DeliveryStatus
from app.delivery.tables import Delivery
from app.errors import InvalidInput
from app.store.ids import from_text, to_text

OPEN = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.FAILED, DeliveryStatus.NEEDS_ATTENTION)
"""States of a delivery of which nothing is known to be at the provider."""


async def deliveries(
    session: AsyncSession, connection: Connection, period: Period, *, mode: str | None = None
) -> dict[str, Delivery]:
    """Our deliveries, of one mode or of any, that became so in the period, or were opened in it and are not done; by the
    invoice's id."""
    rows = await session.execute(
        select(Delivery).where(
            Delivery.connection == connection.name,
            true() if mode is None else Delivery.mode == mode,
            or_(
                and_(
                    col(Delivery.delivered_at) >= period.starting_at, col(Delivery.delivered_at) < period.ending_before
                ),
                and_(
                    col(Delivery.delivered_at).is_(None),
                    col(Delivery.created_at) >= period.starting_at,
                    col(Delivery.created_at) < period.ending_before,
                ),
            ),
        )
    )
    return {to_text("invoice", row.invoice_id): row for row in rows.scalars()}


async def deliveries_of(
    session: AsyncSession, connection: Connection, references: Iterable[str]
) -> dict[str, Delivery]:
    """Our deliveries of invoices that the provider names, whenever they were made."""
    named: list[UUID] = []
    for reference in references:
        try:
            named.append(from_text("invoice", reference))
        except InvalidInput:
            continue  # Somebody wrote it there by hand; no invoice of ours has it.
    rows = await session.execute(
        select(Delivery).where(Delivery.connection == connection.name, col(Delivery.invoice_id).in_(named))
    )
    return {to_text("invoice", row.invoice_id): row for row in rows.scalars()}


def ours_of(row: Delivery) -> core.Ours:
    """What our books expect of the provider for one delivery."""
    expected = core.Expected.NONE
    if row.status == DeliveryStatus.DELIVERED or row.error_code in (VOIDED_AT_PROVIDER, CREDIT_NEEDED, CREDITED):
        expected = core.Expected.THERE
    elif row.status in OPEN:
        expected = core.Expected.OPEN
    elif row.status == DeliveryStatus.CANCELED and row.provider_reference is not None:
        expected = core.Expected.TAKEN_BACK
    return core.Ours(to_text("invoice", row.invoice_id), row.total, row.currency, expected)
