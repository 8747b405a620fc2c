"""Rows to fees: the subscriptions and scheduled charges of contracts, and what was billed of them, as core values.

Owns that part of the mapping of `terms.py`. Which of them fall due is left to `core.items`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.quantity_history import History, first_seats, histories_of
from app.contracts.tables import Contract, ScheduledChargeRow, SubscriptionRow
from app.core.fees import (
    BilledItem,
    Collection,
    FeePlacement,
    FeeRounding,
    FeeRoundingMethod,
    IncreaseBilling,
    ItemKey,
    ItemKind,
    Proration,
    QuantityUpdate,
    ScheduledCharge,
    Subscription,
)
from app.core.lines import LineType
from app.core.money import fiat
from app.core.period import Frequency, Period
from app.core.seats import quantity_updates
from app.grants.purchases import purchases_of
from app.invoices.tables import Invoice, InvoiceLine, InvoiceRegeneration
from app.store.arrays import among

BILLING = (LineType.SUBSCRIPTION, LineType.SCHEDULED, LineType.COMMIT_PURCHASE)
KINDS = {
    LineType.SUBSCRIPTION: ItemKind.SUBSCRIPTION,
    LineType.SCHEDULED: ItemKind.SCHEDULED,
    LineType.COMMIT_PURCHASE: ItemKind.PURCHASE,
}


@dataclass(frozen=True, slots=True)
class Fees:
    """What a contract charges beside usage."""

    charges: tuple[ScheduledCharge, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    billed: tuple[BilledItem, ...] = ()


async def fees_of(session: AsyncSession, contracts: Sequence[Contract]) -> dict[UUID, Fees]:
    """The fees and charges of each contract, in the order of addition."""
    contract_ids = [contract.id for contract in contracts]
    charges = await _charges(session, contract_ids)
    for contract_id, bought in (await purchases_of(session, contract_ids)).items():
        charges.setdefault(contract_id, []).extend(bought)
    subscriptions = await _subscriptions(session, contract_ids)
    billed = await _billed(session, {*charges, *subscriptions})
    return {
        contract_id: Fees(
            tuple(charges.get(contract_id, ())),
            tuple(subscriptions.get(contract_id, ())),
            tuple(billed.get(contract_id, ())),
        )
        for contract_id in contract_ids
    }


async def contracts_with_fees(session: AsyncSession, contract_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contracts that charge anything beside usage."""
    found = set(await purchases_of(session, contract_ids))
    for column in (col(ScheduledChargeRow.contract_id), col(SubscriptionRow.contract_id)):
        rows = await session.execute(select(column).where(among(column, contract_ids)).distinct())
        found.update(rows.scalars())
    return found


async def _charges(session: AsyncSession, contract_ids: Sequence[UUID]) -> dict[UUID, list[ScheduledCharge]]:
    rows = await session.execute(
        select(ScheduledChargeRow)
        .where(among(col(ScheduledChargeRow.contract_id), contract_ids), col(ScheduledChargeRow.archived_at).is_(None))
        .order_by(col(ScheduledChargeRow.contract_id), col(ScheduledChargeRow.added))
    )
    found: dict[UUID, list[ScheduledCharge]] = {}
    for row in rows.scalars():
        found.setdefault(row.contract_id, []).append(charge_of(row))
    return found


async def _subscriptions(session: AsyncSession, contract_ids: Sequence[UUID]) -> dict[UUID, list[Subscription]]:
    rows = await session.execute(
        select(SubscriptionRow)
        .where(among(col(SubscriptionRow.contract_id), contract_ids))
        .order_by(col(SubscriptionRow.contract_id), col(SubscriptionRow.added))
    )
    subscriptions = rows.scalars().all()
    histories = await histories_of(session, [row.id for row in subscriptions])
    found: dict[UUID, list[Subscription]] = {}
    for row in subscriptions:
        found.setdefault(row.contract_id, []).append(subscription_of(row, histories[row.id]))
    return found


async def _billed(session: AsyncSession, contract_ids: set[UUID]) -> dict[UUID, list[BilledItem]]:
    """What final invoices carry, void ones too: an item on one of those comes back with its regeneration only.

    One that was made again says nothing any more; the new one does.
    """
    if not contract_ids:
        return {}
    rows = await session.execute(
        select(Invoice.contract_id, InvoiceLine)
        .join(InvoiceLine, col(InvoiceLine.invoice_id) == Invoice.id)
        .where(
            among(col(Invoice.contract_id), contract_ids),
            col(InvoiceLine.type).in_(BILLING),
            ~select(InvoiceRegeneration.invoice_id).where(InvoiceRegeneration.source_id == Invoice.id).exists(),
        )
        .order_by(col(InvoiceLine.charged_at), col(InvoiceLine.invoice_id), col(InvoiceLine.position))
    )
    found: dict[UUID, list[BilledItem]] = {}
    for contract_id, line in rows:
        found.setdefault(contract_id, []).append(_billed_item(line))
    return found


def _billed_item(line: InvoiceLine) -> BilledItem:
    kind = KINDS[LineType(line.type)]
    source_id, at = line.charge_id or line.grant_id, line.charged_at
    if kind is ItemKind.SUBSCRIPTION:
        source_id, at = line.subscription_id, line.starting_at
    assert source_id is not None
    assert at is not None
    assert line.quantity is not None
    return BilledItem(ItemKey(kind, source_id, at, line.ordinal), line.quantity)


def charge_of(row: ScheduledChargeRow) -> ScheduledCharge:
    """A scheduled charge as the core reads it."""
    return ScheduledCharge(row.id, row.product_id, fiat(row.unit), row.schedule, row.added, is_discount=row.is_discount)


def subscription_of(row: SubscriptionRow, history: History) -> Subscription:
    """A subscription as the core reads it, with the history of its quantity, that of its seats at the end."""
    rounding = None
    if row.rounding_method is not None and row.rounding_places is not None:
        rounding = FeeRounding(FeeRoundingMethod(row.rounding_method), row.rounding_places)
    return Subscription(
        id=row.id,
        product_id=row.product_id,
        frequency=Frequency(row.frequency),
        collection=Collection(row.collection),
        period=Period(row.starting_at, row.ending_before, allow_empty=True),
        initial_quantity=row.initial_quantity,
        updates=(
            *(QuantityUpdate(item.starting_at, item.quantity, item.delta) for item in history.updates),
            *quantity_updates(first_seats(row), history.seat_changes),
        ),
        proration=Proration(row.prorate, IncreaseBilling(row.increases), rounding),
        placement=FeePlacement(row.placement),
        anchor=row.anchor,
        added=row.added,
    )
