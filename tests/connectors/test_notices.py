"""Notices of the marketplaces: what is believed, what is refused, and what they say of a subscription."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from azure.identity import aio as identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from connectors.aws_marketplace import AwsMarketplaceConnector
from connectors.azure_marketplace import AzureMarketplaceConnector
from connectors.base import Connector, Notification, Terminal, Transient
from connectors.entra_tokens import AFTER_FAILURE, PAUSE, REFRESH
from connectors.http import SettingsError
from connectors.sandbox.entra import TENANT
from connectors.sns_messages import SnsMessages
from connectors.subscriptions import Marketplace, SubscriptionState
from tests.connectors.world import CANARY, CUSTOMERS, ENVIRON, NOW, TOPIC, Sandbox, load

Connect = Callable[..., Connector]
OPERATION, SUBSCRIPTION = "0f0f0f0f-0000-4000-8000-000000000001", "0f0f0f0f-0000-4000-8000-000000000002"
NOTICE = json.dumps({"id": OPERATION, "subscriptionId": SUBSCRIPTION.upper(), "action": "Renew", "more": {"x": 1}})
ARN = "aws:license-manager:us-east-1:123456789012:l-E52CA6"
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "event-1",
    "detail-type": "License Updated - Manufacturer",
    "source": "aws.agreement-marketplace",
    "time": "2026-11-02T12:00:00Z",
    "detail": {
        "agreement": {"id": "agmt-1"},
        "product": {"code": "prod1", "id": "prod-1"},
        "license": {"arn": ARN},
        "acceptor": {"accountId": "123456789012"},
    },
}


def parse(connector: Connector, body: object, **headers: str) -> Notification:
    text = body if isinstance(body, str) else json.dumps(body)
    return connector.parse_webhook({name.replace("_", "-"): value for name, value in headers.items()}, text.encode())


def entra(sandbox: Sandbox, **order: Any) -> str:
    return f"Bearer {sandbox.order('entra/tokens', **order)['token']}"


@pytest.mark.parametrize("version", [1, 2])
async def test_both_versions_of_entras_tokens_are_taken(version: int, connect: Connect, sandbox: Sandbox) -> None:
    found = parse(connect("azure_marketplace"), NOTICE, Authorization=entra(sandbox, version=version))
    assert (found.event_id, found.kind, found.provider_reference) == (f"{OPERATION}:", "Renew", SUBSCRIPTION)
    assert found.payload == {"operation": OPERATION, "subscription": SUBSCRIPTION, "action": "Renew"}


V1_ISSUER = f"https://sts.windows.net/{TENANT}/"
V2_ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OTHER = "99999999-0000-4000-8000-000000000009"
HOUR = 3600


@pytest.mark.parametrize(
    "order",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"signer": "stranger"},
        {"kid": "nobody"},
        {"kid": ""},
        {"claims": {"aud": OTHER}},
        {"claims": {"aud": [OTHER]}},
        {"claims": {"tid": OTHER}},
        {"claims": {"iss": f"https://sts.windows.net/{OTHER}/"}},
        {"claims": {"iss": V1_ISSUER}},
        {"claims": {"iss": V2_ISSUER + "/"}},
        {"version": 1, "claims": {"iss": V2_ISSUER}},
        {"version": 1, "claims": {"appid": OTHER}},
        {"version": 1, "claims": {"appid": None, "azp": "20e940b3-4c77-4b0b-9a53-9e16a1b010a7"}},
        {"claims": {"azp": OTHER}},
        {"claims": {"azp": None}},
        {"claims": {"ver": "3.0"}},
        {"claims": {"ver": None}},
        {"claims": {"exp": int(NOW.timestamp()) - HOUR}},
        {"claims": {"nbf": int(NOW.timestamp()) + HOUR}},
        {"claims": {"exp": None}},
        {"claims": {"nbf": "soon"}},
        {"claims": {"exp": 10**12}},
    ],
    ids=str,
)
async def test_forged_tokens_are_refused(order: dict[str, Any], connect: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(Terminal) as refused:
        parse(connect("azure_marketplace"), NOTICE, Authorization=entra(sandbox, **order))
    assert refused.value.code == "INVALID_TOKEN"


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer", "Bearer a.b.c", "Bearer " + "x" * 9000])
async def test_what_is_no_token_is_refused(header: str, connect: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(Terminal) as refused:
        parse(connect("azure_marketplace"), NOTICE, authorization=header)
    assert refused.value.code == "INVALID_TOKEN"
    assert header[7:] == "" or header[7:] not in str(refused.value)
    assert sandbox.calls(provider="entra") == [], "nothing is fetched for what is no token"


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", json.dumps({"id": OPERATION, "subscriptionId": "../x", "action": "Renew"})]
)
async def test_a_good_token_on_a_bad_notice(body: str, connect: Connect, sandbox: Sandbox) -> None:
    with pytest.raises(Terminal) as refused:
        parse(connect("azure_marketplace"), body, Authorization=entra(sandbox))
    assert refused.value.code == "MALFORMED"


async def test_keys_are_read_anew_when_they_rotate_and_not_more_often(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("azure_marketplace")

    def reads() -> int:
        return sum(call["operation"] == "keys" for call in sandbox.calls(provider="entra"))

    before = entra(sandbox)
    parse(connector, NOTICE, Authorization=before)
    parse(connector, NOTICE, Authorization=before)
    assert reads() == 1
    sandbox.order("entra/rotate")
    for _ in range(3):  # a key that was unknown a moment ago is asked about again only after the pause
        with pytest.raises(Terminal):
            parse(connector, NOTICE, Authorization=entra(sandbox))
    assert reads() == 1
    sandbox.clock.now += PAUSE
    parse(connector, NOTICE, Authorization=entra(sandbox))
    parse(connector, NOTICE, Authorization=before)
    assert reads() == 2
    for _ in range(2):  # the first key has been withdrawn; it is believed for a day at most
        sandbox.order("entra/rotate")
    sandbox.clock.now += REFRESH
    with pytest.raises(Terminal):
        parse(connector, NOTICE, Authorization=before)
    assert reads() == 3


async def test_keys_that_cannot_be_had_are_no_reason_to_refuse_for_good(connect: Connect, sandbox: Sandbox) -> None:
    for base in ("http://127.0.0.1:9", sandbox.base + "/nowhere"):
        with pytest.raises(Transient):
            parse(connect("azure_marketplace", openid_base=base), NOTICE, Authorization=entra(sandbox))
    connector = connect("azure_marketplace")
    assert isinstance(connector, AzureMarketplaceConnector)
    assert connector._tokens is not None
    good, connector._tokens._openid_base = connector._tokens._openid_base, "http://127.0.0.1:9"
    for _ in range(2):
        with pytest.raises(Transient):
            parse(connector, NOTICE, Authorization=entra(sandbox))
        connector._tokens._openid_base = good  # it is back, and asked again only after a moment
    sandbox.clock.now += AFTER_FAILURE
    parse(connector, NOTICE, Authorization=entra(sandbox))


async def test_a_connection_without_an_application_takes_no_notices(sandbox: Sandbox) -> None:
    config = AzureMarketplaceConnector.Config.from_table("x", {"api_base": f"{sandbox.base}/api"}, ENVIRON)
    connector = AzureMarketplaceConnector(config, sandbox.clock)
    with pytest.raises(Terminal) as refused:
        parse(connector, NOTICE, Authorization=entra(sandbox))
    await connector.close()
    assert refused.value.code == "NOT_CONFIGURED"


def message(sandbox: Sandbox, inner: object = None, **order: Any) -> dict[str, Any]:
    text = json.dumps(inner or {"action": "subscribe-success", "product-code": "prod1", "customer-identifier": "c1"})
    return sandbox.order("sns/messages", **({"topic": TOPIC, "message": text} | order))


@pytest.mark.parametrize("version", ["1", "2"])
async def test_messages_of_sns_are_believed_by_their_signature(
    version: str, connect: Connect, sandbox: Sandbox
) -> None:
    connector = connect("aws_marketplace")
    for subject in ("", "AWS Marketplace"):
        found = parse(connector, message(sandbox, version=version, subject=subject, id="m-1"))
        assert (found.event_id, found.kind, found.provider_reference) == ("m-1", "subscribe-success", "prod1:c1")
    assert len(sandbox.calls(provider="sns")) == 1, "a certificate is fetched once"


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "{}"},
        {"TopicArn": TOPIC + "x"},
        {"MessageId": "another"},
        {"Timestamp": "2026-11-02T00:00:00Z"},
        {"Signature": "AAAA"},
        {"Signature": "not base64!"},
        {"Signature": None},
        {"SignatureVersion": "1"},
        {"SignatureVersion": "3"},
        {"Type": "SubscriptionConfirmation"},
        {"Type": "Other"},
        {"Subject": "added"},
        {"SigningCertURL": "http://127.0.0.1:9/sns/x.pem"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com.evil.example/x.pem"},
        {"SigningCertURL": "{base}/sns/confirm"},
        {"SigningCertURL": ""},
    ],
    ids=str,
)
async def test_forged_messages_are_refused(change: dict[str, Any], connect: Connect, sandbox: Sandbox) -> None:
    changed = {key: value.replace("{base}", sandbox.base) if value else value for key, value in change.items()}
    with pytest.raises(Terminal) as refused:
        parse(connect("aws_marketplace"), message(sandbox) | changed)
    assert refused.value.code == "INVALID_SIGNATURE"


@pytest.mark.parametrize(
    ("address", "is_sns"),
    [
        ("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem", True),
        ("https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-1.pem", True),
        ("http://sns.us-east-1.amazonaws.com/x.pem", False),
        ("https://sns.us-east-1.amazonaws.com:444/x.pem", False),
        ("https://sns.us-east-1.amazonaws.com@evil.example/x.pem", False),
        ("https://evil.example/sns.us-east-1.amazonaws.com/x.pem", False),
        ("https://xsns.us-east-1.amazonaws.com/x.pem", False),
        ("https://sns.us-east-1.amazonaws.com.evil.example/x.pem", False),
        ("https://s3.us-east-1.amazonaws.com/x.pem", False),
        ("https://[::1]:bad/x.pem", False),
    ],
)
def test_which_hosts_are_sns(address: str, is_sns: bool) -> None:
    messages = SnsMessages(topics=(TOPIC,), base="", clock=lambda: NOW, timeout_seconds=1)
    if is_sns:
        messages._is_sns(address)
    else:
        with pytest.raises(Terminal):
            messages._is_sns(address)


async def test_certificates_are_good_for_their_time_only(connect: Connect, sandbox: Sandbox) -> None:
    connector, signed = connect("aws_marketplace"), message(sandbox)
    parse(connector, signed)
    sandbox.clock.now += timedelta(days=400)
    with pytest.raises(Terminal):
        parse(connector, signed)


async def test_a_topic_is_confirmed_when_its_signed_message_asks(connect: Connect, sandbox: Sandbox) -> None:
    connector = cast("Marketplace", connect("aws_marketplace"))
    found = parse(cast("Connector", connector), message(sandbox, type="SubscriptionConfirmation"))
    assert await connector.look(found.payload) is None
    assert [call["operation"] for call in sandbox.calls(provider="sns")] == ["certificate", "confirm sandbox-token"]
    with pytest.raises(Terminal):
        await connector.look({"confirm": "http://169.254.169.254/latest"})
    assert await connector.look(parse(cast("Connector", connector), message(sandbox, type="UnsubscribeConfirmation")).payload) is None  # fmt: skip


@pytest.mark.parametrize("key", ["key-of-the-event-bus", "older-key-of-the-event-bus"])
async def test_events_come_with_a_key_or_through_sns(key: str, connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("aws_marketplace")
    direct = parse(connector, EVENT, X_Api_Key=key)
    through = parse(connector, message(sandbox, EVENT, id="m-2"))
    assert (direct.event_id, through.event_id) == ("event-1", "m-2")
    assert direct.payload == through.payload
    assert direct.provider_reference == "l-e52ca6"
    for wrong in ("", "key-of-the-event-bus ", "x"):
        with pytest.raises(Terminal) as refused:
            parse(connector, EVENT, X_Api_Key=wrong)
        assert refused.value.code == "INVALID_SIGNATURE"
    for body in ("", "[]", {"id": "x"}, {"detail-type": "x"}):
        with pytest.raises(Terminal) as refused:
            parse(connector, body, X_Api_Key=key)
        assert refused.value.code == "MALFORMED"


async def test_a_connection_without_topics_and_keys_takes_nothing(sandbox: Sandbox) -> None:
    config = AwsMarketplaceConnector.Config.from_table("x", {}, ENVIRON)
    connector = AwsMarketplaceConnector(config, sandbox.clock)
    for body in (EVENT, message(sandbox)):
        with pytest.raises(Terminal):
            parse(connector, body, X_Api_Key="")
    await connector.close()


ACTIVE, ENDED, SUSPENDED = SubscriptionState.ACTIVE, SubscriptionState.ENDED, SubscriptionState.SUSPENDED


@pytest.mark.parametrize(
    ("change", "state", "reference"),
    [
        ({}, ACTIVE, "l-e52ca6"),
        ({"detail-type": "License Deprovisioned - Manufacturer"}, ENDED, "l-e52ca6"),
        ({"detail-type": "Purchase Agreement Ended - Proposer", "detail": {"agreement": {"id": "agmt-1", "status": "CANCELLED"}}}, ENDED, ""),
        ({"detail-type": "Purchase Agreement Ended - Proposer", "detail": {"agreement": {"id": "agmt-1", "status": "RENEWED"}}}, None, None),
        ({"detail-type": "Purchase Agreement Created - Manufacturer", "detail": {"agreement": {"id": "agmt-1"}}}, ACTIVE, ""),
        ({"detail-type": "Billing Adjustment Completed - Manufacturer"}, None, None),
        ({"source": "aws.s3"}, None, None),
        ({"time": "yesterday", "detail": None}, ACTIVE, ""),
    ],
    ids=str,
)  # fmt: skip
async def test_what_an_event_says(
    change: dict[str, Any], state: SubscriptionState | None, reference: str | None, connect: Connect
) -> None:
    connector = connect("aws_marketplace")
    found = parse(connector, EVENT | change, x_api_key="key-of-the-event-bus")
    view = await cast("Marketplace", connector).look(found.payload)
    assert (view and view.state, view and view.reference) == (state, reference)
    if view is not None and not change:
        assert view.settings == {"awsCustomerAccountId": "123456789012", "licenseArn": f"arn:{ARN}"}
        assert (view.agreement, view.as_of) == ("agmt-1", found.occurred_at)


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("subscribe-success", ACTIVE), ("subscribe-fail", SUSPENDED), ("unsubscribe-pending", ENDED),
        ("unsubscribe-success", ENDED), ("entitlement-updated", ACTIVE), ("something-new", None),
    ],
)  # fmt: skip
async def test_what_an_older_message_says(
    action: str, state: SubscriptionState | None, connect: Connect, sandbox: Sandbox
) -> None:
    connector = connect("aws_marketplace")
    inner = {"action": action, "product-code": "prod1", "customer-identifier": "c1"}
    view = await cast("Marketplace", connector).look(parse(connector, message(sandbox, inner)).payload)
    assert (view and view.state) == state
    assert view is None or (view.reference, view.ended_at) == ("prod1:c1", NOW if state is ENDED else None)


async def test_a_buyer_registers_at_aws(connect: Connect, sandbox: Sandbox) -> None:
    connector = cast("Marketplace", connect("aws_marketplace"))
    view = await connector.resolve("123456789012")
    assert (view.reference, view.state, view.agreement) == ("l-123456789012", ACTIVE, "agmt-123456789012")
    assert load("aws_marketplace").validate_customer(view.settings) == []
    assert await connector.activate(view) == view
    assert await connector.refresh(view.reference, view.settings) is None
    for token in ("expired", "nonsense", ""):
        with pytest.raises(Terminal) as refused:
            await connector.resolve(token)
        assert refused.value.code == "INVALID_TOKEN"


async def test_a_contract_is_over_when_its_entitlements_are(connect: Connect, sandbox: Sandbox) -> None:
    """The stand-in's first page is empty and has a next one; three entitlements lie on two pages after it."""
    connector = cast("Marketplace", connect("aws_marketplace", entitlements=True))
    arn = "arn:aws:license-manager::123456789012:license:l-123456789012"
    for days, state in ((1, ACTIVE), (-1, ENDED), (None, ENDED)):
        ends = [(NOW + timedelta(days=day)).isoformat() for day in (-9, -5, days)] if days else []
        rows = [{"Dimension": "seats", "Value": {"IntegerValue": 5}, "ExpirationDate": end} for end in ends]
        sandbox.order("aws/agreements", customer=arn, entitlements=rows)
        view = await connector.resolve("123456789012")
        assert view.state is state, days
    assert sandbox.calls(provider="aws_marketplace")[-1]["operation"] == "GetEntitlements"


async def test_a_buyer_arrives_from_azure_and_is_activated(connect: Connect, sandbox: Sandbox) -> None:
    connector = cast("Marketplace", connect("azure_marketplace"))
    bought = sandbox.order("azure/subscriptions", quantity="20", planId="gold")
    view = await connector.resolve(bought["token"])
    assert (view.state, view.plan, view.quantity, view.offer) == (SubscriptionState.PENDING, "gold", "20", "gateway")
    assert view.settings == {"azureSubscriptionId": bought["subscription"]["id"], "planId": "gold"}
    assert view.buyer["purchaser"] == "purchasing@contoso.example"
    for _ in range(2):  # a repeat is refused by Azure, and told by what it shows
        assert (await connector.activate(view)).state is ACTIVE
    with pytest.raises(Terminal) as refused:
        await connector.resolve("tok")
    assert refused.value.code == "INVALID_TOKEN"


@pytest.mark.parametrize("quantity", [None, "", 0, "3", 3, "3.0", "many"])
async def test_quantities_come_in_every_form(quantity: Any, connect: Connect, sandbox: Sandbox) -> None:
    bought = sandbox.order("azure/subscriptions", quantity=quantity)
    view = await cast("Marketplace", connect("azure_marketplace")).resolve(bought["token"])
    assert view.quantity == ("3" if quantity in ("3", 3, "3.0") else "")


@pytest.mark.parametrize(
    ("action", "state", "waits"),
    [
        ("Suspend", SUSPENDED, False), ("Reinstate", ACTIVE, False), ("Unsubscribe", ENDED, False),
        ("Renew", ACTIVE, False), ("ChangePlan", ACTIVE, True), ("ChangeQuantity", ACTIVE, True),
    ],
)  # fmt: skip
async def test_a_notice_is_read_back(
    action: str, state: SubscriptionState, waits: bool, connect: Connect, sandbox: Sandbox
) -> None:
    connector = cast("Marketplace", connect("azure_marketplace"))
    bought = sandbox.order("azure/subscriptions", status="Subscribed")["subscription"]
    sent = sandbox.order("azure/operations", subscription=bought["id"], action=action, planId="gold")
    payload = parse(cast("Connector", connector), sent["body"], Authorization=sent["authorization"]).payload
    view = await connector.look(payload)
    assert view is not None
    assert (view.state, view.waits_for_answer, view.plan) == (state, waits, "standard")
    if waits:
        for _ in range(2):
            await connector.answer(payload)
        view = await connector.look(payload)
        assert view is not None
        assert (view.waits_for_answer, view.plan) == (False, "gold")


async def test_an_operation_that_nobody_knows_changes_nothing(connect: Connect, sandbox: Sandbox) -> None:
    connector = cast("Marketplace", connect("azure_marketplace"))
    bought = sandbox.order("azure/subscriptions", status="Subscribed")["subscription"]
    made_up = {"operation": OPERATION, "subscription": bought["id"], "action": "Unsubscribe"}
    view = await connector.look(made_up)
    assert view is not None
    assert (view.state, view.waits_for_answer) == (ACTIVE, False)
    assert await connector.look(made_up | {"subscription": OPERATION}) is None
    await connector.answer(made_up)


@pytest.mark.parametrize("kind", ["refuse_500", "throttle_429", "html_200", "drop_before", "drop_after"])
async def test_azure_on_a_bad_day(kind: str, connect: Connect, sandbox: Sandbox) -> None:
    connector = cast("Marketplace", connect("azure_marketplace"))
    bought = sandbox.order("azure/subscriptions")
    sandbox.fault("azure_marketplace", kind, match="saas.resolve")
    with pytest.raises(Transient):
        await connector.resolve(bought["token"])
    sandbox.fault("azure_marketplace", kind, match="saas.activate")
    view = await connector.resolve(bought["token"])
    try:
        await connector.activate(view)
    except Transient:
        assert (await connector.activate(view)).state is ACTIVE


async def test_a_certificate_is_a_credential_too(sandbox: Sandbox, tmp_path: Any) -> None:
    guid = CUSTOMERS["azure_marketplace"]["azureSubscriptionId"]
    table = {"tenant_id": guid, "client_id": guid, "credential": "certificate"}
    environ = {name: value for name, value in ENVIRON.items() if "STATIC" not in name}
    config = AzureMarketplaceConnector.Config
    with pytest.raises(SettingsError) as missing:
        config.from_table("x", table, environ)
    assert {problem.key for problem in missing.value.problems} == {"client_certificate"}
    broken = tmp_path / "broken.pem"
    broken.write_text(CANARY)
    with pytest.raises(SettingsError) as refused:
        AzureMarketplaceConnector(config.from_table("x", table | {"client_certificate": f"file:{broken}"}, environ), sandbox.clock)  # fmt: skip
    assert CANARY not in f"{refused.value!r}"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "metrograph")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    locked = serialization.BestAvailableEncryption(b"secret")
    parts = (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked),
        made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
    )
    (tmp_path / "good.pem").write_bytes(b"".join(parts))
    more = {"client_certificate": f"file:{tmp_path}/good.pem", "certificate_password": "env:PASSWORD"}
    read = config.from_table("x", table | more, environ | {"PASSWORD": "secret"})
    connector = AzureMarketplaceConnector(read, sandbox.clock)
    assert isinstance(connector._account._credential, identity.CertificateCredential)
    await connector.close()
