"""How the hours and days of an invoice are shown, grouped by product or by any property.

Owns their GraphQL type. Windows are computed on reading: what is billed adds up to the invoice, and what came too late for
it stands apart.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.catalog.api_types import Product
from app.checks import at_most, distinct, text_of
from app.core.breakdown import WindowPair, WindowSize
from app.core.line_groups import LineGroup, grouped
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.values import Interval, Money, described_enum
from app.invoices import tables
from app.invoices.api_line_parts import GroupValue, Origin
from app.invoices.api_lines import InvoiceLine, line_shown, product_of
from app.invoices.api_loaders import Either

if TYPE_CHECKING:
    from app.invoices.api_types import Invoice

MAX_KEYS = 5
MAX_KEY = 200

BreakdownWindowSize = described_enum(
    WindowSize,
    name="BreakdownWindowSize",
    description="How long the windows of a breakdown are.",
    sentences={WindowSize.HOUR: "Full hours.", WindowSize.DAY: "Calendar days, UTC."},
)


@strawberry.type(description="What one product, or one combination of values, adds to an hour or day.")
class BreakdownGroup:
    product_name: str | None = strawberry.field(
        description="Name of the product on the invoice, where groups are by product; null for what has none, such as "
        "rounding."
    )
    values: list[GroupValue] = strawberry.field(description="The value of each property asked for, in that order.")
    quantity: Decimal | None = strawberry.field(
        description="How much was used; null where the quantities of several products would come together."
    )
    total: Money = strawberry.field(description="Exact sum of its lines that count; groups add up to the window.")
    product_id: strawberry.Private[UUID | None]

    @object_field(
        scope="catalog:read", description="The product; null for tokens of one customer. Scope: catalog:read."
    )
    async def product(self, info: Info) -> Product | None:
        return await product_of(info, self.product_id)


@strawberry.type(description="What one hour or day adds to an invoice.")
class InvoiceBreakdown:
    window: Interval = strawberry.field(
        description="The hour or day; the first and last of a statement may be shorter."
    )
    total: Money = strawberry.field(description="Exact sum of the lines that count.")
    late_amount: Money = strawberry.field(
        description="What usage that came, or was taken back, after the invoice was final would add to the window, at the "
        "invoice's prices and from its balances. It is not in the total, and on no invoice."
    )
    lines: list[InvoiceLine] = strawberry.field(description="The part of each line that lies in the window.")
    is_final: bool = strawberry.field(description="Whether the invoice is final; a draft's window may still change.")
    source: strawberry.Private[Either]
    pair: strawberry.Private[WindowPair]

    @strawberry.field(description="The invoice or draft of which it is a part.")
    async def invoice(self) -> Annotated[Invoice, strawberry.lazy("app.invoices.api_types")]:
        return self.source  # type: ignore[return-value]

    @strawberry.field(
        description="The window by product, by properties of usage (pricing and presentation keys alike), or by both; "
        "at most 5 properties."
    )
    async def groups(
        self,
        by: Annotated[list[str], strawberry.argument(description="Names of properties.")] = [],  # noqa: B006
        by_product: Annotated[bool, strawberry.argument(description="Whether products stand apart.")] = False,
    ) -> list[BreakdownGroup]:
        at_most(by, MAX_KEYS, path=("by",))
        names = distinct([text_of(name, path=("by",), longest=MAX_KEY) for name in by], path=("by",))
        found = grouped(self.pair.billed.lines, by=names, by_product=by_product)
        return [_group_shown(group, self.total.currency) for group in found]


def breakdown_shown(invoice: Either, pair: WindowPair) -> InvoiceBreakdown:
    """A window of a draft or of a final invoice."""
    is_final = isinstance(invoice, tables.Invoice)
    currency = invoice.currency if isinstance(invoice, tables.Invoice) else invoice.draft.unit.code
    origin = invoice.id if isinstance(invoice, tables.Invoice) else Origin.of(invoice)
    return InvoiceBreakdown(
        window=Interval(starting_at=pair.period.starting_at, ending_before=pair.period.ending_before),
        total=Money.of(pair.billed.total, currency),
        late_amount=Money.of(pair.late_amount, currency),
        lines=[line_shown(position, line, origin) for position, line in enumerate(pair.billed.lines)],
        is_final=is_final,
        source=invoice,
        pair=pair,
    )


def _group_shown(group: LineGroup, currency: Any) -> BreakdownGroup:
    return BreakdownGroup(
        product_id=group.product_id,
        product_name=group.product_name,
        values=[GroupValue(key=key, value=value) for key, value in group.values],
        quantity=group.quantity,
        total=Money.of(group.amount, currency),
    )
