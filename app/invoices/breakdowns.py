"""Breakdowns: a statement by hour or by day, final or not.

Owns which terms and which usage a breakdown is made from. A final statement is rated again with the terms that it was
made from and with the usage that is there now: a breakdown follows the usage, the invoice does not (semantics 6.7).
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.frozen import terms_from_json
from app.core.breakdown import Window, WindowSize, break_down, scheduled_window
from app.core.invoice import InvoiceType
from app.core.items import fees_and_charges
from app.core.pots import pots_from_json
from app.invoices.books import line_of, period_of
from app.invoices.drafts import RatedStatement
from app.invoices.tables import Invoice, InvoiceInputs, InvoiceLine
from app.usage.reading import usage_of_products


async def break_down_invoice(
    session: AsyncSession, invoice: Invoice | RatedStatement, *, size: WindowSize
) -> tuple[Window, ...]:
    """The windows in which something is, in order of time.

    They add up to the invoice, except for usage that arrived after it became final.
    """
    if isinstance(invoice, RatedStatement):
        if invoice.statement.type is not InvoiceType.USAGE:
            return (scheduled_window(invoice.statement.period.starting_at, invoice.draft.lines, size=size),)
        fees, charges = fees_and_charges(invoice.items)
        return break_down(
            invoice.terms,
            invoice.statement.period,
            invoice.usage,
            size=size,
            is_final=False,
            pots=invoice.pots,
            fees=fees,
            charges=charges,
        )
    rows = await session.execute(
        select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(col(InvoiceLine.position))
    )
    lines = [line_of(row) for row in rows.scalars()]
    if invoice.type != InvoiceType.USAGE:
        return (scheduled_window(invoice.starting_at, lines, size=size),)
    inputs = await session.get_one(InvoiceInputs, invoice.id)
    terms, period = terms_from_json(inputs.terms), period_of(invoice)
    usage = await usage_of_products(
        session,
        customer_id=invoice.customer_id,
        products=terms.products,
        period=period,
        filters=terms.usage_filters,
    )
    fees, charges = fees_and_charges(lines)
    pots = pots_from_json(inputs.pots)
    return break_down(terms, period, usage, size=size, is_final=True, pots=pots, fees=fees, charges=charges)
