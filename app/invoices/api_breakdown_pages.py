"""Breakdowns of a customer or a contract in GraphQL: the hours or days of its invoices, one after the other.

Owns the root field, and the windows of one invoice as `Invoice.breakdowns` pages them. What a window says is
in `api_breakdowns.py`, which invoices a page rates in `breakdown_pages.py`.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.core.breakdown import WindowSize
from app.graphql.connection import After, Connection, Edge, First, PageInfo, list_connection, page_size
from app.graphql.context import Info
from app.graphql.cursors import read_cursor, write_cursor
from app.graphql.fields import query_field
from app.graphql.values import IntervalInput
from app.invoices import breakdown_pages
from app.invoices.api_breakdown_inputs import BreakdownInput, interval_with_end, query_of
from app.invoices.api_breakdowns import BreakdownWindowSize, InvoiceBreakdown, breakdown_shown
from app.invoices.api_loaders import Either
from app.invoices.breakdown_query import BreakdownQuery

Size = Annotated[
    BreakdownWindowSize,  # type: ignore[valid-type]
    strawberry.argument(description="How long the windows are."),
]
SkipZero = Annotated[
    bool, strawberry.argument(description="Leave out lines of no quantity, and windows in which nothing is.")
]
Inside = Annotated[IntervalInput | None, strawberry.argument(description="Only windows that lie wholly inside it.")]


async def breakdowns_of(
    info: Info,
    invoice: strawberry.Parent[Either],
    window_size: Size = WindowSize.DAY,
    interval: Inside = None,
    skip_zero_quantity: SkipZero = True,
    first: First = 25,
    after: After = None,
) -> Connection[InvoiceBreakdown]:
    """A page of the windows of one invoice or draft, in order of time."""
    inside = None if interval is None else interval_with_end(interval, path=("interval",))
    query = BreakdownQuery(inside, WindowSize(window_size), skip_zero=skip_zero_quantity)
    windows = await breakdown_pages.windows_of(info.context.session, query, invoice)
    shown = [breakdown_shown(invoice, window) for window in windows]
    return list_connection(shown, key=lambda one: one.window.starting_at.isoformat(), first=first, after=after)


@strawberry.type
class BreakdownsQuery:
    @query_field(
        scope="invoices:read",
        description="The invoices of a customer or a contract by hour or by day, drafts too, earliest issued first. A page "
        "has at most 35 days or 24 hours, and looks at 36 invoices at most: one may be short, or empty, while more follow.",
        for_customers=True,
    )
    async def breakdowns(
        self,
        info: Info,
        input: Annotated[BreakdownInput, strawberry.argument(description="What to ask.")],
        first: First = 35,
        after: After = None,
    ) -> Connection[InvoiceBreakdown]:
        query = await query_of(info, input)
        order = f"breakdowns:{query}"
        position = None
        if after is not None:
            issued_at, invoice_id, start = read_cursor(after, order=order, size=3)
            position = (issued_at, invoice_id, start)
        page = await breakdown_pages.breakdown_page(
            info.context.session, query, first=page_size(first), after=position, now=info.context.now
        )
        cursors = [write_cursor(found.position, order=order) for found in page.windows]
        nodes = [breakdown_shown(found.invoice, found.window) for found in page.windows]
        return Connection(
            edges=[Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
            nodes=nodes,
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=after is not None,
                start_cursor=cursors[0] if cursors else None,
                end_cursor=None if page.end is None else write_cursor(page.end, order=order),
            ),
        )
