"""What callers ask of breakdowns: whose invoices, which windows, which way.

Owns the input and its refusals.
"""

from __future__ import annotations

import strawberry

from app.checks import interval_of
from app.core.breakdown import WindowSize
from app.core.invoice import InvoiceStatus as Status
from app.core.period import Period
from app.errors import ErrorCode, InvalidInput, NotFound
from app.graphql.context import Info
from app.graphql.nodes import visible
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Direction, IntervalInput, OrderDirection
from app.invoices.api_breakdowns import BreakdownWindowSize
from app.invoices.api_loaders import InvoiceStatus
from app.invoices.breakdown_query import BreakdownQuery
from app.store import ids


@strawberry.input(description="Which windows of which invoices; name a customer or a contract, one of them.")
class BreakdownInput:
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Whose invoices.")
    contract_id: strawberry.ID | None = strawberry.field(default=None, description="Invoices of which contract.")
    interval: IntervalInput = strawberry.field(description="Windows lie wholly inside it; both ends are needed.")
    window_size: BreakdownWindowSize = strawberry.field(  # type: ignore[valid-type]
        default=WindowSize.DAY, description="How long the windows are."
    )
    status: list[InvoiceStatus] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Of drafts, of final invoices, or (by default) of both. Void ones have no place here."
    )
    currency: CurrencyCode | None = strawberry.field(default=None, description="Of invoices in this currency.")
    skip_zero_quantity: bool = strawberry.field(
        default=True, description="Leave out lines of no quantity, and windows in which nothing is."
    )
    direction: OrderDirection = strawberry.field(  # type: ignore[valid-type]
        default=Direction.ASC, description="Which way to sort: by when invoices are issued, then by window."
    )


async def query_of(info: Info, wanted: BreakdownInput) -> BreakdownQuery:
    """The query of an input. Errors: INVALID, REQUIRED, `NotFound`."""
    if (wanted.customer_id is None) is (wanted.contract_id is None):
        raise InvalidInput(
            ErrorCode.INVALID, "Name a customer or a contract, one of them.", path=("input", "customerId")
        )
    statuses = frozenset(wanted.status if wanted.status is not None else (Status.DRAFT, Status.FINALIZED))
    if Status.VOID in statuses:
        raise InvalidInput(
            ErrorCode.INVALID, "A void invoice counts nowhere; ask for DRAFT or FINALIZED.", path=("input", "status")
        )
    kind, text = ("customer", wanted.customer_id) if wanted.customer_id else ("contract", wanted.contract_id)
    path = ("input", f"{kind}Id")
    assert text is not None
    identifier = ids.from_text(kind, text, path=path)
    row = await info.context.load(kind, identifier)
    if row is None or not visible(info.context.actor, row):
        raise NotFound(kind.capitalize(), text, path=path)
    return BreakdownQuery(
        interval_with_end(wanted.interval, path=("input", "interval")),
        WindowSize(wanted.window_size),
        customer_id=identifier if kind == "customer" else None,
        contract_id=identifier if kind == "contract" else None,
        statuses=statuses,
        currency=wanted.currency,
        skip_zero=wanted.skip_zero_quantity,
        descending=wanted.direction is Direction.DESC,
    )


def interval_with_end(wanted: IntervalInput, *, path: tuple[str, ...]) -> Period:
    """An interval of full hours that has both ends."""
    start, end = interval_of(wanted.starting_at, wanted.ending_before, path=path)
    assert start is not None
    if end is None:
        raise InvalidInput(ErrorCode.REQUIRED, "Say where the interval ends.", path=(*path, "endingBefore"))
    return Period(start, end)
