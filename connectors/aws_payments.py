"""Scheduled invoices become payment requests of AWS Marketplace: exact amounts that the buyer approves.

Owns the calls and their order. Leaves what a request says to `aws_request.py`, the account to `aws_account.py`, and which
invoices come this way to `app/delivery`. AWS forgets client tokens, so each delivery first looks through the agreement's
requests for one of ours. Source: AWS Marketplace Agreement Service, SendAgreementPaymentRequest,
GetAgreementPaymentRequest, ListAgreementPaymentRequests and CancelAgreementPaymentRequest, November 2026.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.core import money
from app.core.period import Period
from connectors.aws import Refused
from connectors.aws_account import AGREEMENT, AwsAccount
from connectors.aws_request import (
    APPROVED,
    GONE,
    PENDING,
    buyer_of,
    description_of,
    entry_of,
    ids_of,
    name_of,
    outcome_of,
    reference_of,
)
from connectors.base import (
    CREDIT_NEEDED,
    SKIPPED,
    InvoiceDocument,
    Outcome,
    OutcomeStatus,
    ProviderEntry,
    Receipt,
    Terminal,
    Transient,
)
from connectors.http import member, members

# The Agreement Service answers in this region alone, wherever the buyer is metered.
_REGION = "us-east-1"
# Pages hold 50 at most; so many requests of one seller are more than are made in years.
_PAGE, _PAGES = 50, 400
_WRONG_IDS = (
    "Look at the agreement at AWS: agreementId and variablePaymentTermId of the billing configuration name its active "
    "VariablePaymentTerm. Move the contract to a configuration with the right ids, and settle this invoice directly."
)
_HINTS = {
    "INVALID_CHARGE_AMOUNT": "The amount is above what the term has left. Have the buyer accept an amendment of the agreement "
    "and retry, or settle the invoice directly.",
    "INVALID_AGREEMENT_ID": _WRONG_IDS,
    "INVALID_TERM_ID": _WRONG_IDS,
    "ResourceNotFoundException": _WRONG_IDS,
    "INACTIVE_AGREEMENT": "The agreement has ended; settle the invoice with the buyer directly.",
}
_NO_REQUEST = "ResourceNotFoundException"


class AwsPayments:
    """The payment requests of one account. `is_offered`: its settings let new ones be made; old ones are always looked after."""

    def __init__(self, account: AwsAccount, *, is_offered: bool) -> None:
        self._account = account
        self._is_offered = is_offered

    async def deliver(self, document: InvoiceDocument, key: str) -> Outcome:
        """Ask the buyer for the total of an invoice, unless that was done before; the token is made of the key."""
        customer = buyer_of(document)
        if document.total <= 0:
            return Outcome(
                reference=document.reference, status=OutcomeStatus.ACCEPTED, acknowledged=Decimal(0), code=SKIPPED,
                message="The total is not above zero, and AWS takes no such request.",
            )  # fmt: skip
        found = await self.find(document)
        if found is not None:
            return found
        if not self._is_offered:
            raise Terminal(
                "PAYMENT_REQUESTS_OFF", "The account makes no payment requests any more.",
                hint="Set payment_requests = true for the account again and retry, or settle the invoice directly: it is not "
                "metered.",
            )  # fmt: skip
        parameters = {
            "clientToken": hashlib.sha256(key.encode()).hexdigest(),
            "agreementId": customer.agreement_id,
            "termId": customer.term_id,
            "name": name_of(document),
            "description": description_of(document),
            "chargeAmount": money.canonical(document.total),
        }
        try:
            made = await self._ask("send_agreement_payment_request", parameters)
        except Refused as refused:
            # The token, or the agreement, is busy with another call: perhaps with an earlier one of ours.
            again = await self.find(document) if refused.code == "ConflictException" else None
            if again is None:
                raise _terminal(refused) from refused
            return again
        if not member(made, "paymentRequestId"):
            raise Transient("AWS answered 200 without a payment request in it", unknown=True)
        return outcome_of(document, made, is_new=True)

    async def find(self, document: InvoiceDocument) -> Outcome | None:
        """The request with our invoice id among those of the agreement, a closed one only when there is no other."""
        agreement = buyer_of(document).agreement_id
        same = [one for one in await self._listed(agreementId=agreement) if reference_of(one) == document.reference]
        living = [one for one in same if member(one, "status") not in GONE]
        if len(living) > 1:
            names = ", ".join(str(member(one, "paymentRequestId")) for one in living)
            raise Terminal(
                "TWICE_AT_PROVIDER", f"{document.reference} is at AWS as {names}.", hint="Cancel all but one."
            )
        if not same:
            return None
        chosen = living[0] if living else same[-1]
        if not living:
            # The list leaves out why.
            try:
                chosen = await self._get(agreement, str(member(chosen, "paymentRequestId")))
            except Refused as refused:
                raise _terminal(refused) from refused
        return outcome_of(document, chosen, is_new=False)

    async def take_back(self, receipt: Receipt) -> Outcome:
        """Cancel a request that waits for the buyer; one that asks for nothing any more stays as it is.

        Errors: Terminal CREDIT_NEEDED for one that the buyer approved, `Transient` while AWS validates it.
        """
        agreement, identifier = _split(receipt.provider_reference)
        try:
            request = await self._get(agreement, identifier)
            if member(request, "status") == PENDING:
                try:
                    request = await self._ask("cancel_agreement_payment_request", _named(agreement, identifier))
                except Refused as refused:
                    if refused.code != "ConflictException":
                        raise
                    # The buyer has answered in between.
                    request = await self._get(agreement, identifier)
        except Refused as refused:
            raise _terminal(refused) from refused
        word = str(member(request, "status"))
        if word == APPROVED:
            charge = member(request, "chargeId") or "unknown"
            raise Terminal(
                CREDIT_NEEDED, f"The buyer has approved {identifier}, and AWS charges it (charge {charge}).",
                hint="Request a billing adjustment at AWS for the amount, then cancel the delivery.",
            )  # fmt: skip
        if word not in GONE:
            raise Transient(f"{identifier} is {word} at AWS; only one that waits for the buyer can be cancelled")
        return Outcome(
            reference=receipt.reference, status=OutcomeStatus.ACCEPTED, provider_reference=receipt.provider_reference,
            provider_status=word, request_ids=ids_of(request),
        )  # fmt: skip

    async def status(self, provider_reference: str) -> ProviderEntry:
        """The request as AWS shows it now; `deleted` when AWS knows none of that id."""
        agreement, identifier = _split(provider_reference)
        try:
            return entry_of(await self._get(agreement, identifier))
        except Refused as refused:
            if refused.code != _NO_REQUEST:
                raise _terminal(refused) from refused
        return ProviderEntry(provider_reference=provider_reference, provider_status="deleted")

    async def requests(self, period: Period) -> Sequence[ProviderEntry]:
        """Every request of the account that was made in the period, oldest first; AWS lists them by no time."""
        found = [(one.created_at, one) for one in map(entry_of, await self._listed())]
        within = [(at, one) for at, one in found if at is not None and period.contains(at)]
        return [one for _, one in sorted(within, key=lambda item: (item[0], item[1].provider_reference))]

    async def _get(self, agreement: str, identifier: str) -> Mapping[str, Any]:
        found = await self._ask("get_agreement_payment_request", _named(agreement, identifier))
        if not member(found, "paymentRequestId"):
            raise Transient("AWS answered 200 without a payment request in it")
        return found

    async def _listed(self, **filters: str) -> list[object]:
        found: list[object] = []
        parameters: dict[str, Any] = {"partyType": "Proposer", "maxResults": _PAGE, **filters}
        for _ in range(_PAGES):
            try:
                answer = await self._ask("list_agreement_payment_requests", parameters)
            except Refused as refused:
                raise _terminal(refused) from refused
            # An answer that was cut reads as an empty one, and "none" would make a second request.
            if not isinstance(member(answer, "items"), list):
                raise Transient("AWS answered 200 without a list in it")
            found += members(answer, "items")
            if not member(answer, "nextToken"):
                return found
            parameters["nextToken"] = member(answer, "nextToken")
        raise Terminal(
            "TOO_MANY", f"AWS lists more than {_PAGE * _PAGES} payment requests.", hint="Look the invoice up there."
        )

    async def _ask(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._account.ask(AGREEMENT, _REGION, operation, parameters)


def _split(provider_reference: str) -> tuple[str, str]:
    agreement, _, identifier = provider_reference.rpartition("/")
    return agreement, identifier


def _named(agreement: str, identifier: str) -> dict[str, str]:
    return {"agreementId": agreement, "paymentRequestId": identifier}


def _terminal(refused: Refused) -> Terminal:
    """A refusal by AWS's finer word where it gives one, with what a person can do."""
    code = refused.reason or refused.code
    hint = _HINTS.get(code) or _HINTS.get(refused.code) or "Correct what AWS names; a repeat will not help."
    return Terminal(code, refused.message, hint=hint)
