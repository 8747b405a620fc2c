"""Commits and credits in GraphQL: listed, and added up.

Owns the root fields that read; which balances are meant is in `api_filters.py`, the sum in `api_net.py`.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from app.core.money import ZERO
from app.grants.api_filters import BalanceFilter, NetBalanceFilter, wanted_rows
from app.grants.api_net import InclusionMode, InvoiceInclusionMode, net_amount
from app.grants.api_types import Balance
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import query_field
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Money
from app.store import ids


@strawberry.type
class BalancesQuery:
    @query_field(
        scope="contracts:read",
        for_customers=True,
        description="The commits and credits of a customer and of its contracts, by id.",
    )
    async def balances(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
        filter: Annotated[BalanceFilter | None, strawberry.argument(description="Which of them.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Balance]:
        customer, visible = await _customer(info, customer_id)
        rows = await wanted_rows(info, customer, filter or BalanceFilter()) if visible else []
        return list_connection(rows, key=lambda row: str(row.id), first=first, after=after, is_sorted=True)  # type: ignore[return-value]

    @query_field(
        scope="contracts:read",
        for_customers=True,
        description="What a customer can use now of its balances in one unit: the sum of what is left of their active "
        "segments, each at least zero.",
    )
    async def net_balance(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
        unit: Annotated[CurrencyCode, strawberry.argument(description="A currency, or the code of a pricing unit.")],
        mode: Annotated[
            InvoiceInclusionMode,  # type: ignore[valid-type]
            strawberry.argument(description="Whether drafts have drawn."),
        ] = InclusionMode.FINALIZED_AND_DRAFT,
        filters: Annotated[
            list[NetBalanceFilter] | None,
            strawberry.argument(description="What any of these reaches, at most 20; default: all balances."),
        ] = None,
    ) -> Money:
        customer, visible = await _customer(info, customer_id)
        amount = await net_amount(info, customer, unit, mode, filters) if visible else ZERO
        return Money.of(amount, unit)


async def _customer(info: Info, text: str) -> tuple[UUID, bool]:
    """The customer that an id means, and whether this caller may see its balances."""
    found = ids.from_text("customer", text, path=("customerId",))
    return found, info.context.actor.customer_id in (None, found)
