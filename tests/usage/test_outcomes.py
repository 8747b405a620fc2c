"""Outcomes in SQL: the database folds sessions and states exactly as the core does, also over the start of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.catalog.metrics import create_metric, metric_of
from app.catalog.outcomes import NewOutcome
from app.catalog.tables import MetricRow
from app.core.filters import takes
from app.core.metering import Event, fold
from app.core.period import Period
from app.core.terms import UsageFilter
from app.core.windows import UsageQuery, UsageWindow, windowed
from app.store.engine import Store
from app.usage.incoming import IncomingEvent
from app.usage.metric_hours import HoursAsked, MetricReading, hours_of_metrics
from app.usage.outcomes import Before
from app.usage.service import EVENTS, ingest
from tests.usage.test_folding import ACTOR, DAY

WEEK = Period(DAY, DAY + timedelta(days=7))
OUTCOMES = {
    "SESSION_COUNT": NewOutcome(keys=("who",), window="PT24H"),
    "SESSION_COUNT of two": NewOutcome(keys=("who", "channel"), window="PT7H"),
    "COUNT_LATEST": NewOutcome(entity="case", state="state", counted=("bot", "1.5")),
}
MISSING = object()


async def send(store: Store, events: Sequence[Event]) -> None:
    incoming = [
        IncomingEvent(str(uuid4()), event.reference, event.event_type, event.timestamp, dict(event.properties))
        for event in events
    ]
    async with store.transaction() as session:
        await ingest(
            session,
            incoming,
            actor=ACTOR,
            now=WEEK.starting_at + timedelta(days=9),
            source="test",
            allow_historical=True,
        )


async def metric(store: Store, kind: str, *, now: datetime) -> MetricRow:
    async with store.transaction() as session:
        return await create_metric(
            session, name=kind, aggregation=kind.split()[0], group_keys=[["team", "channel"]], outcome=OUTCOMES[kind],
            event_types_not_in=["test"], now=now,
        )  # fmt: skip


def random_event(random: Random) -> Event:
    properties: dict[str, Any] = {
        "who": random.choice(["ann", "bob", 7, "7", None, MISSING]),
        "channel": random.choice(["mail", "chat", "chat", MISSING]),
        "case": random.choice(["T1", "T2", "T3", MISSING]),
        "state": random.choice(["bot", "human", Decimal("1.50"), None]),
        "team": random.choice(["a", "b", None]),
    }
    return Event(
        random.choice(["acme", "alias"]),
        random.choice(["seen", "seen", "test"]),
        DAY + timedelta(minutes=30 * random.randrange(-200, 200)),
        {name: value for name, value in properties.items() if value is not MISSING},
    )


async def read(
    store: Store, row: MetricRow, period: Period, *, by: tuple[str, ...], filters: Any = (), before: Before | None
) -> dict[Any, Any]:
    async def given() -> Before:
        assert before is not None
        return before

    asked = HoursAsked([MetricReading(row, by)], ["acme", "alias"], period, filters, None if before is None else given)
    async with store.transaction() as session:
        [found] = await hours_of_metrics(session, [asked])
    return dict(found[row.id, by])


@pytest.mark.parametrize("kind", OUTCOMES)
async def test_the_database_folds_as_the_core_does(store: Store, now: datetime, kind: str) -> None:
    random = Random(kind)
    events: list[Event] = []
    for _ in range(4):
        batch = [random_event(random) for _ in range(random.randrange(1, 70))]
        await send(store, batch)
        events += batch
    row = await metric(store, kind, now=now)
    filters = (
        UsageFilter(DAY - timedelta(days=2), "channel", ("chat",)),
        UsageFilter(DAY, "channel", ("mail", "chat")),
    )
    for period in (WEEK, Period(DAY + timedelta(hours=30), DAY + timedelta(hours=90))):
        for by in ((), ("team",), ("channel", "team")):
            inside = [event for event in events if period.contains(event.timestamp)]
            found = await read(store, row, period, by=by, before=None)
            assert found == fold(metric_of(row), inside, by=by), "a period alone"
            # Of the contract's earlier statements none is final: they are measured again.
            contract = Before(UUID(int=1), DAY - timedelta(days=1))
            start = None if kind.startswith("SESSION") else contract.starting_at
            until = [
                event for event in events if event.timestamp < period.starting_at or period.contains(event.timestamp)
            ]
            seen = [event for event in until if start is None or event.timestamp >= start]
            for chosen in ((), filters):
                found = await read(store, row, period, by=by, filters=chosen, before=contract)
                passing = [event for event in seen if takes(chosen, event)]
                assert found == fold(metric_of(row), passing, by=by, since=period.starting_at), (period, by, chosen)
    for size in UsageWindow:
        query = UsageQuery(WEEK, size, ("team",), {"channel": ("chat", "mail")})
        async with store.transaction() as session:
            values = await EVENTS.windows(
                session, metric_of(row), query, references=["acme", "alias"], from_buckets=False
            )
        inside = [event for event in events if WEEK.contains(event.timestamp)]
        assert values == windowed(metric_of(row), inside, query), size


async def test_sessions_chain_from_far_before(store: Store, now: datetime) -> None:
    """A participant who is never away for a whole window: only the first event of all tells where sessions begin."""
    row = await metric(store, "SESSION_COUNT", now=now)
    # Every 23 hours since 60 days: each second event opens a session.
    events = [Event("acme", "seen", DAY - timedelta(hours=23 * count), {"who": "ann"}) for count in range(-7, 62)]
    await send(store, events)
    found = await read(store, row, WEEK, by=(), before=Before(UUID(int=1), DAY))
    assert found == fold(metric_of(row), events, by=(), since=DAY)
    assert [int((item.hour - DAY) / timedelta(hours=1)) for item in found[()]] == [23, 69, 115, 161]
    # One more at the very beginning turns all that follow around.
    first = Event("acme", "seen", DAY - timedelta(hours=23 * 62), {"who": "ann"})
    await send(store, [first])
    found = await read(store, row, WEEK, by=(), before=Before(UUID(int=1), DAY))
    assert found == fold(metric_of(row), [first, *events], by=(), since=DAY)
    assert [int((item.hour - DAY) / timedelta(hours=1)) for item in found[()]] == [0, 46, 92, 138]
