"""What both marketplaces do: windows, slots, duplicates, batches, records that spoil a batch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.base import Connector, MeteringDocument, OutcomeStatus, Transient, UsageRecord
from tests.connectors.world import CUSTOMERS, NOW, MovingClock, Sandbox, invoice, make, record, slots, statuses

Connect = Callable[..., Connector]
BOTH = ["aws_marketplace", "azure_marketplace"]
ACCEPTED, DUPLICATE, COLLISION = OutcomeStatus.ACCEPTED, OutcomeStatus.DUPLICATE, OutcomeStatus.COLLISION
REFUSED, UNKNOWN = OutcomeStatus.REFUSED, OutcomeStatus.UNKNOWN


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(("number", "calls"), [(1, 1), (25, 1), (26, 2), (50, 2)])
async def test_no_call_carries_more_than_25(
    provider: str, number: int, calls: int, connect: Connect, sandbox: Sandbox
) -> None:
    assert await statuses(connect(provider), *slots(provider, number)) == [ACCEPTED] * number
    assert len(sandbox.calls()) == calls
    assert len(sandbox.effects(provider)) == number


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(
    ("hours_ago", "status", "code"),
    [(-1, REFUSED, "IN_FUTURE"), (0, ACCEPTED, None), (23, ACCEPTED, None), (24, REFUSED, "OUT_OF_WINDOW")],
)
async def test_usage_outside_the_window_is_never_sent(
    provider: str, hours_ago: int, status: OutcomeStatus, code: str | None, connect: Connect, sandbox: Sandbox
) -> None:
    (outcome,) = await connect(provider).deliver(MeteringDocument((record(provider, hours_ago=hours_ago),)), "key")
    assert (outcome.status, outcome.code) == (status, code)
    assert len(sandbox.calls()) == (1 if status is ACCEPTED else 0)


@pytest.mark.parametrize("provider", BOTH)
async def test_one_expired_record_does_not_hold_up_the_others(
    provider: str, connect: Connect, sandbox: Sandbox
) -> None:
    late = record(provider, "late", hours_ago=30)
    found = await statuses(connect(provider), *slots(provider, 12), late, *slots(provider, 24)[12:])
    assert found == [ACCEPTED] * 12 + [REFUSED] + [ACCEPTED] * 12
    assert len(sandbox.calls()) == 1


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize("quantity", ["0", "-1", "0.5", "1E+20"])
async def test_quantities_are_whole_positive_and_bounded(
    provider: str, quantity: str, connect: Connect, sandbox: Sandbox
) -> None:
    sent = UsageRecord(
        reference="s",
        customer=CUSTOMERS[provider],
        dimension="usage_fee",
        hour=NOW.replace(minute=0),
        quantity=Decimal(quantity),
    )
    (outcome,) = await connect(provider).deliver(MeteringDocument((sent,)), "key")
    assert (outcome.status, outcome.code) == (REFUSED, "INVALID_QUANTITY")
    assert sandbox.calls() == []


@pytest.mark.parametrize(("provider", "same"), [("aws_marketplace", ACCEPTED), ("azure_marketplace", DUPLICATE)])
async def test_a_slot_holds_one_quantity_for_ever(
    provider: str, same: OutcomeStatus, connect: Connect, sandbox: Sandbox
) -> None:
    connector = connect(provider)
    first, other = record(provider, quantity=100), record(provider, quantity=130)
    assert await statuses(connector, first) == [ACCEPTED]
    assert await statuses(connector, first) == [same]
    assert await statuses(connector, other) == [COLLISION]
    assert await statuses(connector, other, *slots(provider, 2)) == [COLLISION, ACCEPTED, ACCEPTED]
    assert [slot["quantity"] for slot in sandbox.effects(provider) if slot["dimension"] == "usage_fee"] == ["100"]


@pytest.mark.parametrize("provider", BOTH)
async def test_a_clock_that_lags_behind_the_provider_costs_only_the_late_records(
    provider: str, connect: Connect, sandbox: Sandbox
) -> None:
    connector = make(provider, Sandbox(sandbox.base, MovingClock(NOW - timedelta(hours=2)), sandbox.http))
    late = record(provider, "late", hours_ago=25)
    assert await statuses(connector, *slots(provider, 24, hours_ago=3), late) == [ACCEPTED] * 24 + [REFUSED]
    await connector.close()
    assert len(sandbox.effects(provider)) == 24


async def test_a_failure_in_the_second_batch_keeps_the_answers_of_the_first(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("aws_marketplace", "throttle_429", after=1)
    found = await statuses(connect("aws_marketplace"), *slots("aws_marketplace", 60))
    assert found == [ACCEPTED] * 25 + [UNKNOWN] * 35
    assert await statuses(connect("aws_marketplace"), *slots("aws_marketplace", 60)) == [ACCEPTED] * 60


async def test_a_failure_while_narrowing_keeps_what_was_answered(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("aws_marketplace", "reject")
    sandbox.fault("aws_marketplace", "drop_before", after=1)
    found = await statuses(connect("aws_marketplace"), *slots("aws_marketplace", 4))
    assert found.count(ACCEPTED) == 2
    assert found.count(UNKNOWN) == 2


async def test_customers_without_an_agreement_are_refused(connect: Connect, sandbox: Sandbox) -> None:
    nobody = {**CUSTOMERS["aws_marketplace"], "awsCustomerAccountId": "000000000000"}
    found = await statuses(
        connect("aws_marketplace"), record("aws_marketplace"), record("aws_marketplace", "s2", customer=nobody)
    )
    assert found == [ACCEPTED, REFUSED]
    lost = {"azureSubscriptionId": "00000000-0000-0000-0000-000000000000", "planId": "standard"}
    records = [record("azure_marketplace", "s2", customer=lost), *slots("azure_marketplace", 2)]
    outcomes = await connect("azure_marketplace").deliver(MeteringDocument(tuple(records)), "key")
    assert [outcome.code for outcome in outcomes] == ["ResourceNotFound", None, None]


async def test_settings_of_a_customer_that_are_wrong_refuse_no_other_record(connect: Connect) -> None:
    for provider in BOTH:
        records = (record(provider, "s9", customer={"colour": "red"}), *slots(provider, 2))
        outcomes = await connect(provider).deliver(MeteringDocument(records), "key")
        assert [(one.status, one.code) for one in outcomes] == [
            (REFUSED, "CUSTOMER_SETTINGS"), (ACCEPTED, None), (ACCEPTED, None),
        ]  # fmt: skip


async def test_a_region_that_fails_holds_up_no_other(connect: Connect, sandbox: Sandbox) -> None:
    """A first region throttles; a second one loses an answer; what was not sent, or was refused, is certain to be nothing."""
    provider = "aws_marketplace"
    west = {**CUSTOMERS[provider], "region": "eu-west-1"}
    records = (record(provider, "s9", customer=west), *slots(provider, 2))
    sandbox.fault(provider, "throttle_429")
    outcomes = await connect(provider).deliver(MeteringDocument(records), "key")
    assert [(one.status, one.is_harmless) for one in outcomes] == [
        (UNKNOWN, True),
        (ACCEPTED, False),
        (ACCEPTED, False),
    ]
    sandbox.reset("effects")
    sandbox.fault(provider, "throttle_429")
    sandbox.fault(provider, "reset_after", after=1)
    with pytest.raises(Transient) as failure:
        await connect(provider).deliver(MeteringDocument(records), "key")
    assert failure.value.unknown, "some of them may have been counted"


@pytest.mark.parametrize(("provider", "given"), [("aws_marketplace", slots("aws_marketplace", 1)), ("stripe", None)])
async def test_the_end_of_a_repeat_by_the_sdk_proves_nothing(
    provider: str, given: tuple[UsageRecord, ...] | None, connect: Connect, sandbox: Sandbox
) -> None:
    """The answer to its first try was lost, and its second try is told to slow down."""
    step = "invoices.finalize" if given is None else ""
    sandbox.fault(provider, "reset_after", match=step)
    sandbox.fault(provider, "throttle_429", match=step, times=None, after=1)
    document = invoice() if given is None else MeteringDocument(given)
    with pytest.raises(Transient) as failure:
        await connect(provider, network_retries=1).deliver(document, "key")
    assert failure.value.unknown
    assert len(sandbox.effects(provider)) == 1
