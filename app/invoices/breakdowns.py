"""Breakdowns: a statement by hour or by day, final or not.

Owns which terms and which usage a breakdown is made from. The windows of a final invoice are rated from what was frozen
with it, and so add up to it; what came later is rated beside them, at the same terms and from the same balances (golden
decision 38), and stands apart.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.frozen import terms_from_json
from app.core.breakdown import WindowPair, WindowSize, break_down, paired, scheduled_window, window_periods
from app.core.invoice import InvoiceType
from app.core.items import fees_and_charges
from app.core.pots import pots_from_json
from app.core.quantities import Usage, UsageKey, usage_from_json
from app.invoices.books import lines_of, period_of
from app.invoices.drafts import RatedStatement
from app.invoices.earlier import statements_before
from app.invoices.frozen_items import IMPORTED
from app.invoices.tables import Invoice, InvoiceInputs
from app.usage.reading import usage_of_products


async def break_down_invoice(
    session: AsyncSession, invoice: Invoice | RatedStatement, *, size: WindowSize, with_empty: bool = False
) -> tuple[WindowPair, ...]:
    """The windows in which something is, or `with_empty` every window, in order of time.

    What is billed adds up to the invoice. Nothing is late for a draft.
    """
    if isinstance(invoice, RatedStatement):
        if invoice.statement.type is not InvoiceType.USAGE:
            window = scheduled_window(invoice.statement.period.starting_at, invoice.draft.lines, size=size)
            return paired([window], [window])
        fees, charges = fees_and_charges(invoice.items)
        period = invoice.statement.period
        windows = break_down(
            invoice.terms, period, invoice.usage, size=size, is_final=False, pots=invoice.pots, fees=fees,
            charges=charges,
        )  # fmt: skip
        return paired(windows, windows, window_periods(period, size) if with_empty else ())
    lines = await lines_of(session, invoice.id)
    if invoice.type != InvoiceType.USAGE:
        window = scheduled_window(invoice.starting_at, lines, size=size)
        return paired([window], [window])
    inputs = await session.get_one(InvoiceInputs, invoice.id)
    terms, period, billed = terms_from_json(inputs.terms), period_of(invoice), usage_from_json(inputs.usage)
    usage = billed
    if IMPORTED not in inputs.terms:
        usage = await usage_of_products(
            session, customer_id=invoice.customer_id, products=terms.products, period=period,
            filters=terms.usage_filters, before=statements_before(session, invoice.contract_id, period.starting_at),
        )  # fmt: skip
    fees, charges = fees_and_charges(lines)
    pots = pots_from_json(inputs.pots)
    windows = with_late = break_down(
        terms, period, billed, size=size, is_final=True, pots=pots, fees=fees, charges=charges
    )
    if _hours(usage) != _hours(billed):
        with_late = break_down(terms, period, usage, size=size, is_final=True, pots=pots, fees=fees, charges=charges)
    return paired(windows, with_late, window_periods(period, size) if with_empty else ())


def _hours(usage: Usage) -> dict[tuple[UsageKey, datetime], Decimal]:
    return {(key, item.hour): item.quantity for key, hours in usage.items() for item in hours if item.quantity}
