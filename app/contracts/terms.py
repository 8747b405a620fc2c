"""Rows to terms: the only place where what is stored becomes what the core computes with.

Owns the mapping of a contract and its rate card to `core.Terms`; products and prices come from the catalog. The form in which terms are frozen
with an invoice is left to `frozen.py`.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.tables import RateCard
from app.catalog.terms import SINCE_EVER, entries_of, products_of
from app.catalog.units import conversions_of
from app.contracts.filters import filters_of
from app.contracts.tables import Contract, OverrideRow
from app.core.money import fiat
from app.core.overrides import specifier_from_json
from app.core.period import Frequency, Period, StatementDay, StatementSchedule
from app.core.terms import Override, OverridePriority, RateTarget, Specifier, Terms


async def terms_of(session: AsyncSession, contract: Contract) -> Terms:
    """Everything that decides what the usage of a contract costs."""
    card = None if contract.rate_card_id is None else await session.get_one(RateCard, contract.rate_card_id)
    card_id = contract.rate_card_id
    rates = () if card_id is None else (await entries_of(session, [card_id]))[card_id]
    return Terms(
        contract_id=contract.id,
        customer_id=contract.customer_id,
        unit=fiat(contract.currency),
        period=contract_period(contract),
        schedule=schedule_of(contract),
        grace=timedelta(hours=contract.grace_hours),
        products=await products_of(session, {rate.product_id for rate in rates}),
        rates=rates,
        overrides=await _overrides(session, contract.id),
        override_priority=OverridePriority(contract.override_priority),
        conversions=() if card is None else conversions_of(card),
        usage_filters=(await filters_of(session, [contract.id]))[contract.id],
        product_order=() if card is None else tuple(UUID(product_id) for product_id in card.product_order),
    )


def contract_period(contract: Contract) -> Period:
    """The contract's period of validity."""
    return Period(contract.starting_at, contract.ending_before)


def schedule_of(contract: Contract) -> StatementSchedule:
    """When the contract's usage statements begin and end."""
    return StatementSchedule(
        frequency=Frequency(contract.statement_frequency),
        day=StatementDay(contract.statement_day),
        anchor=contract.statement_anchor,
        generate_from=contract.generate_from,
    )


async def _overrides(session: AsyncSession, contract_id: UUID) -> tuple[Override, ...]:
    rows = await session.execute(
        select(OverrideRow).where(OverrideRow.contract_id == contract_id).order_by(col(OverrideRow.added))
    )
    return tuple(override_of(row) for row in rows.scalars())


def override_of(row: OverrideRow) -> Override:
    """An override as the core reads it: each way of targeting is a list of specifiers, any of which may hold."""
    specifiers = tuple(specifier_from_json(item) for item in row.specifiers)
    if row.tags:
        specifiers = tuple(Specifier(tags=(tag,)) for tag in row.tags)
    return Override(
        id=row.id,
        period=Period(row.starting_at or SINCE_EVER, row.ending_before),
        specifiers=specifiers or (Specifier(product_id=row.product_id),),
        change=row.change,
        entitled=row.entitled,
        priority=row.priority,
        added=row.added,
        is_commit_specific=row.is_commit_specific,
        target=RateTarget(row.target),
    )
