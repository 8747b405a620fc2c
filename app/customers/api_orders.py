"""How lists of customers are sorted.

Owns the input and the page of each order. By lifetime billings the position is not on the customer's own row, so cursors are
made from the sums that the page shows.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry
from sqlalchemy import Select, and_, func, literal, select

from app.customers import tables
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import Connection, Position, connection
from app.graphql.context import Info
from app.graphql.fields import permit
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Direction, OrderDirection, described_enum
from app.invoices.tables import LifetimeBilling
from app.store.types import ExactDecimal

CUSTOMERS = tables.Customer.__table__.c  # type: ignore[attr-defined]
BILLINGS = LifetimeBilling.__table__  # type: ignore[attr-defined]


class OrderBy(Enum):
    """What a list of customers is sorted by."""

    NAME = "NAME"
    CREATED_AT = "CREATED_AT"
    LIFETIME_BILLINGS = "LIFETIME_BILLINGS"


CustomerOrderField = described_enum(
    OrderBy,
    name="CustomerOrderField",
    description="What a list of customers is sorted by.",
    sentences={
        OrderBy.NAME: "By name.",
        OrderBy.CREATED_AT: "By the time of creation.",
        OrderBy.LIFETIME_BILLINGS: "By what their final invoices of one currency come to. Scope: invoices:read.",
    },
)


@strawberry.input(description="How to sort customers.")
class CustomerOrder:
    field: CustomerOrderField = strawberry.field(description="What to sort by.")  # type: ignore[valid-type]
    direction: OrderDirection = strawberry.field(  # type: ignore[valid-type]
        default=Direction.ASC, description="Which way."
    )
    currency: CurrencyCode | None = strawberry.field(
        default=None, description="The currency of LIFETIME_BILLINGS, which needs one; nothing else takes one."
    )


async def sorted_page(
    info: Info, statement: Select[Any], order: CustomerOrder | None, *, first: int, after: str | None
) -> Connection[Any]:
    """A page of customers; by name unless asked otherwise. Errors: REQUIRED or INVALID about the currency."""
    by = OrderBy.NAME if order is None else order.field
    descending = order is not None and order.direction is Direction.DESC
    currency = None if order is None else order.currency
    if (currency is not None) is not (by is OrderBy.LIFETIME_BILLINGS):
        raise InvalidInput(
            ErrorCode.REQUIRED if currency is None else ErrorCode.INVALID,
            "Name the currency of LIFETIME_BILLINGS, and none with another order.",
            path=("orderBy", "currency"),
        )
    if currency is None:
        sort = [CUSTOMERS.created_at if by is OrderBy.CREATED_AT else CUSTOMERS.name, CUSTOMERS.id]
        return await connection(info, statement, sort=sort, descending=descending, first=first, after=after)
    permit(info.context.actor, "invoices:read", for_customers=True)
    owner, of_currency = BILLINGS.c.customer_id == CUSTOMERS.id, BILLINGS.c.currency == currency
    total = func.coalesce(BILLINGS.c.total, literal(Decimal(0), ExactDecimal()), type_=ExactDecimal())

    async def positions(rows: list[tables.Customer]) -> list[list[Any]]:
        sums = await info.context.session.execute(
            select(BILLINGS.c.customer_id, BILLINGS.c.total).where(
                BILLINGS.c.customer_id.in_([row.id for row in rows]), of_currency
            )
        )
        known = {row.customer_id: row.total for row in sums}
        return [[known.get(row.id, Decimal(0)), row.id] for row in rows]

    return await connection(
        info, statement.outerjoin(BILLINGS, and_(owner, of_currency)), sort=[total, CUSTOMERS.id],
        descending=descending, first=first, after=after, position=Position(f"lifetime {currency}", positions),
    )  # fmt: skip
