"""What a payment request of AWS Marketplace says: ours when it is made, and AWS's words when it is read.

Owns names, descriptions, amounts and the meaning of a request's state. The calls are in `aws_payments.py`. A request carries our
invoice id at the end of its name, since that is all of ours that a list of requests shows.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from app.core import money
from connectors.aws import request_id_of
from connectors.aws_account import AwsCustomer
from connectors.base import InvoiceDocument, Outcome, OutcomeStatus, ProviderEntry, Terminal
from connectors.http import customer_of, member

# `name` takes 5 to 64 characters, `description` 2,000.
_LONGEST_NAME, _LONGEST_DESCRIPTION = 64, 2_000
PENDING, APPROVED = "PENDING_APPROVAL", "APPROVED"
_LIVING = frozenset({"VALIDATING", PENDING, APPROVED})
GONE = {
    "REJECTED": "Agree with the buyer, then void the invoice here and make it again, or settle it directly and cancel the "
    "delivery.",
    "CANCELLED": "Void it here too, or cancel the delivery when it is settled elsewhere.",
    "VALIDATION_FAILED": "Correct what AWS names, then void the invoice here and make it again, or settle it directly and "
    "cancel the delivery.",
}
"""Words for a request that asks for nothing any more, and what a person does then."""


def buyer_of(document: InvoiceDocument) -> AwsCustomer:
    """The customer's side of a document, with its agreement. Error: `Terminal` CUSTOMER_SETTINGS."""
    customer = customer_of(AwsCustomer.from_settings, document.customer)
    if not customer.agreement_id:
        text = "The billing configuration names no agreement to ask a payment of."
        raise Terminal("CUSTOMER_SETTINGS", text, hint="Settle the invoice directly.")
    return customer


def name_of(document: InvoiceDocument) -> str:
    """`INV-000042 (inv_…)`: what the buyer reads, and by what the request is found again."""
    name = f"{document.number} ({document.reference})"
    assert len(name) <= _LONGEST_NAME, "a number and an id fit into a name"
    return name


def reference_of(request: object) -> str | None:
    """Our invoice id, from the name of a request; None on those that others made."""
    named = re.fullmatch(r".* \((inv_\w+)\)", str(member(request, "name") or ""))
    return named[1] if named else None


def description_of(document: InvoiceDocument) -> str:
    """What is asked for, for the person who approves it: number, contract, time, and as many lines as there is room for."""
    head = f"Invoice {document.number} of contract {document.contract}"
    start, end = document.service_starting_at, document.service_ending_before
    if start is not None and end is not None:
        last = end - timedelta(seconds=1)
        head += f", {start.astimezone(UTC):%Y-%m-%d} to {last.astimezone(UTC):%Y-%m-%d}"
    elif document.date is not None:
        head += f", {document.date.astimezone(UTC):%Y-%m-%d}"
    text, total = head, len(document.lines)
    for shown, line in enumerate(document.lines):
        more = f"\n{line.description}: {money.canonical(line.amount)} {document.currency}"
        rest = f"\nand {total - shown} more lines"
        is_last = shown == total - 1
        if len(text) + len(more) + (0 if is_last else len(rest)) > _LONGEST_DESCRIPTION:
            return f"{text}{rest}"[:_LONGEST_DESCRIPTION]
        text += more
    return text


def outcome_of(document: InvoiceDocument, request: object, *, is_new: bool) -> Outcome:
    """What a request that stands at AWS means for the document."""
    word, amount = str(member(request, "status") or ""), _amount(request)
    identifier = str(member(request, "paymentRequestId"))
    status, code, message, hint = OutcomeStatus.UNKNOWN, "INCOMPLETE", f"AWS shows {identifier} as {word!r}.", None
    if word in GONE:
        status, code, hint = OutcomeStatus.REFUSED, "VOIDED_AT_PROVIDER", GONE[word]
        message = f"{identifier} is {word} at AWS: {member(request, 'statusMessage') or 'no reason was given'}"
    elif word in _LIVING and amount is not None:
        is_ours = amount == document.total and member(request, "currencyCode") in (None, document.currency)
        status, code, message = OutcomeStatus.ACCEPTED if is_new else OutcomeStatus.DUPLICATE, None, None
        if not is_ours:
            status, code = OutcomeStatus.COLLISION, "OTHER_CONTENT"
            theirs = f"{money.canonical(amount)} {member(request, 'currencyCode') or ''}".strip()
            message = f"AWS asks for {theirs} with {identifier}, we billed {money.canonical(document.total)} {document.currency}."
            hint = "Cancel that request at AWS, and look at the currency of the term."
    return Outcome(
        reference=document.reference, status=status, acknowledged=amount, provider_reference=_joined(request, document),
        provider_status=word or None, code=code, message=message, hint=hint, request_ids=ids_of(request),
    )  # fmt: skip


def entry_of(request: object) -> ProviderEntry:
    """A request as reconciliation and reading back know objects of providers."""
    created = member(request, "createdAt")
    return ProviderEntry(
        provider_reference=_joined(request, None),
        provider_status=str(member(request, "status") or ""),
        reference=reference_of(request),
        amount=_amount(request),
        currency=member(request, "currencyCode"),
        created_at=created.astimezone(UTC) if isinstance(created, datetime) else None,
        message=member(request, "statusMessage"),
        charge=member(request, "chargeId"),
    )


def is_request(provider_reference: str) -> bool:
    """Whether what we kept of a delivery names a payment request: `agreement/pr-…`."""
    return re.fullmatch(r".+/pr-\w+", provider_reference) is not None


def _amount(request: object) -> Decimal | None:
    try:
        amount = Decimal(str(member(request, "chargeAmount")))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _joined(request: object, document: InvoiceDocument | None) -> str:
    """`agreement/pr-…`: AWS asks for both ids to find a request, and the second has no slash."""
    agreement = member(request, "agreementId") or (buyer_of(document).agreement_id if document is not None else "")
    return f"{agreement}/{member(request, 'paymentRequestId')}"


def ids_of(answer: object) -> tuple[str, ...]:
    """AWS's id of a call, where an answer has one."""
    found = request_id_of(answer)
    return (found,) if found else ()
