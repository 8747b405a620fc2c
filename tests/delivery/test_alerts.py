"""Each type of alert on a seller with usage and balances: the crossing, told once, equality, and what follows."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from app.alerts import looking, readings, rules, service, ticking, touched
from app.alerts.evaluating import evaluate
from app.alerts.looking import evaluate_alone
from app.alerts.snapshot import Snapshot
from app.alerts.tables import AlertRow, AlertTransitionRow
from app.alerts.touched import evaluate_touched
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.contracts.family import lock_family
from app.contracts.tables import Contract
from app.core.alerts import AlertType, Reading
from app.core.grants import GrantType
from app.core.money import MoneyOf
from app.core.per_event import PercentagePerEvent
from app.core.rates import Tier, Tiered
from app.core.terms import Aggregation, ProductType
from app.custom_fields import entities, keys
from app.custom_fields.service import set_custom_fields
from app.custom_fields.tables import CustomFieldKey
from app.grants.adjustments import adjust
from app.grants.definitions import NewGrant, NewSegment
from app.grants.service import insert_grants
from app.notices import endpoints
from app.notices.sending import Place, send_due
from app.notices.tables import Notice
from app.settings import Settings
from app.store.engine import Store
from app.store.ids import to_text
from app.store.locks import hold
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest
from tests.delivery.world import ACTOR, HOUR, NOVEMBER, World
from tests.notices.receiver import receiving, status

D = Decimal
CROSSINGS = 1_000 if os.environ.get("METROGRAPH_STRESS") else 200
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
SPEND, USAGE = AlertType.SPEND_THRESHOLD_REACHED, AlertType.USAGE_THRESHOLD_REACHED
COMMIT = AlertType.LOW_REMAINING_COMMIT_BALANCE_REACHED
CREDIT = AlertType.LOW_REMAINING_CONTRACT_CREDIT_BALANCE_REACHED
BOTH = AlertType.LOW_REMAINING_CONTRACT_CREDIT_AND_COMMIT_BALANCE_REACHED
DAYS = AlertType.LOW_REMAINING_DAYS_FOR_CONTRACT_CREDIT_SEGMENT_REACHED
PERCENT = AlertType.LOW_REMAINING_CONTRACT_CREDIT_PERCENTAGE_REACHED
SEAT = AlertType.LOW_REMAINING_SEAT_BALANCE_REACHED


@dataclass
class Watch:
    """A world with alerts: usage and changes are looked at as the jobs would."""

    world: World
    gift: UUID

    async def alert(self, kind: AlertType, threshold: str, **fields: Any) -> UUID:
        async with self.world.store.transaction() as session:
            wanted = rules.NewAlert(name=fields.pop("name", kind), type=kind, threshold=D(threshold), **fields)
            return (await service.create_alert(session, wanted, now=self.world.now)).id

    async def look(self, *, tick: bool = False) -> list[tuple[str, str | None]]:
        """What was told since the last look: event and reading, oldest first."""
        before = set(await self._notices())
        if tick:
            async with self.world.store.transaction() as session:
                await ticking.tick(session, now=self.world.now)
        await evaluate_touched(self.world.store, now=self.world.now)
        now = await self._notices()
        return [self.told(now[identifier]) for identifier in now if identifier not in before]

    async def use(self, quantity: int, *, hours: int = -1) -> list[tuple[str, str | None]]:
        await self.world.use(quantity, at=self.world.now + hours * HOUR)
        return await self.look()

    async def give(self, contract: Contract, amount: str, **fields: Any) -> UUID:
        """A credit or commit of a contract."""
        start, end = fields.pop("start", NOVEMBER), fields.pop("end", DECEMBER + timedelta(days=60))
        entry = NewGrant(
            type=fields.pop("type", GrantType.CREDIT), segments=[NewSegment(D(amount), start, end)],
            product_id=self.gift, unit="USD", **fields,
        )  # fmt: skip
        async with self.world.store.transaction() as session:
            [row] = await insert_grants(session, contract, [entry], path=("input",), now=self.world.now)
            return row.id

    async def enter(self, grant_id: UUID, amount: str) -> None:
        async with self.world.store.transaction() as session:
            await adjust(session, grant_id, amount=D(amount), reason="test", now=self.world.now)

    async def notices(self) -> list[Notice]:
        return list((await self._notices()).values())

    async def _notices(self) -> dict[UUID, Notice]:
        async with self.world.store.transaction() as session:
            found = await session.execute(
                select(Notice).where(col(Notice.type).startswith("alerts.")).order_by(col(Notice.id))
            )
            return {row.id: row for row in found.scalars()}

    def told(self, notice: Notice) -> tuple[str, str | None]:
        values = [notice.data[name] for name in notice.data if name.startswith(("current", "remaining"))]
        return notice.type.removeprefix("alerts."), (values or [notice.data.get("invoiceTotal")])[0]


@pytest.fixture
async def watch(world: World) -> Watch:
    async with world.store.transaction() as session:
        gift = await create_product(session, name="Gift", type=ProductType.FIXED, now=world.now)
    return Watch(world, gift.id)


async def contract_of(watch: Watch, name: str = "acme", price: str = "1", **terms: Any) -> Contract:
    return await watch.world.contract(
        await watch.world.customer(name), None, price=price, starting_at=NOVEMBER, **terms
    )


async def test_spend_before_balances(watch: Watch) -> None:
    contract = await contract_of(watch)
    await watch.give(contract, "1000")
    await watch.alert(SPEND, "100")
    await watch.alert(SPEND, "100", unit="EUR")
    assert await watch.look() == []
    assert await watch.use(99) == []
    assert await watch.use(1) == [("spend_threshold_reached", "100")], (
        "at the threshold, though a credit pays all of it"
    )
    assert await watch.use(50) == [], "once"
    assert await watch.look(tick=True) == []
    watch.world.sandbox.set_clock(DECEMBER + 2 * HOUR)
    assert await watch.look(tick=True) == [], "a new period is OK again in silence"
    assert await watch.use(100) == [("spend_threshold_reached", "100")]
    [first, _] = await watch.notices()
    assert first.data == {
        "alertId": to_text("alert", first.subject_id or UUID(int=0)), "alertName": "SPEND_THRESHOLD_REACHED",
        "customerId": to_text("customer", contract.customer_id), "billableMetricId": None, "currentSpend": "100",
        "threshold": "100", "timestamp": "2026-11-02T12:00:00Z", "triggeredBy": None, "unit": "USD",
    }  # fmt: skip


async def test_a_customer_whom_others_hold_too_long_is_looked_at_later(watch: Watch) -> None:
    """Those who were to be looked at together with it do not wait."""
    contract = await contract_of(watch)
    other = await watch.world.customer("other")
    await watch.world.contract(other, None, price="1", starting_at=NOVEMBER)
    await watch.alert(SPEND, "100")
    assert await watch.look() == []
    for customer, quantity in (("acme", 100), ("other", 300)):
        await watch.world.use(quantity, at=watch.world.now - HOUR, customer=customer)
    hasty = await Store(watch.world.store.url, wait_seconds=0.2).open()
    try:
        async with watch.world.store.transaction() as session:
            await lock_family(session, contract.customer_id)
            assert await evaluate_touched(hasty, now=watch.world.now) == 1
    finally:
        await hasty.close()
    assert [watch.told(notice) for notice in await watch.notices()] == [("spend_threshold_reached", "300")]
    assert await watch.look() == [("spend_threshold_reached", "100")]


async def test_a_customer_who_cannot_be_looked_at_stops_nobody(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a mistake of ours: what was noted of it goes, and the next change tries again."""
    contract = await contract_of(watch)
    other = await watch.world.customer("other")
    await watch.world.contract(other, None, price="1", starting_at=NOVEMBER)
    await watch.alert(SPEND, "100")
    await watch.look()
    for customer in ("acme", "other"):
        await watch.world.use(100, at=watch.world.now - HOUR, customer=customer)
    real = readings.read

    async def read(snapshot: Snapshot, row: AlertRow) -> list[Reading]:
        assert snapshot.customer_id != contract.customer_id, "a mistake"
        return await real(snapshot, row)

    with monkeypatch.context() as patched:
        patched.setattr(readings, "read", read)
        assert await watch.look() == [("spend_threshold_reached", "100")]
        assert await watch.look() == [], "nothing is noted any more"
    assert await watch.use(1) == [("spend_threshold_reached", "101")]


async def test_usage_of_a_metric(watch: Watch) -> None:
    await contract_of(watch, price="0.001")
    async with watch.world.store.transaction() as session:
        metric_id = (await session.execute(text("select id from metrics"))).scalar_one()
        highest = await create_metric(
            session, name="Highest", aggregation=Aggregation.MAX, key="n", now=watch.world.now
        )
    await watch.alert(USAGE, "1000", metric_id=metric_id)
    await watch.alert(USAGE, "600", metric_id=highest.id)
    assert await watch.use(999) == [("usage_threshold_reached", "999")], "MAX"
    assert await watch.use(1) == [("usage_threshold_reached", "1000")]
    assert await watch.use(5000) == []


async def test_invoice_totals_after_balances(watch: Watch) -> None:
    contract = await contract_of(watch)
    await watch.give(contract, "60")
    await watch.alert(AlertType.INVOICE_TOTAL_REACHED, "50")
    await watch.alert(AlertType.INVOICE_TOTAL_REACHED, "1", invoice_types=["SCHEDULED"])
    await watch.alert(AlertType.INVOICE_TOTAL_REACHED, "1", unit="EUR")
    await watch.alert(AlertType.MONTHLY_INVOICE_TOTAL_SPEND_THRESHOLD_REACHED, "90")
    assert await watch.use(109) == []
    assert await watch.use(1) == [("invoice_total_reached", "50")]
    [notice] = await watch.notices()
    assert notice.data["invoiceId"] == notice.data["triggeredBy"]
    assert await watch.use(40) == [("monthly_invoice_total_spend_threshold_reached", "90")]
    watch.world.sandbox.set_clock(DECEMBER + timedelta(days=3))
    await watch.world.finalize()
    assert await watch.look() == [], "what became final in November counts for November"


@pytest.mark.parametrize(
    ("kind", "other", "name"),
    [
        (CREDIT, GrantType.PREPAID, "low_remaining_contract_credit_balance"),
        (COMMIT, GrantType.CREDIT, "low_remaining_commit_balance"),
        (BOTH, None, "low_remaining_contract_credit_and_commit_balance"),
    ],
)
async def test_balances(watch: Watch, kind: AlertType, other: GrantType | None, name: str) -> None:
    contract = await contract_of(watch)
    await watch.alert(kind, "20", notify_on_resolve=True, hysteresis=D(5))
    assert await watch.look() == [], "who never had a balance is OK"
    own = GrantType.PREPAID if kind is COMMIT else GrantType.CREDIT
    if other is not None:
        await watch.give(contract, "5", type=other)
    grant = await watch.give(contract, "100", type=own)
    await watch.give(contract, "999", type=own, start=DECEMBER)
    used = 79 + (5 if other is not None else 0)
    assert await watch.use(used) == [], "21 are left"
    assert await watch.use(1) == [(f"{name}_reached", "20")]
    assert await watch.use(1) == []
    await watch.enter(grant, "6")
    assert await watch.look() == [], "25 is within the margin"
    await watch.enter(grant, "1")
    assert await watch.look() == [(f"{name}_resolved", "26")]
    assert await watch.use(6) == [(f"{name}_reached", "20")]
    watch.world.sandbox.set_clock(DECEMBER + HOUR)
    assert await watch.look(tick=True) == [(f"{name}_resolved", "1019")], "what begins is found without any write"


async def test_percentages_and_what_expires(watch: Watch) -> None:
    contract = await contract_of(watch)
    await watch.give(contract, "200", end=DECEMBER)
    await watch.alert(PERCENT, "10")
    await watch.alert(CREDIT, "0")
    assert await watch.use(179) == []
    assert await watch.use(1) == [("low_remaining_contract_credit_percentage_reached", "10")]
    watch.world.sandbox.set_clock(DECEMBER + HOUR)
    assert await watch.look(tick=True) == [("low_remaining_contract_credit_balance_reached", "0")]


async def test_days_left_of_each_segment(watch: Watch) -> None:
    contract = await contract_of(watch)
    end = datetime(2026, 11, 10, tzinfo=UTC)
    grants = [await watch.give(contract, "10", end=end), await watch.give(contract, "10", end=end + timedelta(days=1))]
    await watch.alert(DAYS, "7")
    name = "low_remaining_days_for_contract_credit_segment_reached"
    told: list[tuple[datetime, str | None, str]] = []
    for hours in range(0, 120, 6):
        watch.world.sandbox.set_clock(datetime(2026, 11, 2, 12, tzinfo=UTC) + timedelta(hours=hours))
        found = await watch.look(tick=True)
        assert {event for event, _ in found} <= {name}
        told += [(watch.world.now, days, "") for _, days in found]
    assert told == [(end - timedelta(days=7), "7", ""), (end - timedelta(days=6), "7", "")]
    assert [notice.data["creditId"] for notice in await watch.notices()] == [to_text("credit", item) for item in grants]
    watch.world.sandbox.set_clock(end + timedelta(days=2))
    assert await watch.look(tick=True) == []


async def test_balances_of_seats(watch: Watch) -> None:
    contract = await contract_of(watch)
    for seat in ("ann", "bob"):
        grant = await watch.give(contract, "30")
        async with watch.world.store.transaction() as session:
            await session.execute(
                text("update grants set seat_key = 'user', seat_id = :seat where id = :id"), {"seat": seat, "id": grant}
            )
    await watch.alert(SEAT, "10", seat=rules.GroupValue("user"), notify_on_resolve=True)
    await watch.alert(SEAT, "10", seat=rules.GroupValue("user", "ann"))
    await watch.alert(CREDIT, "100")
    assert await watch.look() == [], "balances of seats are those of seats alone"
    await watch.enter(grant, "-20")
    assert await watch.look() == [("low_remaining_seat_balance_reached", "10")]
    [notice] = await watch.notices()
    assert notice.data["seatId"] == "bob"
    await watch.enter(grant, "1")
    assert await watch.look() == [("low_remaining_seat_balance_resolved", "11")]


async def regional(watch: Watch, *, rate: Any, money: MoneyOf | None = None) -> UUID:
    """A customer whose usage is priced by region, with tiers that begin anew for each; gives its id."""
    async with watch.world.store.transaction() as session:
        metric = await create_metric(
            session, name="Calls", aggregation=Aggregation.SUM, key="n", event_types_in=["regional"],
            group_keys=[["region", "team"]], money=money, now=watch.world.now,
        )  # fmt: skip
        product = await create_product(session, name="Calls", metric_id=metric.id, now=watch.world.now)
    customer = await watch.world.customer()
    await watch.world.contract(customer, None, price=rate, starting_at=NOVEMBER, product_id=product.id)
    return customer


async def send(watch: Watch, *sent: tuple[str, int]) -> list[tuple[str, str | None]]:
    await _ingest(watch.world, sent)
    return await watch.look()


async def _ingest(world: World, sent: Any) -> None:
    events: list[IncomingEvent] = []
    for region, quantity in sent:
        world.sent += 1
        at = (world.now - HOUR).isoformat()
        properties = {"n": str(quantity), "region": region, "team": "a"}
        events.append(IncomingEvent(f"t-{world.sent}", "acme", "regional", at, properties))
    async with world.store.transaction() as session:
        await ingest(session, events, actor=ACTOR, now=world.now, source="test")


async def test_each_value_of_a_group_key_where_events_have_prices_of_their_own(watch: Watch) -> None:
    """A tenth of each amount, from 2 to 20: in eu 2 + 5 and in us 20, which are 27 together."""
    rate = PercentagePerEvent(D("0.1"), minimum=D(2), maximum=D(20))
    await regional(watch, rate=rate, money=MoneyOf("USD"))
    for threshold, region in (("7", "eu"), ("20", "us"), ("21", "us")):
        await watch.alert(SPEND, threshold, group_values=[rules.GroupValue("region", region)])
    await watch.alert(SPEND, "27")
    assert await send(watch, ("eu", 1)) == []
    assert await send(watch, ("eu", 50)) == [("spend_threshold_reached", "7")]
    assert sorted(await send(watch, ("us", 900))) == [
        ("spend_threshold_reached", "20"),
        ("spend_threshold_reached", "27"),
    ]


async def test_each_value_of_a_group_key_by_itself(watch: Watch) -> None:
    """The first ten of each region cost 10, more cost 1: rated together, the second region would reach 100 later."""
    await regional(watch, rate=Tiered((Tier(D(10), D(10)), Tier(None, D(1)))))
    await watch.alert(SPEND, "100", group_values=[rules.GroupValue("region")])
    await watch.alert(SPEND, "105", group_values=[rules.GroupValue("region", "us")])
    assert await send(watch, ("eu", 9), ("us", 9)) == []
    assert await send(watch, ("eu", 1)) == [("spend_threshold_reached", "100")]
    assert await send(watch, ("eu", 500)) == []
    assert await send(watch, ("us", 1)) == [("spend_threshold_reached", "100")]
    assert await send(watch, ("us", 5)) == [("spend_threshold_reached", "105")]
    assert [notice.data["groupValues"] for notice in await watch.notices()] == [
        [{"key": "region", "value": region}] for region in ("eu", "us", "us")
    ]


async def test_only_contracts_and_balances_that_carry_a_field(watch: Watch) -> None:
    contract = await contract_of(watch)
    other = await watch.world.contract(contract.customer_id, None, price="2", starting_at=NOVEMBER)
    async with watch.world.store.transaction() as session:
        for entity in (entities.Entity.CONTRACT, entities.Entity.CREDIT):
            await keys.add_key(session, entity=entity, key="cohort", now=watch.world.now)
    cohort = [rules.FieldFilter("CONTRACT", "cohort", "a")]
    await watch.alert(SPEND, "100", custom_field_filters=cohort)
    of_credits = [rules.FieldFilter("CREDIT", "cohort", "a")]
    await watch.alert(CREDIT, "50", custom_field_filters=of_credits, notify_on_resolve=True)
    grant = await watch.give(other, "40")
    assert await watch.use(100) == [], "nobody carries it"
    async with watch.world.store.transaction() as session:
        await set_custom_fields(session, entities.Entity.CONTRACT, other.id, {"cohort": "a"})
        await set_custom_fields(session, entities.Entity.CREDIT, grant, {"cohort": "b"})
    assert await watch.look() == [("spend_threshold_reached", "200")], "looked at when the field is set"
    async with watch.world.store.transaction() as session:
        await set_custom_fields(session, entities.Entity.CREDIT, grant, {"cohort": "a"})
    assert await watch.look() == [("low_remaining_contract_credit_balance_reached", "0")]
    # A key that is removed is carried by nobody: whoever carried it is looked at, and nobody else.
    await contract_of(watch, "stranger")
    await watch.look()
    async with watch.world.store.transaction() as session:
        rows = (await session.execute(select(CustomFieldKey).where(CustomFieldKey.entity == "CREDIT"))).scalars()
        await keys.remove_key(session, rows.one().id, now=watch.world.now)
    async with watch.world.store.transaction() as session:
        touched = (await session.execute(text("select customer_id from alert_touches"))).scalars().all()
    assert touched == [contract.customer_id]
    assert await watch.look() == [("low_remaining_contract_credit_balance_resolved", None)]


async def test_creation_in_silence_reset_and_archive(watch: Watch) -> None:
    contract = await contract_of(watch)
    await watch.use(100)
    loud, silent = await watch.alert(SPEND, "100"), await watch.alert(SPEND, "90", evaluate_on_create=False)
    assert await watch.look() == [("spend_threshold_reached", "100")]
    for alert_id in (loud, silent):
        async with watch.world.store.transaction() as session:
            await service.reset_alert(session, alert_id, contract.customer_id)
    assert await watch.look() == [("spend_threshold_reached", "100")], "evaluated anew: the silent one is silent again"
    async with watch.world.store.transaction() as session:
        await service.archive_alert(session, loud, release_key=False, now=watch.world.now)
    watch.world.sandbox.set_clock(DECEMBER + 2 * HOUR)
    await watch.look(tick=True)
    assert await watch.use(100) == [("spend_threshold_reached", "100")], "the next crossing of the silent one"
    later = await watch.alert(SPEND, "450")
    assert await watch.look() == []
    for is_enabled, told in ((False, []), (True, [("spend_threshold_reached", "500")])):
        async with watch.world.store.transaction() as session:
            await service.enable_alert(session, later, is_enabled=is_enabled, now=watch.world.now)
        assert (await watch.look() if is_enabled else await watch.use(400)) == told, "told late, since it still holds"


async def test_one_worker_looks_at_a_time_and_ends(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second leaves at once, or usage that never ends would hold every worker."""
    await contract_of(watch)
    await watch.alert(SPEND, "5")
    store, clock = watch.world.store, watch.world.sandbox.now

    async def touches(sql: str) -> int:
        async with store.transaction() as session:
            return (await session.execute(text(sql))).scalar_one()

    note = "with new as (insert into alert_touches (customer_id) select customer_id from contracts, generate_series(1, {}) returning 1) select count(*) from new"
    await touches(note.format(3))
    async with hold(store, "alerts.evaluate"):
        assert not await evaluate_alone(store, clock=clock)
    # More than are taken together: nobody else was asked to look at the rest.
    monkeypatch.setattr(touched, "LIMIT", 1)
    assert await evaluate_alone(store, clock=clock)
    assert await touches("select count(*) from alert_touches") == 0
    looked_at, steady = 0, 2

    async def look(*arguments: Any, **options: Any) -> int:
        nonlocal looked_at
        looked_at += (done := await touched.evaluate_touched(*arguments, **options))
        if done and looked_at < steady:
            await touches(note.format(1))
        return done

    monkeypatch.setattr(looking, "evaluate_touched", look)
    monkeypatch.setattr(looking, "PAUSE_SECONDS", 0)
    await touches(note.format(1))
    assert await evaluate_alone(store, clock=clock)
    assert (looked_at, await touches("select count(*) from alert_touches")) == (2, 0), "and what came meanwhile"
    looked_at, steady = 0, 1_000
    await touches(note.format(1))
    assert await evaluate_alone(store, clock=clock)
    assert (looked_at, await touches("select count(*) from alert_touches")) == (looking.ROUNDS, 1), "not for ever"


async def test_only_what_the_usage_touches_is_looked_at(watch: Watch) -> None:
    await contract_of(watch)
    other = await watch.world.customer("other")
    await watch.world.contract(other, None, price="1", starting_at=NOVEMBER)
    await watch.alert(SPEND, "5", customer_id=other)
    assert await watch.look() == []
    assert await watch.use(10) == []
    async with watch.world.store.transaction() as session:
        assert (await session.execute(text("select count(*) from alert_touches"))).scalar_one() == 0
    await watch.world.use(10, at=watch.world.now - HOUR, customer="other")
    async with watch.world.store.transaction() as session:
        [touched] = (await session.execute(text("select customer_id from alert_touches"))).scalars()
        assert touched == other
        assert await evaluate(session, other, now=watch.world.now) == 1, "one draft was rated"


@pytest.mark.stress
# A client that is broken off between the end of its connecting and the first word leaves the socket to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_crossings_with_kills_are_told_once_each(watch: Watch) -> None:
    """Evaluations and senders are broken off at random, and run beside each other; nothing is lost, nothing doubled."""
    dice = random.Random(7)
    customer = await regional(watch, rate=Tiered((Tier(None, D(1)),)))
    settings = Settings(environment="sandbox", allow_private_webhooks=True)
    await watch.alert(SPEND, "10", group_values=[rules.GroupValue("region")])
    await watch.look()
    async with receiving() as receiver:
        async with watch.world.store.transaction() as session:
            made = await endpoints.create_endpoint(
                session, settings, url=receiver.url, event_types=["alerts.*"], now=watch.world.now
            )
        place = Place(watch.world.store, settings, lambda: watch.world.now)
        regions = [f"r{number}" for number in range(CROSSINGS)]
        for start in range(0, CROSSINGS, CROSSINGS // 4):
            await _ingest(watch.world, [(region, 10) for region in regions[start : start + CROSSINGS // 4]])
            for _ in range(4):
                work = [
                    *(asyncio.create_task(evaluate_touched(watch.world.store, now=watch.world.now)) for _ in range(2)),
                    *(asyncio.create_task(send_due(place, made.row.id)) for _ in range(2)),
                ]
                receiver.answers = [status(dice.choice([200, 500])) for _ in range(3)]
                await asyncio.sleep(dice.random() * 0.4)
                for task in work:
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task
            await watch.look()
        receiver.answers = []
        place = Place(watch.world.store, settings, lambda: watch.world.now + HOUR)
        while await send_due(place, made.row.id):
            pass
    async with watch.world.store.transaction() as session:
        transitions = (await session.execute(select(AlertTransitionRow))).scalars().all()
    fired = [row.subject for row in transitions if row.told is not None]
    assert sorted(fired) == sorted(f'[["region","{region}"]]' for region in regions)
    assert {row.customer_id for row in transitions} == {customer}
    by_id = {message.headers["webhook-id"]: message for message in receiver.got}
    told = [message.content["data"]["groupValues"][0]["value"] for message in by_id.values()]
    assert sorted(told) == sorted(regions)
    assert all(message.verified(made.secret) for message in list(by_id.values())[::50])
