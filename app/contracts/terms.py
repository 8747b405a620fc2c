"""Rows to terms: the only place where what is stored becomes what the core computes with.

Owns the mapping of a contract to `core.Terms`; what it has of its rate card comes from `offers.py`. The form in which
terms are frozen with an invoice is left to `frozen.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog import raters, terms
from app.contracts.fees import Fees, fees_of
from app.contracts.filters import filters_of
from app.contracts.offers import Offer, offers_of
from app.contracts.tables import Contract, OverrideRow
from app.core.money import fiat
from app.core.overrides import specifier_from_json
from app.core.period import Frequency, Period, StatementDay, StatementSchedule
from app.core.terms import (
    Override,
    OverridePriority,
    RateTarget,
    Specifier,
    Terms,
    UsageFilter,
)
from app.store.arrays import among


async def terms_of(session: AsyncSession, contract: Contract) -> Terms:
    """Everything that decides what a contract costs."""
    return (await terms_of_contracts(session, [contract]))[contract.id]


async def terms_of_contracts(session: AsyncSession, contracts: Sequence[Contract]) -> dict[UUID, Terms]:
    """The terms of each contract, in as many statements as for one."""
    contract_ids = [contract.id for contract in contracts]
    fees = await fees_of(session, contracts)
    offers = await offers_of(session, contracts, fees)
    overrides = await _overrides(session, contract_ids)
    filters = await filters_of(session, contract_ids)
    return {
        contract.id: _terms(
            contract,
            offers[contract.id],
            fees[contract.id],
            overrides.get(contract.id, ()),
            filters[contract.id],
        )
        for contract in contracts
    }


def _terms(
    contract: Contract, offer: Offer, fees: Fees, overrides: tuple[Override, ...], filters: tuple[UsageFilter, ...]
) -> Terms:
    return Terms(
        contract_id=contract.id,
        customer_id=contract.customer_id,
        unit=fiat(contract.currency),
        period=contract_period(contract),
        schedule=schedule_of(contract),
        grace=timedelta(hours=contract.grace_hours),
        products=offer.products,
        rates=offer.rates,
        overrides=overrides,
        override_priority=OverridePriority(contract.override_priority),
        conversions=offer.conversions,
        usage_filters=filters,
        product_order=offer.product_order,
        subscriptions=fees.subscriptions,
        scheduled_charges=fees.charges,
        consolidate=contract.consolidate_charges,
        billed=fees.billed,
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


async def _overrides(session: AsyncSession, contract_ids: Collection[UUID]) -> dict[UUID, tuple[Override, ...]]:
    rows = await session.scalars(
        select(OverrideRow)
        .where(among(col(OverrideRow.contract_id), contract_ids), col(OverrideRow.removed_at).is_(None))
        .order_by(col(OverrideRow.added))
    )
    found: dict[UUID, tuple[Override, ...]] = {}
    for row in rows:
        found[row.contract_id] = (*found.get(row.contract_id, ()), override_of(row))
    return found


def override_of(row: OverrideRow) -> Override:
    """An override as the core reads it: each way of targeting is a list of specifiers, any of which may hold."""
    specifiers = tuple(specifier_from_json(item) for item in row.specifiers)
    if row.tags:
        specifiers = tuple(Specifier(tags=(tag,)) for tag in row.tags)
    return Override(
        id=row.id,
        period=Period(row.starting_at or terms.SINCE_EVER, row.ending_before),
        specifiers=specifiers or (Specifier(product_id=row.product_id),),
        change=raters.bound_change(row.change),
        entitled=row.entitled,
        priority=row.priority,
        added=row.added,
        is_commit_specific=row.is_commit_specific,
        target=RateTarget(row.target),
    )
