"""Provider accounts through the API: paused they send nothing and lose nothing; reconciliations are kept and read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel import select

from app.delivery import reconciliation_runs
from app.delivery.tables import ReconciliationRow
from app.invoices.voiding import void_invoice
from tests.api.conftest import Api
from tests.api.test_deliveries import app, sandbox, sandbox_process, world
from tests.delivery.world import HOUR, NOVEMBER, World

__all__ = ["app", "sandbox", "sandbox_process", "world"]

STRIPE, AWS = "stripe-sandbox", "aws-sandbox"
CONNECTION = """name provider isMetered pausedSince pauseReason openDeliveries { status count }
openMeteringSlots { status count } oldestUnsentAt needsAttention"""
LIST = f"{{ providerAccounts {{ totalCount nodes {{ {CONNECTION} }} }} }}"
PAUSE = f"""mutation ($name: String!, $reason: String!) {{ providerAccountPause(name: $name, reason: $reason) {{
  providerAccount {{ {CONNECTION} }} userErrors {{ code path }} }} }}"""
RESUME = f"""mutation ($name: String!) {{ providerAccountResume(name: $name) {{
  providerAccount {{ {CONNECTION} }} userErrors {{ code path }} }} }}"""
ALARMS = "{ unprovenMeteringSlots(onlyAlarmed: true) { nodes { alarm quantity } } }"
AUDIT = "{ auditLog(first: 100) { nodes { action outcome before after } } }"
RECONCILIATION = """id state isScheduled provider connection interval { startingAt endingBefore } compared notOurs problem
ours { currency amount } theirs { currency amount } differenceCount finishedAt
differences(first: 1, reason: $reason) { totalCount nodes { reason remedy reference providerReferences ours theirs difference
  currency } pageInfo { hasNextPage } }"""
START = """mutation ($input: ReconciliationStartInput!) { reconciliationStart(input: $input) {
  reconciliation { id state } userErrors { code path message } } }"""
READ = f"query ($id: ID!, $reason: [ReconciliationReason!]) {{ reconciliation(id: $id) {{ {RECONCILIATION} }} }}"
FOUND = f"""query ($filter: ReconciliationFilter, $reason: [ReconciliationReason!]) {{
  reconciliations(filter: $filter) {{ totalCount nodes {{ {RECONCILIATION} }} }} }}"""


async def named(api: Api, name: str) -> dict[str, Any]:
    return next(item for item in (await api(LIST))["providerAccounts"]["nodes"] if item["name"] == name)


async def pause(api: Api, *names: str) -> None:
    for name in names:
        answer = (await api(PAUSE, name=name, reason="their maintenance"))["providerAccountPause"]
        assert answer["userErrors"] == []


async def test_a_paused_account_is_sent_nothing_and_nothing_is_lost(api: Api, world: World) -> None:
    await world.account("stripe")
    await world.account("aws_marketplace", name="birch")
    for name in ("acme", "birch"):
        await world.use(1234, at=NOVEMBER - HOUR, customer=name)
    await world.finalize()
    await world.open()
    await pause(api, STRIPE, AWS)
    calls = world.sandbox.calls()
    for _ in range(2):
        await world.sweep()
        world.sandbox.move(hours=13)
        await world.use(100, at=world.now - HOUR, customer="birch")
    assert world.sandbox.calls() == calls
    assert await named(api, STRIPE) == {
        "name": STRIPE, "provider": "stripe", "isMetered": False, "pausedSince": "2026-11-02T12:00:00Z",
        "pauseReason": "their maintenance", "openDeliveries": [{"status": "PENDING", "count": 1}],
        "openMeteringSlots": [], "oldestUnsentAt": "2026-11-02T12:00:00Z", "needsAttention": 0,
    }  # fmt: skip
    # The window of the first hour has passed, so its amount is owed again; that of the second runs out and says so.
    metered = await named(api, AWS)
    assert (metered["isMetered"], metered["openMeteringSlots"]) == (True, [{"status": "PENDING", "count": 2}])
    assert [item["alarm"] for item in (await api(ALARMS))["unprovenMeteringSlots"]["nodes"]] == ["MISSED", "CLOSING"]
    for name in (STRIPE, AWS):
        answer = (await api(RESUME, name=name))["providerAccountResume"]
        assert (answer["userErrors"], answer["providerAccount"]["pausedSince"]) == ([], None)
    await world.sweep()
    world.sandbox.move(hours=1)
    await world.sweep()
    assert [item["total"] for item in world.sandbox.effects("stripe")] == [1234]
    assert world.sandbox.metered("aws_marketplace") == 1234 + 200
    assert {item.status for item in await world.deliveries()} == {"DELIVERED"}
    assert (await named(api, AWS))["openMeteringSlots"] == []


async def test_what_is_void_waits_at_a_paused_account_and_refusals_are_told(api: Api, world: World) -> None:
    await world.account("stripe")
    await world.use(1234, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    await pause(api, STRIPE)
    [invoice] = await world.invoices()
    async with world.store.transaction() as session:
        await void_invoice(session, invoice.id, reason="wrong", in_provider=True, now=world.now)
    await world.sweep()
    assert [item["status"] for item in world.sandbox.effects("stripe")] == ["open"]
    for document, name, code, path in (
        (PAUSE, STRIPE, "ILLEGAL_TRANSITION", "name"),
        (PAUSE, "nowhere", "NOT_FOUND", "name"),
        (RESUME, AWS, "ILLEGAL_TRANSITION", "name"),
        (RESUME, "x" * 500, "NOT_FOUND", "name"),
    ):
        variables = {"name": name} | ({"reason": "again"} if document is PAUSE else {})
        [answer] = (await api(document, **variables)).values()
        assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [(code, [path])]
    [answer] = (await api(PAUSE, name=AWS, reason=" ")).values()
    assert [error["path"] for error in answer["userErrors"]] == [["reason"]]
    await api(RESUME, name=STRIPE)
    await world.sweep()
    assert [item["status"] for item in world.sandbox.effects("stripe")] == ["void"]
    noted = [item for item in (await api(AUDIT))["auditLog"]["nodes"] if item["outcome"] == "ok"]
    changes = {item["action"]: item["after"] for item in noted if item["action"].startswith("provider_account")}
    assert changes == {
        "provider_account.pause": {"name": STRIPE, "isPaused": True, "reason": "their maintenance"},
        "provider_account.resume": {"name": STRIPE, "isPaused": False},
    }  # fmt: skip


async def make_them(world: World) -> None:
    """What the jobs do."""
    async with world.store.transaction() as session:
        asked = (await session.scalars(select(ReconciliationRow.id))).all()
    for identifier in asked:
        await reconciliation_runs.carry_out(world.store, world.connections, identifier, clock=world.sandbox.now)


async def test_a_reconciliation_is_asked_for_and_read(api: Api, world: World) -> None:
    for name in ("acme", "birch"):
        await world.account("stripe", name=name, settings={"stripeCustomerId": f"cus_{name}"})
        await world.use(500, at=NOVEMBER - HOUR, customer=name)
    await world.finalize()
    await world.sweep()
    async with world.store.transaction() as session:
        await session.execute(text("update deliveries set total = total + 1"))
    asked = {"connection": STRIPE, "startingAt": "2026-11-02T00:00:00Z", "endingBefore": "2026-11-03T00:00:00Z"}
    started = (await api(START, input=asked))["reconciliationStart"]
    identifier = started["reconciliation"]["id"]
    assert started == {"reconciliation": {"id": identifier, "state": "REQUESTED"}, "userErrors": []}
    await make_them(world)
    calls = world.sandbox.calls()
    await make_them(world)
    assert world.sandbox.calls() == calls, "what was done is not done again"
    found = (await api(READ, id=identifier))["reconciliation"]
    page = found.pop("differences")
    assert found == {
        "id": identifier, "state": "DONE", "isScheduled": False, "provider": "stripe", "connection": STRIPE,
        "interval": {"startingAt": "2026-11-02T00:00:00Z", "endingBefore": "2026-11-03T00:00:00Z"}, "compared": 2,
        "notOurs": 0, "problem": None, "ours": [{"currency": "USD", "amount": "12"}],
        "theirs": [{"currency": "USD", "amount": "10"}], "differenceCount": 2, "finishedAt": "2026-11-02T12:00:00Z",
    }  # fmt: skip
    [difference] = page["nodes"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (2, True)
    assert (difference["reason"], difference["ours"], difference["theirs"], difference["difference"]) == (
        "AMOUNT", "6", "5", "-1",
    )  # fmt: skip
    assert difference["reference"].startswith("inv_")
    assert difference["remedy"]
    none = (await api(READ, id=identifier, reason=["MISSING"]))["reconciliation"]["differences"]
    assert none["totalCount"] == 0
    for wrong, code in (
        ({"connection": "nowhere"}, "NOT_FOUND"),
        ({"endingBefore": asked["startingAt"]}, "INVALID_INTERVAL"),
        ({"endingBefore": "2027-11-04T00:00:00Z"}, "INVALID_INTERVAL"),
        ({"startingAt": "2026-11-02T12:00:01Z"}, "INVALID_INTERVAL"),
    ):
        [error] = (await api(START, input=asked | wrong))["reconciliationStart"]["userErrors"]
        assert error["code"] == code


async def test_every_night_complete_days_are_compared_and_none_is_left_out(api: Api, world: World) -> None:
    await world.account("stripe")
    await world.use(500, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()

    async def night(**step: float) -> int:
        world.sandbox.move(**step)
        return await reconciliation_runs.reconcile_nightly(world.store, world.connections, clock=world.sandbox.now)

    accounts = len(world.connections.all())
    assert await night(hours=16) == accounts, "the day before, of each account"
    assert await night(hours=1) == 0
    world.sandbox.fault("stripe", "refuse_500", match="list", times=None)
    assert await night(days=2) == 2 * (accounts - 1)
    filters = {"connection": STRIPE, "state": ["UNREAD"]}
    [unread] = (await api(FOUND, filter=filters))["reconciliations"]["nodes"]
    assert unread["interval"]["startingAt"] == "2026-11-03T00:00:00Z"
    assert unread["problem"]
    world.sandbox.reset("faults")
    assert await night(hours=1) == 2, "the day that was not read, and the one after it"
    found = (await api(FOUND, filter={"connection": STRIPE, "hasDifferences": False}))["reconciliations"]
    days = [(item["interval"]["startingAt"][:10], item["state"], item["compared"]) for item in found["nodes"]]
    assert sorted(days) == [("2026-11-02", "DONE", 1), ("2026-11-03", "DONE", 0), ("2026-11-04", "DONE", 0)]
    assert (await night(days=30)) == 7 * accounts, "an outage of a week leaves no day out; what is older is asked for"
