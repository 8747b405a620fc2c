"""Messages to a system of the seller's own: their shape, their signature, and what each answer means."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
import respx

from connectors.base import Connector, OutcomeStatus, Receipt, Terminal, Transient
from connectors.http import SettingsError
from connectors.sandbox.receiver import SECRET
from tests.connectors.world import CUSTOMERS, ENVIRON, NOW, Sandbox, document, invoice, load, make, record

Connect = Callable[..., Connector]
HOOK = "https://erp.example.com/invoices"
OTHER = "whsec_" + base64.b64encode(b"another-key-of-twenty-four-bytes").decode()


def connector(account: str = "custom", **settings: Any) -> Connector:
    kind = load(account)
    table = {"url": HOOK, "signing_secrets": ["env:SIGNING"], **settings}
    return kind(kind.Config.from_table("erp", table, {**ENVIRON, "OTHER": OTHER}), lambda: NOW)


def answered(code: int, **body: Any) -> httpx.Response:
    return httpx.Response(code, json=body)


@respx.mock
async def test_an_invoice_is_said_whole_and_signed_with_every_secret_in_force() -> None:
    route = respx.post(HOOK).mock(return_value=answered(200, messageId="inv_october"))
    [outcome] = await connector(signing_secrets=["env:OTHER", "env:SIGNING"]).deliver(document("custom"), "key")
    assert (outcome.status, outcome.acknowledged, outcome.provider_reference) == (
        OutcomeStatus.ACCEPTED, Decimal("12.34"), "inv_october",
    )  # fmt: skip
    sent = route.calls.last.request
    assert json.loads(sent.content) == {
        "schemaVersion": "1", "messageId": "inv_october", "type": "invoice.finalized",
        "customer": {"customerReference": "acme"},
        "invoice": {
            "id": "inv_october", "number": "2026-000001", "contractId": "con_acme", "currency": "USD", "total": "12.34",
            "issuedAt": "2026-11-02T12:30:00Z", "date": None,
            "servicePeriod": {"startingAt": "2026-10-01T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z"},
            "lines": [
                {
                    "description": "Tokens", "amount": "10", "quantity": "1000000", "unitPrice": "0.00001",
                    "startingAt": "2026-10-01T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z", "metadata": {},
                },
                {
                    "description": "Support", "amount": "2.34", "quantity": None, "unitPrice": None,
                    "startingAt": "2026-10-01T00:00:00Z", "endingBefore": "2026-11-01T00:00:00Z", "metadata": {},
                },
            ],
        },
    }  # fmt: skip
    assert (sent.headers["webhook-id"], sent.headers["webhook-timestamp"]) == ("inv_october", "1793622600")
    content = b"inv_october.1793622600." + sent.content
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in (OTHER, SECRET)]
    signatures = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys]
    assert sent.headers["webhook-signature"] == f"v1,{signatures[0]} v1,{signatures[1]}"


@respx.mock
async def test_an_hour_of_usage_is_said_with_its_price() -> None:
    route = respx.post(HOOK).mock(return_value=answered(200, messageId="slot_0", status="duplicate"))
    [outcome] = await connector("custom_metering").deliver(document("custom_metering", size=1), "key")
    assert (outcome.status, outcome.acknowledged) == (OutcomeStatus.DUPLICATE, Decimal(1000))
    message = json.loads(route.calls.last.request.content)
    assert (message["type"], message["messageId"]) == ("metering.delta", "slot_0")
    assert message["usage"] == {
        "id": "slot_0", "dimension": "usage_fee", "hour": "2026-11-02T11:00:00Z", "quantity": "1000",
        "unitPrice": "0.01", "currency": "USD",
    }  # fmt: skip


NAMED = {"messageId": "inv_october"}


@pytest.mark.parametrize(
    ("response", "settings", "end"),
    [
        (answered(200, **NAMED), {}, OutcomeStatus.ACCEPTED),
        (answered(201, **NAMED, status="duplicate"), {}, OutcomeStatus.DUPLICATE),
        (answered(409, **NAMED, message="held"), {}, OutcomeStatus.COLLISION),
        (answered(422, message="no such customer"), {}, OutcomeStatus.REFUSED),
        (answered(400), {}, OutcomeStatus.REFUSED),
        # Silence proves nothing, unless it was agreed that it does.
        (httpx.Response(204), {}, "unknown"),
        (answered(200, messageId="another"), {}, "unknown"),
        (httpx.Response(200, text="<html>Log in</html>"), {}, "unknown"),
        (httpx.Response(204), {"confirmed_by": "status"}, OutcomeStatus.ACCEPTED),
        (httpx.Response(500), {"confirmed_by": "status"}, "unknown"),
        (httpx.Response(503), {}, "unknown"),
        (httpx.Response(429, headers={"retry-after": "7"}), {}, "later"),
        (httpx.Response(425), {}, "later"),
        (httpx.Response(302, headers={"location": "https://elsewhere.example.com"}), {}, "useless"),
        (httpx.Response(405), {}, "useless"),
        (httpx.Response(401), {}, "stopped"),
        (httpx.Response(404), {}, "stopped"),
        (httpx.Response(410), {}, "stopped"),
    ],
)
@respx.mock
async def test_what_a_receivers_answer_means(response: httpx.Response, settings: dict[str, Any], end: object) -> None:
    respx.post(HOOK).mock(return_value=response)
    try:
        [outcome] = await connector(**settings).deliver(document("custom"), "key")
        found: object = outcome.status
    except Transient as failure:
        found = "unknown" if failure.unknown else "later"
    except Terminal as failure:
        found = "stopped" if failure.stop_connection else "useless"
    assert found == end
    assert len(respx.calls) == 1, "nothing is followed, nothing is sent twice"


@pytest.mark.parametrize("account", ["custom", "custom_s3", "custom_sqs", "custom_sns"])
async def test_a_void_is_a_message_of_its_own(account: str, connect: Connect, sandbox: Sandbox) -> None:
    taker = connect(account)
    await taker.deliver(document(account), "key")
    for _ in range(2):
        outcome = await taker.void(Receipt(reference="inv_october", provider_reference="inv_october"))
        assert (outcome.is_done, outcome.provider_status) == (True, "voided")
    said = [message["body"] for message in sandbox.effects(account)]
    assert [(one["type"], one["messageId"]) for one in said] == [
        ("invoice.finalized", "inv_october"), ("invoice.voided", "inv_october:voided"),
    ]  # fmt: skip
    assert said[1]["invoice"] == {"id": "inv_october"}


@pytest.mark.parametrize("account", ["custom", "custom_s3"])
async def test_other_content_under_the_same_id_is_never_taken(account: str, connect: Connect, sandbox: Sandbox) -> None:
    await connect(account).deliver(document(account), "key")
    other = invoice(customer=CUSTOMERS["custom"], number="2026-000002")
    [outcome] = await connect(account).deliver(other, "key")
    assert (outcome.status, outcome.code, outcome.acknowledged) == (OutcomeStatus.COLLISION, "OTHER_CONTENT", None)
    assert [message["body"]["invoice"]["number"] for message in sandbox.effects(account)] == ["2026-000001"]


@pytest.mark.parametrize("account", ["custom_sqs", "custom_sns"])
async def test_without_fifo_nothing_tells_repeats_but_the_id(account: str, sandbox: Sandbox) -> None:
    where = {"custom_sqs": {"queue_url": f"{sandbox.base}/custom/aws/4711/plain"}}
    where["custom_sns"] = {"topic_arn": "arn:aws:sns:us-east-1:4711:plain"}
    for _ in range(2):
        taker = make(account, sandbox, **where[account])
        [outcome] = await taker.deliver(document(account), "key")
        await taker.close()
        assert outcome.status is OutcomeStatus.ACCEPTED
    assert [message["body"]["messageId"] for message in sandbox.effects(account)] == ["inv_october"] * 2


async def test_what_is_too_large_for_a_queue_is_refused_and_says_so(connect: Connect) -> None:
    line = invoice().lines[0]
    lines = tuple(line for _ in range(2_000))
    large = invoice(customer=CUSTOMERS["custom"], lines=lines, total=line.amount * len(lines))
    [outcome] = await connect("custom_sqs").deliver(large, "key")
    assert (outcome.status, outcome.code) == (OutcomeStatus.REFUSED, "InvalidParameterValue")


async def test_twenty_at_once_into_one_bucket_leave_one_object(connect: Connect, sandbox: Sandbox) -> None:
    taker = connect("custom_s3")
    ends = await asyncio.gather(*(taker.deliver(document("custom_s3"), "key") for _ in range(20)))
    assert sorted(end[0].status for end in ends) == [OutcomeStatus.ACCEPTED] + [OutcomeStatus.DUPLICATE] * 19
    assert [message["id"] for message in sandbox.effects("custom_s3")] == ["s3:acme-invoices/in/inv_october.json"]


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ({}, {"url", "signing_secrets"}),
        ({"url": HOOK, "signing_secrets": ["env:PLAIN"]}, {"signing_secrets"}),
        ({"url": HOOK, "signing_secrets": [SECRET]}, {"signing_secrets"}),
        ({"transport": "fax"}, {"transport", "url", "signing_secrets"}),
        ({"transport": "s3"}, {"bucket"}),
        ({"transport": "s3", "bucket": "A_B"}, {"bucket"}),
        ({"transport": "sqs", "queue_url": "queue"}, {"queue_url"}),
        ({"transport": "sns", "topic_arn": "topic"}, {"topic_arn"}),
        ({"transport": "sqs", "queue_url": HOOK, "access_key_id": "AKIA"}, {"secret_access_key"}),
    ],
)
def test_settings_that_are_refused(table: dict[str, Any], keys: set[str]) -> None:
    with pytest.raises(SettingsError) as failure:
        load("custom").Config.from_table("erp", table, {**ENVIRON, "PLAIN": "whsec_c2hvcnQ="})
    assert {problem.key for problem in failure.value.problems} == keys


async def test_manual_takes_an_invoice_by_its_number_and_calls_nobody(sandbox: Sandbox) -> None:
    by_hand = make("manual", sandbox)
    [outcome] = await by_hand.deliver(document("manual"), "key")
    assert (outcome.status, outcome.provider_reference, outcome.acknowledged, outcome.provider_status) == (
        OutcomeStatus.ACCEPTED, "2026-000001", Decimal("12.34"), "handed over",
    )  # fmt: skip
    voided = await by_hand.void(Receipt(reference="inv_october", provider_reference="2026-000001"))
    assert (voided.is_done, voided.provider_status) == (True, "voided")
    assert sandbox.calls() == []


async def test_usage_that_is_too_old_is_not_sent_by_message_either(connect: Connect, sandbox: Sandbox) -> None:
    late = record("custom_metering", hours_ago=24)
    [outcome] = await connect("custom_metering").deliver(type(document("custom_metering"))((late,)), "key")
    assert (outcome.status, outcome.code) == (OutcomeStatus.REFUSED, "OUT_OF_WINDOW")
    assert sandbox.calls() == []
