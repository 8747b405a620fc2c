"""What callers send about invoices: filters and orders.

Owns the inputs; what a filter means is in `api_filtering.py`. Only final invoices are listed, since drafts are views and are asked for by customer or contract.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any

import strawberry

from app.custom_fields import api_filters
from app.errors import ErrorCode, InvalidInput
from app.graphql.scalars import CurrencyCode
from app.graphql.values import DateTimeFilter, Direction, KeyValueInput, OrderDirection, described_enum
from app.invoices import tables
from app.invoices.api_loaders import InvoiceStatus, InvoiceType

COLUMNS = tables.Invoice.__table__.c  # type: ignore[attr-defined]
NUMBER = re.compile(r"(?:INV-)?0*([1-9]\d{0,17})", re.ASCII)


class OrderBy(Enum):
    """What a list of invoices is sorted by."""

    ISSUED_AT = "ISSUED_AT"
    NUMBER = "NUMBER"


InvoiceOrderField = described_enum(
    OrderBy,
    name="InvoiceOrderField",
    description="What a list of invoices is sorted by.",
    sentences={OrderBy.ISSUED_AT: "By the time at which they became final.", OrderBy.NUMBER: "By number."},
)


@strawberry.input(description="How to sort invoices.")
class InvoiceOrder:
    field: InvoiceOrderField = strawberry.field(description="What to sort by.")  # type: ignore[valid-type]
    direction: OrderDirection = strawberry.field(  # type: ignore[valid-type]
        default=Direction.DESC, description="Which way."
    )


@strawberry.input(description="Which final invoices to list; conditions add up.")
class InvoiceFilter:
    status: list[InvoiceStatus] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those in one of these states. Drafts are never listed here; ask for drafts."
    )
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Those of this customer.")
    contract_id: strawberry.ID | None = strawberry.field(default=None, description="Those of this contract.")
    currency: CurrencyCode | None = strawberry.field(default=None, description="Those in this currency.")
    type: list[InvoiceType] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those of one of these types."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(default_factory=list, description=api_filters.DESCRIPTION)
    issued_at: DateTimeFilter | None = strawberry.field(default=None, description="Those that became final then.")


Carrying = api_filters.Carrying
Filter = Annotated[InvoiceFilter | None, strawberry.argument(description="Which invoices.")]
Order = Annotated[InvoiceOrder | None, strawberry.argument(description="How to sort; default: latest issued first.")]


def sort_of(wanted: InvoiceOrder | None) -> tuple[list[Any], bool]:
    """The columns to sort by, and whether from the end."""
    if wanted is None:
        return [COLUMNS.issued_at, COLUMNS.id], True
    first = COLUMNS.number if wanted.field is OrderBy.NUMBER else COLUMNS.issued_at
    return [first, COLUMNS.id], wanted.direction is Direction.DESC


def number_of(text: str) -> int:
    """The number in `INV-000042` or `42`."""
    found = NUMBER.fullmatch(text)
    if found is None:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{text[:40]!r} is not an invoice number; write one such as INV-000042.",
            path=("number",),
        )
    return int(found[1])
