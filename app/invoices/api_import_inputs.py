"""What callers send to import invoices of the past, and its way to the service.

Owns the inputs and how many of each there may be.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry

from app.checks import at_most
from app.custom_fields.api_types import custom_fields_in
from app.errors import ErrorCode, InvalidInput
from app.graphql.values import IntervalInput, KeyValueInput, group_of
from app.invoices.api_breakdown_inputs import interval_with_end
from app.invoices.imported_usage import GivenQuantity
from app.invoices.importing import HistoricalInvoice
from app.store import ids

MAX_INVOICES = 50
MAX_LINES = 500
MAX_PARTS = 1_000
PATH = ("input", "invoices")


@strawberry.input(description="What was used from some hour on.")
class HistoricalPartInput:
    starting_at: datetime = strawberry.field(description="The hour at which it counts: its prices hold. A full hour.")
    quantity: Decimal = strawberry.field(description="How much.")


@strawberry.input(description="Usage of one product and group: a quantity, or its parts by hour or day.")
class HistoricalUsageInput:
    product_id: strawberry.ID = strawberry.field(description="The usage product, which is on the contract's card.")
    pricing: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="A value for each property of its pricing group key."
    )
    presentation: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="A value for each property of its presentation group key."
    )
    quantity: Decimal | None = strawberry.field(
        default=None, description="The whole, as it is priced; it counts at the start of the statement."
    )
    parts: list[HistoricalPartInput] | None = strawberry.field(
        default=None, description="Instead of a quantity: 1 to 1,000 parts, by which breakdowns and prices go."
    )


@strawberry.input(description="A statement of the past.")
class HistoricalInvoiceInput:
    contract_id: strawberry.ID = strawberry.field(description="The contract, at whose prices it is billed.")
    interval: IntervalInput = strawberry.field(description="A statement period of the contract that is over and open.")
    issued_at: datetime | None = strawberry.field(
        default=None, description="When it was issued; default: when it would have become final."
    )
    usage: list[HistoricalUsageInput] = strawberry.field(
        description="Its usage, at most 500 entries; stored usage is left out."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )


@strawberry.input(description="Invoices of the past to make; all of them or none.")
class HistoricalInvoicesInput:
    preview: bool = strawberry.field(description="Only show what they would say; nothing is stored.")
    invoices: list[HistoricalInvoiceInput] = strawberry.field(
        description="At most 50, in the order in which they draw on balances."
    )


def invoices_asked(found: HistoricalInvoicesInput) -> list[HistoricalInvoice]:
    """The invoices that an input asks for. Errors: REQUIRED, INVALID, `LimitExceeded`."""
    at_most(found.invoices, MAX_INVOICES, path=PATH)
    if not found.invoices:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one invoice.", path=PATH)
    return [_invoice(item, path=(*PATH, str(place))) for place, item in enumerate(found.invoices)]


def _invoice(found: HistoricalInvoiceInput, *, path: tuple[str, ...]) -> HistoricalInvoice:
    at_most(found.usage, MAX_LINES, path=(*path, "usage"))
    return HistoricalInvoice(
        ids.from_text("contract", found.contract_id, path=(*path, "contractId")),
        interval_with_end(found.interval, path=(*path, "interval")),
        [_quantity(item, path=(*path, "usage", str(place))) for place, item in enumerate(found.usage)],
        found.issued_at,
        custom_fields_in(found.custom_fields, path=(*path, "customFields")),
    )


def _quantity(found: HistoricalUsageInput, *, path: tuple[str, ...]) -> GivenQuantity:
    if (found.quantity is None) is (not found.parts):
        raise InvalidInput(ErrorCode.INVALID, "Give a quantity or parts, one of the two.", path=(*path, "quantity"))
    at_most(found.parts or (), MAX_PARTS, path=(*path, "parts"))
    parts = [(part.starting_at, part.quantity) for part in found.parts or ()]
    return GivenQuantity(
        ids.from_text("product", found.product_id, path=(*path, "productId")),
        group_of(found.pricing, path=(*path, "pricing")),
        group_of(found.presentation, path=(*path, "presentation")),
        parts or [(None, found.quantity)],  # type: ignore[list-item]
    )
