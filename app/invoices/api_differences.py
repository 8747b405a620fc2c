"""What differs between two invoices, line by line, in GraphQL.

Owns the type; the comparison is made in `core.differences`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import strawberry

from app.core.differences import LineDifference
from app.graphql.values import Money
from app.invoices.api_line_parts import Origin
from app.invoices.api_lines import InvoiceLine, line_shown

MAX_DIFFERENCES = 1_000


@strawberry.type(description="A line of which the invoice that would be made has more or less.")
class InvoiceLineDifference:
    line: InvoiceLine = strawberry.field(description="What the line is for; without quantity, amount and interval.")
    quantity_before: Decimal = strawberry.field(description="How much the invoice has.")
    quantity_after: Decimal = strawberry.field(description="How much the new one would have.")
    amount_before: Money = strawberry.field(description="What the invoice bills.")
    amount_after: Money = strawberry.field(description="What the new one would bill.")


def differences_shown(found: Sequence[LineDifference], origin: Origin) -> list[InvoiceLineDifference]:
    """The first 1,000; `origin` is that of the invoice that would be made."""
    return [
        InvoiceLineDifference(
            line=line_shown(position, item.line, origin),
            quantity_before=item.quantity_before,
            quantity_after=item.quantity_after,
            amount_before=Money.of(item.amount_before, item.line.unit),
            amount_after=Money.of(item.amount_after, item.line.unit),
        )
        for position, item in enumerate(found[:MAX_DIFFERENCES])
    ]
