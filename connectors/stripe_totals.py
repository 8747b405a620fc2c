"""What an invoice at Stripe comes to: the part that we billed, and the tax on top of it.

Owns that difference, for the comparison before an invoice is final and for reconciliation after it.
"""

from __future__ import annotations

from typing import Any

import stripe

from connectors import stripe_tax
from connectors.base import PaymentState, ProviderEntry
from connectors.stripe_calls import every_page, instant_of, metadata_of
from connectors.stripe_invoice import INVOICE_KEY, LINE_KEY, major_units

MAX_PAGES = 10
"""A hundred lines each; an invoice has 250 of ours, and some more of tax software."""


async def billed(client: stripe.StripeClient, invoice: stripe.Invoice) -> int:
    """Minor units of it that are no tax: all before tax is added, and without the lines that tax software adds.

    Tax that a price includes is a part of it. Source: docs.stripe.com/api/invoices/object (`subtotal`), November 2026.
    """
    if metadata_of(invoice, stripe_tax.KEY) == stripe_tax.EXTERNAL:
        lines = every_page("lines", lambda asked: _lines(client, invoice, asked), {}, most=MAX_PAGES)
        return sum([line.amount async for line in lines if metadata_of(line, LINE_KEY) is not None])
    # Other versions and stand-ins may leave it out, and the SDK raises for what is absent.
    found: list[stripe.Invoice.TotalDiscountAmount] | None = getattr(invoice, "total_discount_amounts", None)
    return invoice.subtotal - sum(item.amount for item in found or [])


async def entry_of(client: stripe.StripeClient, invoice: stripe.Invoice) -> ProviderEntry:
    """A Stripe invoice as reconciliation sees it; amounts in the major unit."""
    currency = invoice.currency.upper()
    reference = metadata_of(invoice, INVOICE_KEY)
    tax = 0 if reference is None else invoice.total - await billed(client, invoice)
    return ProviderEntry(
        provider_reference=str(invoice.id),
        provider_status=str(invoice.status),
        reference=reference,
        amount=major_units(invoice.total, currency),
        tax=major_units(tax, currency),
        amount_paid=major_units(invoice.amount_paid, currency),
        payment=_payment_of(invoice),
        currency=currency,
        effective_at=instant_of(invoice.effective_at),
        due_at=instant_of(getattr(invoice, "due_date", None)),
        created_at=instant_of(invoice.created),
    )


def _payment_of(invoice: stripe.Invoice) -> PaymentState:
    """Paid, or failed: given up, void, or still open after a try. A draft, or one that was not tried yet, is open.

    Source: docs.stripe.com/api/invoices/object, `status` and `attempt_count`, November 2026.
    """
    if invoice.status == "paid":
        return PaymentState.PAID
    is_tried_in_vain = invoice.status == "open" and bool(invoice.attempt_count)
    return PaymentState.FAILED if is_tried_in_vain or invoice.status in ("void", "uncollectible") else PaymentState.OPEN


async def _lines(client: stripe.StripeClient, invoice: stripe.Invoice, asked: Any) -> Any:
    return await client.v1.invoices.line_items.list_async(str(invoice.id), asked)
