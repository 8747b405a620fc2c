"""MAX, UNIQUE and LATEST from the events of a period: the database folds exactly as the core does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.actor import system
from app.catalog.metrics import create_metric, metric_of
from app.catalog.tables import MetricRow
from app.core.filters import takes
from app.core.metering import Event, HourQuantity, fold, fold_measure
from app.core.per_event import PercentagePerEvent, measures_of
from app.core.period import Period
from app.core.terms import PropertyFilter, UsageFilter
from app.store.engine import Store
from app.usage.buckets import backfill
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest
from tests.usage.hours import read_hours

ACTOR = system("test")
DAY = datetime(2026, 11, 1, tzinfo=UTC)
WEEK = Period(DAY, DAY + timedelta(days=7))
VALUES: Sequence[Any] = (
    *("1", "2.50", "-3", "0.1", "junk", "", "1e3", " 4", "9" * 38, "9" * 39, "0." + "1" * 39, "x" * 50),
    *(7, -7, 0, True, False, None, [1], {"a": 1}, Decimal("2.5"), Decimal("1200"), Decimal("0.000010")),
)
MISSING = object()


async def send(store: Store, events: Sequence[Event], *, now: datetime) -> None:
    incoming = [
        IncomingEvent(str(uuid4()), event.reference, event.event_type, event.timestamp, dict(event.properties))
        for event in events
    ]
    async with store.transaction() as session:
        await ingest(session, incoming, actor=ACTOR, now=now, source="test")


async def metric(store: Store, aggregation: str, *, now: datetime, **parts: Any) -> MetricRow:
    async with store.transaction() as session:
        return await create_metric(
            session,
            name=aggregation,
            aggregation=aggregation,
            key=None if aggregation == "COUNT" else "n",
            group_keys=[["region", "plan"]],
            now=now,
            **parts,
        )


def random_event(random: Random) -> Event:
    properties = {
        "n": random.choice((*VALUES, MISSING)),
        "region": random.choice(["eu", "us", None, Decimal("1.50"), "1.5", MISSING]),
        "plan": random.choice(["a", True, ["b"], MISSING]),
    }
    return Event(
        random.choice(["acme", "alias"]),
        random.choice(["call", "call", "test"]),
        # Few instants, so that many events meet at one.
        DAY + timedelta(minutes=30 * random.randrange(-10, 40)),
        {name: value for name, value in properties.items() if value is not MISSING},
    )


FILTERS = [
    {},
    {"event_types_in": ["call"], "filters": [PropertyFilter("region", exists=True)]},
    {"event_types_not_in": ["test"], "filters": [PropertyFilter("plan", exists=False)]},
    {"filters": [PropertyFilter("region", in_values=("eu", "1.5")), PropertyFilter("plan", not_in_values=("true",))]},
]


@pytest.mark.parametrize("seed", range(4))
async def test_the_database_folds_as_the_core_does(store: Store, now: datetime, seed: int) -> None:
    random = Random(seed)
    batches = [[random_event(random) for _ in range(random.randrange(1, 60))] for _ in range(4)]
    for batch in batches:
        await send(store, batch, now=now)
    # Numbers come back from the database with their own scale; what they stand for must not change.
    inside = [event for batch in batches for event in batch if WEEK.contains(event.timestamp)]
    for aggregation in ("MAX", "UNIQUE", "LATEST"):
        for parts in FILTERS:
            row = await metric(store, aggregation, now=now, **parts)
            for by in ((), ("region",), ("plan", "region")):
                async with store.transaction() as session:
                    found = await read_hours(session, row, ["acme", "alias"], WEEK, by=by)
                expected = fold(metric_of(row), inside, by=by)
                assert dict(found) == dict(expected), (aggregation, parts, by, seed)


PRICES = (
    PercentagePerEvent(Decimal("0.4"), Decimal(1), Decimal("2.8")),
    PercentagePerEvent(Decimal("0.4"), None, Decimal(0)),
    PercentagePerEvent(Decimal("1" * 20), Decimal("1e30"), None),
)


@pytest.mark.parametrize("seed", range(3))
async def test_the_database_divides_events_as_the_core_does(store: Store, now: datetime, seed: int) -> None:
    random = Random(seed)
    found = [random_event(random) for _ in range(120)]
    await send(store, found, now=now)
    filters = (UsageFilter(DAY + timedelta(hours=9), "region", ("eu", "1.5")),)
    seen = [event for event in found if WEEK.contains(event.timestamp)]
    row = await metric(store, "SUM", now=now, **FILTERS[seed])
    for by, chosen in (((), ()), (("plan", "region"), filters)):
        for measure in measures_of(PRICES):
            async with store.transaction() as session:
                hours = await read_hours(session, row, ["acme", "alias"], WEEK, by=by, filters=chosen, measure=measure)
            expected = fold_measure(metric_of(row), [one for one in seen if takes(chosen, one)], measure, by=by)
            assert dict(hours) == dict(expected), (measure, by, seed)


@pytest.mark.parametrize("aggregation", ["COUNT", "SUM", "MAX", "UNIQUE", "LATEST"])
@pytest.mark.parametrize("key", ["region", "plan", "unit"])
async def test_filters_let_the_same_events_through(store: Store, now: datetime, aggregation: str, key: str) -> None:
    """Also on a property that the metric does not offer, where the sum of an hour cannot be taken apart."""
    random = Random(f"{aggregation} {key}")
    found = [random_event(random) for _ in range(120)]
    found = [Event(*item[:3], {**item[3], "unit": random.choice("ab")}) for item in map(parts_of, found)]
    await send(store, found, now=now)
    row = await metric(store, aggregation, now=now)
    filters = (
        UsageFilter(DAY + timedelta(hours=2), key, ("eu", "a")),
        UsageFilter(DAY + timedelta(hours=9), key, ("1.5", "true", "b")),
    )
    async with store.transaction() as session:
        hours = await read_hours(session, row, ["acme", "alias"], WEEK, filters=filters)
    seen = [event for event in found if WEEK.contains(event.timestamp) and takes(filters, event)]
    by = None if aggregation in ("COUNT", "SUM") else ()
    assert dict(hours) == dict(fold(metric_of(row), seen, by=by))
    assert hours, "some events pass"


def parts_of(event: Event) -> tuple[str, str, datetime, dict[str, Any]]:
    return event.reference, event.event_type, event.timestamp, dict(event.properties)


async def test_what_does_not_add_up_has_no_buckets_and_sees_earlier_events(store: Store, now: datetime) -> None:
    sample = [
        Event("acme", "call", DAY + timedelta(hours=hour), {"n": n}) for hour, n in ((1, "5"), (2, "3"), (3, "8"))
    ]
    await send(store, sample[:2], now=now)
    row = await metric(store, "MAX", now=now)
    assert row.buckets_ready
    await send(store, sample[2:], now=now)
    async with store.transaction() as session:
        found = await read_hours(session, row, ["acme"], WEEK)
        buckets = await session.execute(text("select count(*) from bucket_deltas"))
    assert [str(item.quantity) for item in found[()]] == ["5", "3"]
    assert buckets.scalar_one() == 0


async def test_of_one_instant_the_last_ingested_counts_in_and_across_batches(store: Store, now: datetime) -> None:
    row = await metric(store, "LATEST", now=now)
    at_once = [Event("acme", "call", DAY, {"n": str(n)}) for n in range(40)]
    await send(store, at_once, now=now)
    for expected, more in (("39", []), ("3", [Event("acme", "call", DAY, {"n": "3"})])):
        if more:
            await send(store, more, now=now)
        async with store.transaction() as session:
            found = await read_hours(session, row, ["acme"], WEEK)
        assert [str(item.quantity) for item in found[()]] == [expected]


@pytest.mark.parametrize(
    ("value", "number"), [("1.50", "1.5"), (2, "2"), ("1e3", None), (True, None), ("9" * 39, None)]
)
async def test_the_number_of_a_property(store: Store, value: object, number: str | None) -> None:
    async with store.transaction() as session:
        found = await session.execute(text("select event_number(cast(:value as jsonb))"), {"value": json.dumps(value)})
    assert found.scalar_one() == (None if number is None else Decimal(number))


async def test_events_before_the_metric_keep_every_digit(store: Store, now: datetime) -> None:
    """JSON numbers with a fraction, and sums of more digits than a usual decimal has."""
    sample = [Event("acme", "call", DAY, {"n": n, "region": Decimal("1.50")}) for n in (Decimal("0.1"), "9" * 38, "3")]
    await send(store, sample, now=now)
    row = await metric(store, "SUM", now=now)
    for _ in range(2):
        async with store.transaction() as session:
            found = await read_hours(session, row, ["acme"], WEEK)
        assert {group: list(hours) for group, hours in found.items()} == {
            (("plan", None), ("region", "1.5")): [HourQuantity(DAY, Decimal("1" + "0" * 37 + "2.1"))],
        }
        async with store.transaction() as session:
            await backfill(session, row.id)
            row = await session.get_one(MetricRow, row.id)
    assert row.buckets_ready
