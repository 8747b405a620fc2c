"""Taking back at Stripe what was delivered: a draft is deleted, an open invoice voided, a paid one credited.

Owns that choice. Only what was paid needs a decision of the seller's (`credit_paid`), because it gives money: to the
customer's balance, which pays the next invoice. Source: docs.stripe.com/api/credit_notes/create, November 2026.
"""

from __future__ import annotations

from typing import Any

import stripe

from connectors import base
from connectors.base import Outcome, OutcomeStatus, Transient
from connectors.stripe_calls import MAX_PAGES, call, checked, every_page, metadata_of
from connectors.stripe_invoice import INVOICE_KEY

CREDITED = "credited"
"""Our word for a paid invoice whose whole amount is on the customer's balance; Stripe goes on calling it paid."""


async def take_back(client: stripe.StripeClient, receipt: base.Receipt, *, credit_paid: bool) -> Outcome:
    """Undo a delivery; done again it changes nothing. `Terminal` CREDIT_NEEDED for what only a person can undo."""
    invoices = client.v1.invoices
    identifier = receipt.provider_reference
    invoice = checked(await call("retrieve", invoices.retrieve_async(identifier), writes=False))
    if invoice.status == "paid":
        return _told(receipt, await _credit(client, receipt, invoice, credit_paid=credit_paid))
    if invoice.status == "draft":
        await call("delete", invoices.delete_async(identifier))
        return _told(receipt, "deleted")
    if invoice.status != "void":
        key: stripe.RequestOptions = {"idempotency_key": f"{receipt.reference}:{identifier}:void"}
        checked(await call("void", invoices.void_invoice_async(identifier, options=key)))
    return _told(receipt, "void")


async def _credit(
    client: stripe.StripeClient, receipt: base.Receipt, invoice: stripe.Invoice, *, credit_paid: bool
) -> str:
    """Put a paid total on the customer's balance, unless our credit note is there already."""
    if invoice.total == 0:
        return "paid"
    if invoice.total < 0:
        raise base.Terminal(
            base.CREDIT_NEEDED, f"The credit of {invoice.id} is on the customer's balance already.",
            hint="Take it off the balance in Stripe, then cancel the delivery.",
        )  # fmt: skip
    if not credit_paid:
        raise base.Terminal(
            base.CREDIT_NEEDED, f"{invoice.id} is paid, and a paid invoice cannot be voided.",
            hint="Issue a credit note in Stripe, then cancel the delivery; or set credit_paid for the account and retry.",
        )  # fmt: skip
    notes = client.v1.credit_notes
    # Our own look-up first: Stripe forgets keys after a day, and a second note would give the money twice.
    pages = every_page("credit_notes", notes.list_async, {"invoice": str(invoice.id)}, most=MAX_PAGES)
    async for note in pages:
        if metadata_of(note, INVOICE_KEY) == receipt.reference and note.status != "void":
            return CREDITED
    parameters: Any = {
        "invoice": str(invoice.id),
        "amount": invoice.total,
        "credit_amount": invoice.total,
        "email_type": "none",
        "memo": "The invoice was taken back.",
        "metadata": {INVOICE_KEY: receipt.reference},
    }
    key: stripe.RequestOptions = {"idempotency_key": f"{receipt.reference}:{invoice.id}:credit"}
    note = await call("credit", notes.create_async(parameters, key))
    if not str(getattr(note, "id", "")).startswith("cn_"):
        raise Transient("Stripe answered 200 without a credit note in it", unknown=True)
    return CREDITED


def _told(receipt: base.Receipt, status: str) -> Outcome:
    return Outcome(
        reference=receipt.reference,
        status=OutcomeStatus.ACCEPTED,
        provider_reference=receipt.provider_reference,
        provider_status=status,
    )
