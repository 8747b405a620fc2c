"""Reconciliation with each provider: nothing on a clean set, and every planted difference by its reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from app.core.period import Period
from app.core.reconciliation import Reason
from app.delivery.reconciliation import Reconciliation
from app.delivery.reconciling import reconcile
from app.invoices.voiding import void_invoice
from tests.delivery.world import HOUR, NOVEMBER, SETTINGS, World

NAMES = ("alder", "birch", "cedar", "dogwood", "elm", "fir", "gum", "hazel", "ivy")


async def reconciled(world: World, provider: str) -> Reconciliation:
    """The three days around now."""
    [account] = [item for item in world.connections.all() if item.provider == provider]
    period = Period(world.now - timedelta(days=2), world.now + timedelta(days=1))
    return await reconcile(world.store, account, period, clock=world.sandbox.now)


async def say(world: World, statement: str, **values: Any) -> None:
    async with world.store.transaction() as session:
        await session.execute(text(statement), values)


def reasons(found: Reconciliation) -> list[Reason]:
    return sorted(item.reason for item in found.discrepancies)


@pytest.fixture
async def billed(world: World) -> World:
    """Nine invoices over 5.00 USD each, delivered to Stripe, which puts a tax on top of one."""
    taxed = {"tax": "rates", "taxRates": "txr_exclusive20"}
    for name in NAMES:
        more = taxed if name == "cedar" else {}
        await world.account("stripe", name=name, settings=SETTINGS["stripe"] | more)
        await world.use(500, at=NOVEMBER - HOUR, customer=name)
    assert (await world.finalize()).finalized == 9
    await world.sweep()
    return world


def stripe(world: World, path: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Somebody's own call to Stripe."""
    answer = world.sandbox.http.post(
        f"/v1/{path}", data=dict(form), headers={"authorization": "Bearer sk_test_by_hand"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_clean_set_has_no_difference_and_each_planted_one_is_found(billed: World) -> None:
    world = billed
    found = await reconciled(world, "stripe")
    assert (found.compared, found.foreign, found.problem, found.discrepancies) == (9, 0, None, [])
    assert found.ours == found.theirs == {"USD": Decimal(45)}

    first, second, third, fourth, fifth, sixth, seventh, _, last = sorted(
        await world.deliveries(), key=lambda row: row.invoice_id
    )
    changed = "update deliveries set {} where id = :id"
    await say(world, changed.format("total = total + 1"), id=first.id)  # AMOUNT
    await say(world, changed.format("currency = 'EUR'"), id=second.id)  # CURRENCY
    stripe(world, f"invoices/{third.provider_reference}/void", {})  # VOIDED_THERE
    await say(world, changed.format("status = 'CANCELED'"), id=fourth.id)  # NOT_VOIDED_THERE
    await say(world, changed.format("status = 'FAILED', delivered_at = null"), id=fifth.id)  # UNCONFIRMED
    await say(world, changed.format("provider_reference = 'in_gone', invoice_id = invoice_id"), id=sixth.id)
    await say(world, changed.format("status = 'SKIPPED'"), id=seventh.id)  # EXTRA
    mine = {"customer": "cus_Acme", "auto_advance": "false"}
    stripe(world, "invoices", mine)  # Not ours, and no difference.
    twice = world.sandbox.effects("stripe")
    marked = next(one for one in twice if one["id"] == last.provider_reference)["metadata"]
    stripe(world, "invoices", {**mine, **{f"metadata[{key}]": value for key, value in marked.items()}})  # DUPLICATE

    found = await reconciled(world, "stripe")
    assert found.foreign == 1
    assert reasons(found) == sorted(
        (Reason.AMOUNT, Reason.CURRENCY, Reason.VOIDED_THERE, Reason.NOT_VOIDED_THERE, Reason.UNCONFIRMED,
         Reason.EXTRA, Reason.DUPLICATE)
    )  # fmt: skip


async def test_what_has_not_arrived_is_told_and_so_is_what_is_past_due(billed: World) -> None:
    world = billed
    world.sandbox.reset("effects")
    found = await reconciled(world, "stripe")
    assert reasons(found) == [Reason.MISSING] * 9, "Stripe says of each that there is none"
    told = "update deliveries set status = 'NEEDS_ATTENTION', error_code = 'VOIDED_AT_PROVIDER', provider_status = 'deleted'"
    await say(world, told)
    assert reasons(await reconciled(world, "stripe")) == [Reason.VOIDED_THERE] * 9, "Stripe told of each when it went"
    await say(
        world,
        "update deliveries set status = 'NEEDS_ATTENTION', error_code = null, delivered_at = null, "
        "provider_reference = null",
    )
    found = await reconciled(world, "stripe")
    assert reasons(found) == [Reason.NOT_DELIVERED] * 9
    assert sum(item.difference for item in found.discrepancies) == -45


async def test_an_invoice_past_its_due_date_is_unpaid(world: World) -> None:
    await world.account("stripe", settings={"stripeCustomerId": "cus_Acme", "collectionMethod": "send_invoice",
                                            "daysUntilDue": "1"})  # fmt: skip
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    assert (await reconciled(world, "stripe")).discrepancies == []
    world.sandbox.move(hours=30)
    assert reasons(await reconciled(world, "stripe")) == [Reason.UNPAID]


async def test_a_void_that_was_told_is_no_difference(billed: World) -> None:
    world = billed
    [first, *_] = await world.invoices()
    async with world.store.transaction() as session:
        await void_invoice(session, first.id, reason="wrong", in_provider=True, now=world.now)
    await world.sweep()
    found = await reconciled(world, "stripe")
    assert (found.discrepancies, found.theirs) == ([], {"USD": Decimal(40)})


async def test_a_provider_that_does_not_answer_is_said_and_nothing_is_called_missing(billed: World) -> None:
    billed.sandbox.fault("stripe", "refuse_500", times=None)
    found = await reconciled(billed, "stripe")
    assert (found.is_unread, found.discrepancies) == (True, [])
    assert found.problem


async def test_what_alone_cannot_be_read_is_not_called_missing(billed: World) -> None:
    world = billed
    world.sandbox.reset("effects")
    world.sandbox.fault("stripe", "refuse_500", match="invoices.retrieve", times=None)
    found = await reconciled(world, "stripe")
    assert (found.is_unread, found.compared, found.discrepancies) == (True, 0, [])


async def test_azure_is_compared_by_the_day(world: World) -> None:
    await world.account("azure_marketplace")
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    found = await reconciled(world, "azure_marketplace")
    assert (found.discrepancies, found.ours, found.theirs) == ([], {None: Decimal(500)}, {None: Decimal(500)})
    await say(world, "update metering_slots set quantity = quantity - 7")
    [difference] = (await reconciled(world, "azure_marketplace")).discrepancies
    assert (difference.reason, difference.difference) == (Reason.AMOUNT, Decimal(7))
    await say(world, "update metering_slots set quantity = quantity + 7, status = 'SENDING'")
    assert reasons(await reconciled(world, "azure_marketplace")) == [Reason.UNCONFIRMED]


async def test_where_nothing_can_be_read_our_side_is_told(world: World) -> None:
    await world.account("aws_marketplace")
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    world.sandbox.fault("aws_marketplace", "refuse_500", match="BatchMeterUsage", times=None)
    await world.sweep()
    found = await reconciled(world, "aws_marketplace")
    assert found.problem
    assert not found.is_unread
    assert reasons(found) == [Reason.NOT_DELIVERED]
