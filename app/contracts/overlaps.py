"""Finds contracts of one customer that bill the same usage twice.

Owns the warning of semantics 4.9. It is allowed, since one usage may well be sold under two agreements, but nearly
always it is a slip that only shows on the invoice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.catalog.tables import ProductRow, RateRow
from app.contracts.filters import filters_of
from app.contracts.tables import Contract
from app.core.filters import share_usage
from app.core.period import Period
from app.store.ids import to_text


async def double_billing(session: AsyncSession, contract: Contract) -> list[str]:
    """A sentence for each other contract that overlaps in time and prices a product which this one prices too."""
    others = await _sharing(session, contract, await _overlapping(session, contract))
    if contract.rate_card_id is None or not others:
        return []
    cards = {contract.rate_card_id, *(other.rate_card_id for other in others if other.rate_card_id is not None)}
    products = await _products_by_card(session, cards)
    own = products[contract.rate_card_id]
    warnings: list[str] = []
    for other in others:
        assert other.rate_card_id is not None
        shared = sorted(own[product_id] for product_id in own.keys() & products[other.rate_card_id].keys())
        if shared:
            more = f" and {len(shared) - 3} more" if len(shared) > 3 else ""
            warnings.append(
                f"Contract {to_text('contract', other.id)} bills the same usage at the same time: "
                f"{', '.join(shared[:3])}{more}."
            )
    return warnings


async def _overlapping(session: AsyncSession, contract: Contract) -> Sequence[Contract]:
    statement = select(Contract).where(
        Contract.customer_id == contract.customer_id,
        Contract.id != contract.id,
        col(Contract.archived_at).is_(None),
        col(Contract.rate_card_id).is_not(None),
        or_(col(Contract.ending_before).is_(None), col(Contract.ending_before) > contract.starting_at),
    )
    if contract.ending_before is not None:
        statement = statement.where(Contract.starting_at < contract.ending_before)
    return (await session.execute(statement.order_by(col(Contract.id)))).scalars().all()


async def _sharing(session: AsyncSession, contract: Contract, others: Sequence[Contract]) -> list[Contract]:
    """Those among contracts that overlap in time which the usage filters do not keep apart."""
    filters = await filters_of(session, [contract.id, *(other.id for other in others)])
    own = Period(contract.starting_at, contract.ending_before)
    common = {other.id: own.intersect(Period(other.starting_at, other.ending_before)) for other in others}
    return [
        other
        for other in others
        if (both := common[other.id]) and share_usage(filters[contract.id], filters[other.id], both)
    ]


async def _products_by_card(session: AsyncSession, cards: set[UUID]) -> defaultdict[UUID, dict[UUID, str]]:
    """Card -> its products by id, with their names; only those that some rate of the card entitles."""
    rows = await session.execute(
        select(RateRow.rate_card_id, ProductRow.id, ProductRow.name)
        .join(ProductRow, col(ProductRow.id) == RateRow.product_id)
        .where(col(RateRow.rate_card_id).in_(cards), col(RateRow.entitled))
        .distinct()
    )
    found: defaultdict[UUID, dict[UUID, str]] = defaultdict(dict)
    for card_id, product_id, name in rows:
        found[card_id][product_id] = name
    return found
