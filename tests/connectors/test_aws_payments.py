"""Payment requests at AWS: what they say, what AWS refuses, what the buyer answers, and how they are taken back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from app.core.period import Period
from connectors.aws_account import AGREEMENT, AwsMarketplaceConfig
from connectors.aws_marketplace import AwsMarketplaceConnector
from connectors.aws_request import description_of
from connectors.base import CREDIT_NEEDED, SKIPPED, Connector, OutcomeStatus, Receipt, Terminal, Transient
from tests.connectors.world import CUSTOMERS, NOW, Sandbox, document, invoice, priced

Connect = Callable[..., Connector]
BUYER = CUSTOMERS["aws_payments"]
SENT = invoice(customer=BUYER)
ACCEPTED, DUPLICATE, REFUSED = OutcomeStatus.ACCEPTED, OutcomeStatus.DUPLICATE, OutcomeStatus.REFUSED
FIVE = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def answer(sandbox: Sandbox, reference: str | None, status: str, message: str = "") -> None:
    """What the buyer, or AWS, says to a request."""
    assert reference is not None
    sandbox.order("aws/payment-requests", id=reference.rpartition("/")[2], status=status, message=message)


def by_hand(sandbox: Sandbox, **changes: str) -> str:
    """A request that somebody else makes; returns its id."""
    body = {
        "agreementId": BUYER["agreementId"], "termId": BUYER["variablePaymentTermId"], "name": "By hand",
        "chargeAmount": "12.34", **changes,
    }  # fmt: skip
    headers = {"x-amz-target": "AWSMPCommerceService_v20200301.SendAgreementPaymentRequest"}
    made = sandbox.http.post("/", json=body, headers=headers)
    assert made.status_code == 200, made.text
    return made.json()["paymentRequestId"]


async def test_a_request_asks_for_the_exact_total_and_says_what_for(connect: Connect, sandbox: Sandbox) -> None:
    [outcome] = await connect("aws_payments").deliver(SENT, "key")
    [request] = sandbox.effects("aws_payments")
    assert outcome.provider_reference == f"agmt-acme/{request['id']}"
    assert (outcome.status, outcome.provider_status, outcome.acknowledged) == (
        ACCEPTED, "PENDING_APPROVAL", Decimal("12.34"),
    )  # fmt: skip
    assert (request["term"], request["amount"], request["name"]) == ("term-acme", "12.34", "2026-000001 (inv_october)")
    assert request["description"] == (
        "Invoice 2026-000001 of contract con_acme, 2026-10-01 to 2026-10-31\nTokens: 10 USD\nSupport: 2.34 USD"
    )


@pytest.mark.parametrize(("number", "cut"), [(1, False), (40, False), (41, True), (5_000, True)])
def test_a_description_has_as_many_lines_as_there_is_room_for(number: int, cut: bool) -> None:
    sent = priced(*["1"] * number, date=NOW, service_starting_at=None, service_ending_before=None)
    sent = replace(sent, lines=tuple(replace(line, description="l" * 40) for line in sent.lines))
    text = description_of(sent)
    head, *lines = text.split("\n")
    assert head.endswith("2026-11-02")
    assert len(text) <= 2_000
    assert len(text) > 1_900 or not cut
    assert (lines[-1].startswith("and ")) == cut
    assert len(lines) == number if not cut else f"and {number - len(lines) + 1} more lines" == lines[-1]


def stubbed(*answers: tuple[str, dict[str, Any] | str, dict[str, Any] | None]) -> AwsMarketplaceConnector:
    """A connector whose AWS gives these answers to these calls, or fails with these codes."""
    client: Any = boto3.client(AGREEMENT, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    stub = Stubber(client)
    for operation, given, expected in answers:
        if isinstance(given, str):
            stub.add_client_error(operation, given, http_status_code=409)
        else:
            stub.add_response(operation, given, expected)
    stub.activate()
    connector = AwsMarketplaceConnector(AwsMarketplaceConfig(payment_requests=True), lambda: NOW)
    connector._account._clients[AGREEMENT, "us-east-1"] = client
    return connector


LIST, SEND, GET, CANCEL = (
    f"{verb}_agreement_payment_request{'s' if verb == 'list' else ''}" for verb in ("list", "send", "get", "cancel")
)
NONE: dict[str, Any] = {"items": []}


def shown(status: str, **more: str) -> dict[str, Any]:
    """Our request as AWS shows it."""
    return {
        "paymentRequestId": "pr-1", "agreementId": "agmt-acme", "status": status, "name": "2026-000001 (inv_october)",
        "chargeAmount": "12.34", "currencyCode": "USD", "createdAt": NOW, **more,
    }  # fmt: skip


async def test_the_token_is_that_of_the_key_however_often_it_is_sent() -> None:
    expected = {
        "clientToken": hashlib.sha256(b"inv_october").hexdigest(),
        "agreementId": "agmt-acme", "termId": "term-acme", "name": "2026-000001 (inv_october)",
        "description": description_of(SENT), "chargeAmount": "12.34",
    }  # fmt: skip
    # A list that lags behind: the token is what keeps the second request from being one.
    connector = stubbed(*((LIST, NONE, None), (SEND, shown("PENDING_APPROVAL"), expected)) * 2)
    for _ in range(2):
        [outcome] = await connector.deliver(SENT, "inv_october")
        assert outcome.provider_reference == "agmt-acme/pr-1"


@pytest.mark.parametrize(
    ("shows", "status", "code"),
    [
        (shown("VALIDATING"), DUPLICATE, None),
        (shown("APPROVED"), DUPLICATE, None),
        (shown("SOMETHING_NEW"), OutcomeStatus.UNKNOWN, "INCOMPLETE"),
        (shown("PENDING_APPROVAL", chargeAmount="12.35"), OutcomeStatus.COLLISION, "OTHER_CONTENT"),
        (shown("PENDING_APPROVAL", currencyCode="EUR"), OutcomeStatus.COLLISION, "OTHER_CONTENT"),
        (shown("PENDING_APPROVAL", name="Another (inv_september)"), ACCEPTED, None),
    ],
)
async def test_what_stands_at_aws_is_judged(shows: dict[str, Any], status: OutcomeStatus, code: str | None) -> None:
    connector = stubbed((LIST, {"items": [shows]}, None), (SEND, shown("PENDING_APPROVAL"), None))
    [outcome] = await connector.deliver(SENT, "key")
    assert (outcome.status, outcome.code) == (status, code)


async def test_a_conflict_may_be_an_earlier_call_of_ours() -> None:
    found = {"items": [shown("PENDING_APPROVAL")]}
    [outcome] = await stubbed((LIST, NONE, None), (SEND, "ConflictException", None), (LIST, found, None)).deliver(
        SENT, "k"
    )
    assert outcome.status is DUPLICATE
    with pytest.raises(Terminal) as failure:
        await stubbed((LIST, NONE, None), (SEND, "ConflictException", None), (LIST, NONE, None)).deliver(SENT, "k")
    assert failure.value.code == "ConflictException"


@pytest.mark.parametrize(
    ("settings", "total", "code", "hint"),
    [
        ({"agreementId": "agmt-missing"}, "1", "ResourceNotFoundException", "agreementId"),
        ({"variablePaymentTermId": "term-missing"}, "1", "INVALID_TERM_ID", "variablePaymentTermId"),
        ({}, "100.01", "INVALID_CHARGE_AMOUNT", "above what the term has left"),
        ({"agreementId": "agmt-ended"}, "1", "INACTIVE_AGREEMENT", "directly"),
    ],
)
async def test_what_aws_refuses_is_told_with_a_hint_and_leaves_nothing(
    settings: dict[str, str], total: str, code: str, hint: str, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.order("aws/payment-terms", agreement="agmt-acme", term="term-acme", most="100")
    sandbox.order("aws/agreements", customer="agmt-ended", endedAt=NOW.isoformat())
    with pytest.raises(Terminal) as failure:
        await connect("aws_payments").deliver(priced(total, customer={**BUYER, **settings}), "key")
    assert (failure.value.code, hint in failure.value.hint) == (code, True)
    assert not failure.value.stop_connection
    assert sandbox.effects("aws_payments") == []


async def test_a_term_takes_no_more_than_its_maximum_in_all(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.order("aws/payment-terms", agreement="agmt-acme", term="term-acme", most="100")
    connector = connect("aws_payments")
    [first] = await connector.deliver(priced("60", customer=BUYER), "first")
    second = priced("40.01", customer=BUYER, reference="inv_second")
    with pytest.raises(Terminal, match="INVALID_CHARGE_AMOUNT"):
        await connector.deliver(second, "second")
    answer(sandbox, first.provider_reference, "REJECTED")
    [outcome] = await connector.deliver(second, "second")
    assert outcome.status is ACCEPTED


async def test_an_account_without_the_flag_makes_none_and_looks_after_the_old_ones(
    connect: Connect, sandbox: Sandbox
) -> None:
    off = connect("aws_payments", payment_requests=False)
    with pytest.raises(Terminal) as failure:
        await off.deliver(SENT, "key")
    assert (failure.value.code, "payment_requests" in failure.value.hint) == ("PAYMENT_REQUESTS_OFF", True)
    await connect("aws_payments").deliver(SENT, "key")
    [outcome] = await off.deliver(SENT, "key")
    assert outcome.status is DUPLICATE
    assert len(sandbox.effects("aws_payments")) == 1


async def test_nothing_is_asked_for_a_total_of_nothing_or_without_an_agreement(
    connect: Connect, sandbox: Sandbox
) -> None:
    connector = connect("aws_payments")
    for total in ("0", "-5"):
        [outcome] = await connector.deliver(priced(total, customer=BUYER), "key")
        assert (outcome.status, outcome.code, outcome.acknowledged) == (ACCEPTED, SKIPPED, 0)
    with pytest.raises(Terminal, match="CUSTOMER_SETTINGS"):
        await connector.deliver(invoice(customer=CUSTOMERS["aws_marketplace"]), "key")
    assert sandbox.calls() == []


@pytest.mark.parametrize("status", ["REJECTED", "VALIDATION_FAILED", "CANCELLED"])
async def test_what_was_refused_stays_refused_with_aws_words(status: str, connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("aws_payments")
    [sent] = await connector.deliver(SENT, "key")
    answer(sandbox, sent.provider_reference, status, "not agreed upon")
    sandbox.reset("keys")
    [outcome] = await connector.deliver(SENT, "key")
    assert (outcome.status, outcome.code, outcome.provider_status) == (REFUSED, "VOIDED_AT_PROVIDER", status)
    assert outcome.message is not None
    assert outcome.message.endswith("not agreed upon")
    assert outcome.hint
    assert len(sandbox.effects("aws_payments")) == 1


async def test_a_living_request_counts_before_closed_ones_and_two_of_them_are_too_many(
    connect: Connect, sandbox: Sandbox
) -> None:
    connector, name = connect("aws_payments"), "2026-000001 (inv_october)"
    [sent] = await connector.deliver(SENT, "key")
    answer(sandbox, sent.provider_reference, "CANCELLED")
    anew = by_hand(sandbox, name=name)
    found = await connector.find(SENT)
    assert found is not None
    assert (found.status, found.provider_reference) == (DUPLICATE, f"agmt-acme/{anew}")
    by_hand(sandbox, name=name)
    with pytest.raises(Terminal, match="TWICE_AT_PROVIDER"):
        await connector.deliver(SENT, "key")


async def test_a_request_is_read_back_with_its_charge(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("aws_payments")
    [sent] = await connector.deliver(SENT, "key")
    reference = str(sent.provider_reference)
    waiting = await connector.status(reference)
    assert (waiting.provider_status, waiting.reference, waiting.amount, waiting.currency, waiting.charge) == (
        "PENDING_APPROVAL", "inv_october", Decimal("12.34"), "USD", None,
    )  # fmt: skip
    assert waiting.created_at == NOW
    answer(sandbox, reference, "APPROVED", "thank you")
    approved = await connector.status(reference)
    assert (approved.provider_status, approved.message) == ("APPROVED", "thank you")
    assert str(approved.charge).startswith("ch-")
    assert (await connector.status("agmt-acme/pr-unknown")).provider_status == "deleted"
    assert (await connector.status("agmt-other/" + reference.rpartition("/")[2])).provider_status == "deleted"


async def test_a_request_that_waits_is_cancelled_and_an_approved_one_needs_a_credit(
    connect: Connect, sandbox: Sandbox
) -> None:
    connector = connect("aws_payments")
    [sent] = await connector.deliver(SENT, "key")
    receipt = Receipt(reference="inv_october", provider_reference=str(sent.provider_reference))
    answer(sandbox, sent.provider_reference, "VALIDATING")
    with pytest.raises(Transient):
        await connector.void(receipt)
    answer(sandbox, sent.provider_reference, "PENDING_APPROVAL")
    for _ in range(2):
        outcome = await connector.void(receipt)
        assert (outcome.status, outcome.provider_status) == (ACCEPTED, "CANCELLED")
    assert [request["status"] for request in sandbox.effects("aws_payments")] == ["CANCELLED"]
    answer(sandbox, sent.provider_reference, "APPROVED")
    with pytest.raises(Terminal) as failure:
        await connector.void(receipt)
    assert failure.value.code == CREDIT_NEEDED
    assert "ch-" in failure.value.message
    assert "billing adjustment" in failure.value.hint
    with pytest.raises(Terminal, match="ResourceNotFoundException"):
        await connector.void(replace(receipt, provider_reference="agmt-acme/pr-unknown"))


async def test_the_buyer_may_answer_while_it_is_cancelled() -> None:
    calls = ((GET, shown("PENDING_APPROVAL"), None), (CANCEL, "ConflictException", None))
    receipt = Receipt(reference="inv_october", provider_reference="agmt-acme/pr-1")
    with pytest.raises(Terminal, match=CREDIT_NEEDED):
        await stubbed(*calls, (GET, shown("APPROVED"), None)).void(receipt)
    outcome = await stubbed(*calls, (GET, shown("REJECTED"), None)).void(receipt)
    assert outcome.provider_status == "REJECTED"


async def test_the_requests_of_a_period_are_listed_page_by_page(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("aws_payments")
    assert isinstance(connector, AwsMarketplaceConnector)
    for name in FIVE:
        by_hand(sandbox, name=name, agreementId=f"agmt-{name}")
        sandbox.clock.move(days=1)
    await connector.deliver(document("aws_payments"), "key")
    found = await connector.requests(Period(NOW + timedelta(days=1), NOW + timedelta(days=5, seconds=1)))
    assert [(entry.provider_reference.rpartition("/")[0], entry.reference) for entry in found] == [
        *((f"agmt-{name}", None) for name in FIVE[1:]), ("agmt-acme", "inv_october"),
    ]  # fmt: skip


async def test_a_cut_list_is_not_taken_for_an_empty_one(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("aws_payments")
    await connector.deliver(SENT, "key")
    sandbox.reset("keys")
    sandbox.fault("aws_marketplace", "drop_after", match="ListAgreementPaymentRequests")
    with pytest.raises(Transient):
        await connector.deliver(SENT, "key")
    assert len(sandbox.effects("aws_payments")) == 1
