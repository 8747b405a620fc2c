"""What every registered connector promises, run against its sandbox: one effect whatever breaks, and no leak."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import NOT_SUPPORTED, Connector, OutcomeStatus, Receipt, Terminal, Transient
from connectors.http import SettingsError
from tests.connectors.world import (
    ACCOUNTS,
    CANARY,
    ENVIRON,
    Sandbox,
    customer_of,
    deliver_here,
    deliver_until_done,
    document,
    load,
    provider_of,
    takes_invoices,
)
from tests.processes import FORKS

STEPS = [
    ("stripe", "invoices.list"),
    ("stripe", "invoices.create"),
    ("stripe", "invoices.add_lines"),
    ("stripe", "invoices.finalize"),
    ("aws_marketplace", "BatchMeterUsage"),
    ("aws_payments", "ListAgreementPaymentRequests"),
    ("aws_payments", "SendAgreementPaymentRequest"),
    ("azure_marketplace", "batchUsageEvent"),
    ("gcp_marketplace", "check"),
    ("gcp_marketplace", "report"),
    ("custom", "webhook"),
    ("custom_metering", "webhook"),
    ("custom_s3", "PutObject"),
    ("custom_sqs", "SendMessage"),
    ("custom_sns", "Publish"),
]
WRITES = [step for step in STEPS if step[1] not in ("invoices.list", "check", "ListAgreementPaymentRequests")]
CALLING = [account for account in ACCOUNTS if account != "manual"]
"""Those that call somebody."""
ASKED = ["stripe", "custom_s3", "aws_payments"]
"""Those that can be asked for an effect."""
ANSWERED = ["refuse_500", "throttle_429", "html_200", "error_in_200", "reject", "slow"]
LOST = ["drop_before", "drop_after", "hang_before", "hang_after"]
Connect = Callable[..., Connector]


def quantities(sandbox: Sandbox, provider: str) -> list[int]:
    """What the provider counts, smallest first."""
    if provider.startswith("custom"):
        bodies = [message["body"] for message in sandbox.effects(provider)]
        return sorted(
            int(body["usage"]["quantity"]) if "usage" in body else int(Decimal(body["invoice"]["total"]) * 100)
            for body in bodies
        )
    if provider == "aws_payments":
        return sorted(int(Decimal(request["amount"]) * 100) for request in sandbox.effects(provider))
    field = "total" if provider == "stripe" else "quantity"
    return sorted(int(effect[field]) for effect in sandbox.effects(provider))


def stand_in(account: str) -> str:
    """The stand-in that an account leads to."""
    return "custom" if account.startswith("custom") else provider_of(account)


def expected(account: str) -> list[int]:
    """What is counted after the usual document; a person counts for `manual`."""
    if account == "manual":
        return []
    return [1234] if takes_invoices(account) else [1000, 1001]


@pytest.mark.parametrize("provider", ACCOUNTS)
async def test_a_document_is_delivered_once_however_often_it_is_sent(
    provider: str, connect: Connect, sandbox: Sandbox
) -> None:
    connector, sent = connect(provider), document(provider)
    first = await connector.deliver(sent, "key")
    again = await connect(provider).deliver(sent, "key")
    assert {outcome.status for outcome in first} == {OutcomeStatus.ACCEPTED}
    assert all(outcome.is_done for outcome in again)
    assert [outcome.acknowledged for outcome in again] == [outcome.acknowledged for outcome in first]
    assert quantities(sandbox, provider) == expected(provider)


@pytest.mark.parametrize("kind", ANSWERED)
@pytest.mark.parametrize(("provider", "step"), STEPS)
async def test_a_bad_answer_at_any_step_ends_in_one_effect(
    provider: str, step: str, kind: str, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.fault(stand_in(provider), kind, match=step, seconds=0.05)
    await deliver_until_done(connect(provider), document(provider))
    assert quantities(sandbox, provider) == expected(provider)


@pytest.mark.parametrize("forgets_keys", [False, True])
@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize(("provider", "step"), WRITES)
async def test_a_lost_answer_is_unknown_and_ends_in_one_effect(
    provider: str, step: str, kind: str, forgets_keys: bool, connect: Connect, sandbox: Sandbox
) -> None:
    connector = connect(provider, timeout_seconds=1)
    sandbox.fault(stand_in(provider), kind, match=step)
    try:
        # boto3 reads an answer that was cut as an empty one, so the records come back UNKNOWN instead.
        outcomes = await connector.deliver(document(provider), "key")
        is_unknown = {outcome.status for outcome in outcomes} == {OutcomeStatus.UNKNOWN}
    except Transient as failure:
        is_unknown = failure.unknown
    assert is_unknown
    if forgets_keys:
        sandbox.reset("keys")
    await deliver_until_done(connect(provider), document(provider), tries=1)
    assert quantities(sandbox, provider) == expected(provider)


@pytest.mark.parametrize("kind", ["hang_before", "hang_after"])
@pytest.mark.parametrize(("provider", "step"), WRITES)
async def test_a_worker_killed_at_any_step_leaves_one_effect(
    provider: str, step: str, kind: str, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.fault(stand_in(provider), kind, match=step)
    worker = FORKS.Process(target=deliver_here, args=(provider, sandbox.base))
    worker.start()
    await asyncio.to_thread(sandbox.wait_for, "hanging")
    worker.kill()
    await asyncio.to_thread(worker.join)
    await deliver_until_done(connect(provider), document(provider), tries=1)
    assert quantities(sandbox, provider) == expected(provider)


@pytest.mark.parametrize("provider", CALLING)
async def test_a_provider_that_asks_to_slow_down_is_obeyed(provider: str, connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault(stand_in(provider), "throttle_429", times=None)
    with pytest.raises(Transient) as failure:
        await connect(provider).deliver(document(provider), "key")
    assert not failure.value.unknown
    assert failure.value.wait is None or failure.value.wait.total_seconds() == 1
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize(
    ("provider", "settings", "secret"),
    [
        ("stripe", {}, {"STRIPE_KEY": "sk_revoked_canary"}),
        ("aws_marketplace", {"access_key_id": "REVOKED"}, {}),
        ("aws_payments", {"access_key_id": "REVOKED"}, {}),
        ("azure_marketplace", {}, {"METROGRAPH_AZURE_STATIC_TOKEN": "revoked_canary"}),
        ("gcp_marketplace", {}, {"GCP_TOKEN": "revoked_canary"}),
        ("custom", {}, {"SIGNING": "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"}),
        ("custom_s3", {"access_key_id": "REVOKED"}, {}),
        ("custom_sqs", {"access_key_id": "REVOKED"}, {}),
        ("custom_sns", {"access_key_id": "REVOKED"}, {}),
    ],
)
async def test_refused_credentials_stop_the_connection_and_show_nothing(
    provider: str,
    settings: dict[str, Any],
    secret: dict[str, str],
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kind = load(provider)
    table = {**sandbox.table(provider), **settings}
    connector: Connector = kind(kind.Config.from_table("test", table, {**ENVIRON, **secret}), sandbox.clock)
    with caplog.at_level("DEBUG"), pytest.raises(Terminal) as failure:
        await connector.deliver(document(provider), "key")
    await connector.close()
    assert failure.value.stop_connection
    assert failure.value.hint
    assert "canary" not in f"{failure.value!r}{caplog.text}"
    assert sandbox.effects(provider) == []


@pytest.mark.parametrize("provider", ACCOUNTS)
def test_settings_tell_every_problem_at_once_and_never_a_secret(provider: str, sandbox: Sandbox) -> None:
    config = load(provider).Config
    assert CANARY not in repr(config.from_table("good", sandbox.table(provider), ENVIRON))
    wrong = {**sandbox.table(provider), "timeout_seconds": 0, "no_such_key": 1}
    with pytest.raises(SettingsError) as failure:
        config.from_table("bad", wrong, ENVIRON)
    assert {problem.key for problem in failure.value.problems} == {"timeout_seconds", "no_such_key"}


@pytest.mark.parametrize("provider", ACCOUNTS)
def test_the_customers_side_is_checked(provider: str) -> None:
    check = load(provider).validate_customer
    customer = customer_of(provider)
    assert check(customer) == []
    assert bool(check({})) == bool(customer), "who needs something says so"
    assert [problem.key for problem in check({**customer, "colour": "red"})] == ["colour"]


@pytest.mark.parametrize("provider", [name for name in ACCOUNTS if name not in ("custom", "custom_sqs", "custom_sns")])
async def test_find_tells_nothing_before_and_the_effect_after(
    provider: str, connect: Connect, sandbox: Sandbox
) -> None:
    connector, sent = connect(provider), document(provider)
    assert await connector.find(sent) is None
    delivered = await connector.deliver(sent, "key")
    found = await connector.find(sent)
    # Elsewhere sending the identical document again is the question.
    if provider in ASKED:
        assert found is not None
        assert (found.status, found.acknowledged) == (OutcomeStatus.DUPLICATE, delivered[0].acknowledged)
    else:
        assert found is None


@pytest.mark.parametrize("provider", ["custom", "custom_sqs", "custom_sns"])
async def test_where_nobody_can_be_asked_the_effect_is_unknown(provider: str, connect: Connect) -> None:
    connector, sent = connect(provider), document(provider)
    for _ in range(2):
        found = await connector.find(sent)
        assert found is not None
        # With a reference a void can be told all the same, which is right whether the message arrived or not.
        assert (found.status, found.provider_reference) == (OutcomeStatus.UNKNOWN, "inv_october")
        await connector.deliver(sent, "key")


@pytest.mark.parametrize("provider", ACCOUNTS)
async def test_what_a_provider_cannot_do_is_said_as_such(provider: str, connect: Connect) -> None:
    connector = connect(provider)
    if connector.capabilities.mode == "metering":
        for attempt in (connector.void(Receipt(reference="slot", provider_reference="x")), connector.status("x")):
            with pytest.raises(Terminal) as failure:
                await attempt
            assert failure.value.code == NOT_SUPPORTED
    with pytest.raises(Terminal):
        connector.parse_webhook({}, b"{}")


@pytest.mark.parametrize("provider", ACCOUNTS)
def test_limits_are_stated(provider: str) -> None:
    limits = load(provider).capabilities
    assert limits.batch_size >= 1
    assert (limits.window is None) == (limits.mode == "invoice")
    assert load(provider).name == provider_of(provider)
