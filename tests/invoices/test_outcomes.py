"""Statements of outcomes, one after the other: nothing is billed twice, and what came too late is seen by none of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import col, select

from app.actor import system
from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.contracts.tables import Contract
from app.core.metering import Event, fold
from app.core.period import Period
from app.core.quantities import usage_from_json
from app.errors import ErrorCode, Unavailable
from app.invoices.balances import Books
from app.invoices.open import open_statements
from app.invoices.recomputing import Outcome, recompute
from app.invoices.regenerating import regenerate_invoice
from app.invoices.run import run_due
from app.invoices.service import write_invoices
from app.invoices.tables import Invoice, InvoiceInputs
from app.invoices.voiding import void_invoice
from app.store.engine import Store
from app.store.ids import from_text
from app.usage.incoming import IncomingEvent
from app.usage.preview import GivenUsage
from app.usage.service import ingest
from tests import builders as build
from tests.api.conftest import Api, api, app, settings

__all__ = ["api", "app", "settings"]

ACTOR = system("test")
START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
KINDS: dict[str, dict[str, Any]] = {
    "SESSION_COUNT": {"session": {"key": ["who"], "window": "P2D"}},
    "COUNT_LATEST": {"latestState": {"entityProperty": "case", "stateProperty": "state", "countedStates": ["bot"]}},
}


def week(number: int) -> Period:
    return Period(START + number * WEEK, START + (number + 1) * WEEK)


class Seller:
    """A contract billed by the week for outcomes, and a model that remembers what each statement could see."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: list[Event] = []
        self.seen: dict[int, list[Event]] = {}

    async def signed(self, api: Api, kind: str) -> Seller:
        made = await build.metric(api, kind, aggregation=kind, aggregationKey=None, groupKeys=[["team"]], **KINDS[kind])
        product = await build.product(api, kind, metric_id=made["id"], presentationGroupKey=["team"])
        card = await build.rate_card(api, rates=[build.rate(product["id"], "2")])
        self.customer = await build.customer(api)
        contract = await build.contract(
            api, self.customer["id"], card["id"], starting_at="2026-01-05T00:00:00Z", statement={"frequency": "WEEKLY"}
        )
        self.contract_id = from_text("contract", contract["id"], path=())
        async with self.store.transaction() as session:
            row = await session.get_one(MetricRow, from_text("metric", made["id"], path=()))
        self.metric = metric_of(row)
        return self

    async def send(self, events: Sequence[Event], *, now: datetime) -> None:
        incoming = [
            IncomingEvent(str(uuid4()), self.customer["id"], item.event_type, item.timestamp, dict(item.properties))
            for item in events
        ]
        async with self.store.transaction() as session:
            await ingest(session, incoming, actor=ACTOR, now=now, source="test", allow_historical=True)
        self.events += events

    def within(self, period: Period) -> list[Event]:
        return [event for event in self.events if period.contains(event.timestamp)]

    def expected(self, number: int) -> dict[Any, Decimal]:
        """What a statement bills now, after those before it as each of them was."""
        earlier = {id(event) for before in range(number) for event in self.seen.get(before, self.within(week(before)))}
        earlier |= {
            id(event) for event in self.events if event.timestamp < START and self.metric.aggregation == "SESSION_COUNT"
        }
        own = {id(event) for event in self.within(week(number))}
        visible = [event for event in self.events if id(event) in earlier | own]
        found = fold(self.metric, visible, by=("team",), since=week(number).starting_at)
        return sums(found)

    async def drafts(self, *, now: datetime, given: GivenUsage | None = None) -> dict[int, dict[Any, Decimal]]:
        async with self.store.transaction() as session:
            contract = await session.get_one(Contract, self.contract_id)
            books = Books(session, now=now) if given is None else Books(session, now=now, hours=given.hours_of_metrics)
            rated = [await books.rate(item) for item in await open_statements(session, [contract], now=now)]
        return {(item.statement.period.starting_at - START) // WEEK: by_team(item.usage) for item in rated}

    async def invoices(self) -> dict[int, tuple[Invoice, dict[Any, Decimal]]]:
        """The last final invoice of each week with what it bills."""
        async with self.store.transaction() as session:
            rows = await session.execute(
                select(Invoice, InvoiceInputs)
                .join(InvoiceInputs, col(InvoiceInputs.invoice_id) == Invoice.id)
                .order_by(col(Invoice.number))
            )
            return {
                (invoice.starting_at - START) // WEEK: (invoice, by_team(usage_from_json(inputs.usage)))
                for invoice, inputs in rows
            }


def sums(hours_by_group: Any) -> dict[Any, Decimal]:
    found = {group: sum((item.quantity for item in hours), Decimal(0)) for group, hours in hours_by_group.items()}
    return {group: total for group, total in found.items() if total}


def by_team(usage: Any) -> dict[Any, Decimal]:
    return sums({key.presentation: hours for key, hours in usage.items()})


def event_at(random: Random, period: Period) -> Event:
    assert period.ending_before is not None
    minutes = int((period.ending_before - period.starting_at) / timedelta(minutes=1))
    return Event(
        "acme", "seen", period.starting_at + timedelta(minutes=random.randrange(minutes)),
        {"who": random.choice("abc"), "case": random.choice(["T1", "T2", "T3", "T4"]), "state": random.choice(["bot", "human"]),
         "team": random.choice(["x", "y"])},
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
async def test_statement_after_statement(api: Api, store: Store, kind: str, seed: int) -> None:
    random = Random(f"{kind} {seed}")
    seller = await Seller(store).signed(api, kind)
    await seller.send([event_at(random, week(-1)) for _ in range(15)], now=START)
    for number in range(6):
        now = week(number + 1).starting_at + 25 * HOUR
        late = [event_at(random, week(random.randrange(number))) for _ in range(3) if number]
        fresh = [event_at(random, week(number)) for _ in range(12)]
        await seller.send([*late, *fresh, event_at(random, Period(week(number + 1).starting_at, now))], now=now)
        if number == 3:
            # Made again, a statement sees what came late for it; those after it that are final stay as they are.
            old, _ = (await seller.invoices())[1]
            async with store.transaction() as session:
                await void_invoice(session, old.id, reason="late usage", now=now)
            del seller.seen[1]
            drafts = await seller.drafts(now=now)
            async with store.transaction() as session:
                await regenerate_invoice(session, old.id, now=now)
            seller.seen[1] = seller.within(week(1))
            assert (await seller.invoices())[1][1] == seller.expected(1)
        drafts = await seller.drafts(now=now)
        assert drafts == {place: seller.expected(place) for place in (number, number + 1)}, (
            "a draft goes on from a draft"
        )
        report = await run_due(store, actor=ACTOR, as_of=now, now=now)
        assert (report.finalized, report.failed) == (1, 0)
        billed = seller.expected(number)
        seller.seen[number] = seller.within(week(number))
        assert (await seller.invoices())[number][1] == billed, number
    made = await seller.invoices()
    async with store.transaction() as session:
        found = await recompute(session, [invoice.id for invoice, _ in made.values()])
    assert {item.outcome for item in found} == {Outcome.SAME}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_preview_goes_on_from_what_was_billed(api: Api, store: Store, kind: str) -> None:
    seller = await Seller(store).signed(api, kind)
    said = {"who": "a", "case": "T1", "state": "bot", "team": "x"}
    evening = week(1).starting_at - HOUR
    await seller.send([Event("acme", "seen", evening, said)], now=evening)
    now = week(1).starting_at + 25 * HOUR
    await run_due(store, actor=ACTOR, as_of=now, now=now)
    again = Event("acme", "seen", evening + 2 * HOUR, said)
    flipped = Event("acme", "seen", evening + 3 * HOUR, said | {"state": "human"})
    away = Event("acme", "seen", evening + 50 * HOUR, said)
    for given, sessions, cases in (((again,), 0, 0), ((again, flipped), 0, -1), ((flipped, away), 1, 0)):
        found = await seller.drafts(now=now, given=GivenUsage(given, replaces=False))
        quantity = sum(found[1].values(), Decimal(0))
        assert quantity == (sessions if kind == "SESSION_COUNT" else cases), given


async def test_what_comes_while_an_invoice_is_made_waits_for_the_next_try(api: Api, store: Store) -> None:
    seller = await Seller(store).signed(api, "COUNT_LATEST")
    said = {"case": "T1", "state": "bot", "team": "x"}
    now = week(1).starting_at + 25 * HOUR
    await seller.send([Event("acme", "seen", START, said)], now=now)
    with pytest.raises(Unavailable) as refused:
        async with store.transaction() as session:
            contract = await session.get_one(Contract, seller.contract_id)
            books = Books(session, now=now)
            statement, _ = await open_statements(session, [contract], now=now)
            rated = await books.rate(statement)
            await seller.send([Event("acme", "seen", START + HOUR, said | {"case": "T2"})], now=now)
            await write_invoices(session, [rated], now=now)
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert await seller.invoices() == {}
    await run_due(store, actor=ACTOR, as_of=now, now=now)
    assert (await seller.invoices())[0][1] == {(("team", "x"),): Decimal(2)}


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"aggregation": "SESSION_COUNT"}, "REQUIRED", ["input", "session"]),
        ({"aggregation": "COUNT_LATEST"}, "REQUIRED", ["input", "latestState"]),
        ({"aggregation": "COUNT", "session": {"key": ["who"]}}, "INVALID", ["input", "session"]),
        ({"aggregation": "SESSION_COUNT"} | KINDS["COUNT_LATEST"], "INVALID", ["input", "latestState"]),
        ({"aggregation": "SESSION_COUNT"} | KINDS["COUNT_LATEST"] | KINDS["SESSION_COUNT"], "INVALID", ["input", "latestState"]),
        ({"aggregation": "SESSION_COUNT", "session": {"key": []}}, "REQUIRED", ["input", "session", "key"]),
        ({"aggregation": "SESSION_COUNT", "session": {"key": ["a", "a"]}}, "INVALID", ["input", "session", "key"]),
        ({"aggregation": "SESSION_COUNT", "session": {"key": ["a"], "window": "P1M"}}, "INVALID", ["input", "session", "window"]),
        ({"aggregation": "SESSION_COUNT", "session": {"key": ["a"], "window": "PT59S"}}, "INVALID", ["input", "session", "window"]),
        ({"aggregation": "SESSION_COUNT", "aggregationKey": "n"} | KINDS["SESSION_COUNT"], "INVALID", ["input", "aggregationKey"]),
        ({"aggregation": "SESSION_COUNT", "money": {"currency": "USD"}} | KINDS["SESSION_COUNT"], "INVALID", ["input", "money"]),
        ({"aggregation": "COUNT_LATEST", "latestState": {"entityProperty": "", "stateProperty": "s", "countedStates": ["x"]}},
         "REQUIRED", ["input", "latestState", "entityProperty"]),
        ({"aggregation": "COUNT_LATEST", "latestState": {"entityProperty": "e", "stateProperty": "s", "countedStates": []}},
         "INVALID", ["input", "latestState", "countedStates"]),
        ({"sql": "select count(*) as value from events", "session": {"key": ["a"]}}, "INVALID", ["input", "sql"]),
    ],
)  # fmt: skip
async def test_definitions_that_are_refused(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    error = await build.refusal(api, "billableMetric", name="m", **fields)
    assert (error["code"], error["path"]) == (code, path), error


async def test_a_definition_is_shown_as_it_was_given(api: Api) -> None:
    shown = "aggregation session { key window } latestState { entityProperty stateProperty countedStates }"
    for kind, fields in KINDS.items():
        made = await build.metric(api, kind, aggregation=kind, aggregationKey=None, **fields)
        found = (
            await api(f"query ($id: ID!) {{ node(id: $id) {{ ... on BillableMetric {{ {shown} }} }} }}", id=made["id"])
        )["node"]
        expected = {"session": None, "latestState": None} | fields | {"aggregation": kind}
        if found["session"] is not None:
            assert found["session"].pop("window") == "PT48H"
            expected["session"] = {"key": ["who"]}
        assert found == expected
