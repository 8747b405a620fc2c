"""Usage queries in GraphQL: what a metric comes to for a customer, by window and group.

Owns the query's input and how answers are shown; limits and meaning are the services'.
"""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlalchemy import select

from app.customers.api_types import Customer
from app.customers.tables import Customer as CustomerRow
from app.errors import NotFound
from app.graphql import connection as pages
from app.graphql.context import Info
from app.graphql.fields import object_field, query_field
from app.graphql.nodes import visible
from app.store import ids
from app.usage.api_series import UsageQueryInput, UsageSeries, series_of

COLUMNS = CustomerRow.__table__.c  # type: ignore[attr-defined]


@strawberry.type(description="Usage of one of several customers.")
class CustomerUsage:
    row: strawberry.Private[CustomerRow]
    series: UsageSeries = strawberry.field(description="Its usage.")

    @object_field(scope="customers:read", description="Whose usage it is. Scope: customers:read.")
    async def customer(self) -> Customer:
        return self.row  # type: ignore[return-value]


@strawberry.type
class UsageReading:
    @query_field(
        scope="usage:read",
        description="What a metric comes to for one customer, by window and group, whatever contract bills it.",
        for_customers=True,
    )
    async def usage(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="Whose usage.")],
        input: Annotated[UsageQueryInput, strawberry.argument(description="What to ask.")],
    ) -> UsageSeries:
        row = await info.context.load("customer", ids.from_text("customer", customer_id, path=("customerId",)))
        if row is None or not visible(info.context.actor, row):
            raise NotFound("Customer", customer_id, path=("customerId",))
        return await series_of(info.context, row.id, input)

    @query_field(
        scope="usage:read",
        description="What a metric comes to for each customer, closed ones left out, by customer id; also for those "
        "without usage.",
    )
    async def usage_by_customer(
        self,
        info: Info,
        input: Annotated[UsageQueryInput, strawberry.argument(description="What to ask.")],
        first: pages.First = 25,
        after: pages.After = None,
    ) -> pages.Connection[CustomerUsage]:
        customers = select(CustomerRow).where(COLUMNS.archived_at.is_(None))
        page = await pages.connection(info, customers, sort=[COLUMNS.id], first=first, after=after)
        shown = [CustomerUsage(row=row, series=await series_of(info.context, row.id, input)) for row in page.nodes]
        edges = [pages.Edge(cursor=edge.cursor, node=node) for edge, node in zip(page.edges, shown, strict=True)]
        return pages.Connection(edges=edges, nodes=shown, page_info=page.page_info, count=page.count)
