"""Finds the drafts that the API lists: those of a customer or of a contract.

Owns their loader and how many are rated for one answer. What a draft says is worked out in `drafts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from app.contracts.tables import Contract
from app.custom_fields import service
from app.custom_fields.api_types import custom_fields_in
from app.custom_fields.entities import Entity
from app.graphql.context import Context
from app.graphql.nodes import LOADERS
from app.graphql.values import KeyValueInput
from app.invoices import drafts
from app.invoices.balances import Books
from app.invoices.open import open_statements
from app.invoices.statements import Statement
from app.store import ids

MAX_DRAFTS = 24
"""Drafts of one contract that are rated for one answer."""


async def _drafts_of_contracts(context: Context, keys: Sequence[UUID]) -> Sequence[list[drafts.RatedStatement]]:
    contracts = await context.session.execute(select(Contract).where(col(Contract.id).in_(keys)))
    rated: dict[UUID, list[drafts.RatedStatement]] = {key: [] for key in keys}
    books = Books(context.session, now=context.now)
    for statement in await open_statements(context.session, contracts.scalars().all(), now=context.now):
        if len(rated[statement.contract.id]) < MAX_DRAFTS:
            found = await books.rate(statement)
            rated[statement.contract.id] += [] if found.is_nothing else [found]
    return [rated[key] for key in keys]


async def rated_drafts(
    context: Context,
    *,
    customer_id: str | None,
    contract_id: str | None,
    custom_fields: Sequence[KeyValueInput],
    first: int,
) -> list[drafts.RatedStatement]:
    """The first drafts of a customer or of a contract, earliest due first; a customer's token only sees its own.

    Errors: INVALID, CUSTOM_FIELD_UNKNOWN.
    """
    contracts = select(Contract)
    if customer_id is not None:
        customer = ids.from_text("customer", customer_id, path=("customerId",))
        contracts = contracts.where(Contract.customer_id == customer)
    if contract_id is not None:
        contracts = contracts.where(Contract.id == ids.from_text("contract", contract_id, path=("contractId",)))
    if context.actor.customer_id is not None:
        contracts = contracts.where(Contract.customer_id == context.actor.customer_id)
    found = (await context.session.execute(contracts)).scalars().all()
    open_ones = await open_statements(context.session, found, now=context.now)
    if custom_fields:
        open_ones = await _carrying(context, open_ones, custom_fields)
    books = Books(context.session, now=context.now)
    rated = [await books.rate(item) for item in open_ones[:first]]
    return [item for item in rated if not item.is_nothing]


async def _carrying(
    context: Context, statements: Sequence[Statement], wanted: Sequence[KeyValueInput]
) -> list[Statement]:
    """Those with all of these values, which a draft keeps when it becomes final."""
    values = custom_fields_in(wanted, path=("customFields",))
    await service.check_registered(context.session, (Entity.INVOICE,), values, path=("customFields",))
    if context.actor.customer_id is not None:
        return []  # A customer's own token does not see the seller's notes.
    known = await service.custom_fields_of(context.session, [item.id for item in statements])
    return [item for item in statements if values.items() <= known[item.id].items()]


LOADERS["contract.drafts"] = _drafts_of_contracts
