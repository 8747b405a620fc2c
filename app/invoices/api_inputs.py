"""What callers send about invoices: filters, orders, and how they become SQL.

Owns the inputs. Only final invoices are listed, since drafts are views and are asked for by customer or contract.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any

import strawberry
from sqlalchemy import Select, false, or_

from app.core.invoice import InvoiceStatus as Status
from app.errors import ErrorCode, InvalidInput
from app.graphql.scalars import CurrencyCode
from app.graphql.values import DateTimeFilter, Direction, OrderDirection, described_enum
from app.invoices import tables
from app.invoices.api_loaders import InvoiceStatus
from app.invoices.tables import IS_VOID
from app.store import ids

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
    issued_at: DateTimeFilter | None = strawberry.field(default=None, description="Those that became final then.")


Filter = Annotated[InvoiceFilter | None, strawberry.argument(description="Which invoices.")]
Order = Annotated[InvoiceOrder | None, strawberry.argument(description="How to sort; default: latest issued first.")]


def filtered(statement: Select[Any], wanted: InvoiceFilter | None) -> Select[Any]:
    """The statement with the conditions of the filter."""
    if wanted is None:
        return statement
    if wanted.status is not None:
        conditions = [
            IS_VOID if status is Status.VOID else ~IS_VOID for status in wanted.status if status is not Status.DRAFT
        ]
        statement = statement.where(or_(false(), *conditions))
    for kind, text in (("customer", wanted.customer_id), ("contract", wanted.contract_id)):
        if text is not None:
            identifier = ids.from_text(kind, text, path=("filter", f"{kind}Id"))
            statement = statement.where(COLUMNS[f"{kind}_id"] == identifier)
    if wanted.currency is not None:
        statement = statement.where(COLUMNS.currency == wanted.currency)
    if wanted.issued_at is not None and wanted.issued_at.gte is not None:
        statement = statement.where(COLUMNS.issued_at >= wanted.issued_at.gte)
    if wanted.issued_at is not None and wanted.issued_at.lt is not None:
        statement = statement.where(COLUMNS.issued_at < wanted.issued_at.lt)
    return statement


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
