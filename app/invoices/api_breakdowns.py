"""How the hours and days of an invoice are shown.

Owns their GraphQL type. Windows are computed on reading; they add up to the invoice, except for usage that came later.
"""

from __future__ import annotations

from uuid import UUID

import strawberry

from app.core.breakdown import Window, WindowSize
from app.core.terms import Terms
from app.graphql.context import Info
from app.graphql.values import Interval, Money, described_enum
from app.invoices import tables
from app.invoices.api_lines import InvoiceLine, line_shown
from app.invoices.api_loaders import Either
from app.invoices.breakdowns import break_down_invoice

BreakdownWindowSize = described_enum(
    WindowSize,
    name="BreakdownWindowSize",
    description="How long the windows of a breakdown are.",
    sentences={WindowSize.HOUR: "Full hours.", WindowSize.DAY: "Calendar days, UTC."},
)


@strawberry.type(description="What one hour or day adds to an invoice.")
class InvoiceBreakdown:
    window: Interval = strawberry.field(
        description="The hour or day; the first and last of a statement may be shorter."
    )
    total: Money = strawberry.field(description="Exact sum of the lines that count.")
    lines: list[InvoiceLine] = strawberry.field(description="The part of each line that lies in the window.")


async def windows_of(info: Info, invoice: Either, *, size: WindowSize) -> list[InvoiceBreakdown]:
    """The windows of a draft or a final invoice, in order of time."""
    windows = await break_down_invoice(info.context.session, invoice, size=size)
    currency = invoice.currency if isinstance(invoice, tables.Invoice) else invoice.draft.unit.code
    origin = invoice.id if isinstance(invoice, tables.Invoice) else invoice.terms
    return [_shown(window, currency, origin) for window in windows]


def _shown(window: Window, currency: str, origin: Terms | UUID) -> InvoiceBreakdown:
    return InvoiceBreakdown(
        window=Interval(starting_at=window.period.starting_at, ending_before=window.period.ending_before),
        total=Money.of(window.total, currency),
        lines=[line_shown(position, line, origin) for position, line in enumerate(window.lines)],
    )
