"""Breakdowns: a statement by hour or by day, final or not.

Owns which terms and which usage a breakdown is made from. A final statement is rated again with the terms that it was
made from and with the usage that is there now: a breakdown follows the usage, the invoice does not (semantics 6.7).
"""

from __future__ import annotations

from datetime import UTC

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.frozen import terms_from_json
from app.core.breakdown import Window, WindowSize, break_down
from app.core.period import Period
from app.invoices.drafts import RatedStatement
from app.invoices.tables import Invoice, InvoiceInputs
from app.usage.reading import usage_of_products


async def break_down_invoice(
    session: AsyncSession, invoice: Invoice | RatedStatement, *, size: WindowSize
) -> tuple[Window, ...]:
    """The windows in which something is, in order of time.

    They add up to the invoice, except for usage that arrived after it became final.
    """
    if isinstance(invoice, RatedStatement):
        return break_down(invoice.terms, invoice.statement.period, invoice.usage, size=size, is_final=False)
    inputs = await session.get_one(InvoiceInputs, invoice.id)
    terms = terms_from_json(inputs.terms)
    period = Period(invoice.starting_at.astimezone(UTC), invoice.ending_before.astimezone(UTC))
    usage = await usage_of_products(
        session,
        customer_id=invoice.customer_id,
        products=terms.products,
        period=period,
        filters=terms.usage_filters,
    )
    return break_down(terms, period, usage, size=size, is_final=True)
