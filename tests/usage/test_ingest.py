"""Ingest: accepted once, billable at once, repeats told from conflicts, under any concurrency."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from app.actor import system
from app.catalog.tables import MetricRow
from app.core.metering import HourQuantity
from app.core.period import Period
from app.errors import ErrorCode, LimitExceeded
from app.store.engine import Store
from app.usage.checking import BatchRefused
from app.usage.events_postgres import PostgresEvents
from app.usage.incoming import IncomingEvent, decode
from app.usage.partitions_postgres import create_partitions
from app.usage.service import IngestResult, ingest
from tests.usage.hours import read_hours

ACTOR = system("test")
DAY = datetime(2026, 11, 1, tzinfo=UTC)
WEEK = Period(DAY, DAY + timedelta(days=7))


def event(transaction_id: str, **changes: Any) -> IncomingEvent:
    """One call of 3 tokens at 10:15 on the first, unless said otherwise."""
    fields = {"customer": "acme", "event_type": "call", "timestamp": "2026-11-01T10:15:00Z", "properties": {"n": 3}}
    return IncomingEvent(transaction_id=transaction_id, **(fields | changes))


async def send(store: Store, *events: IncomingEvent, now: datetime, **options: Any) -> IngestResult:
    async with store.transaction() as session:
        return await ingest(session, events, actor=ACTOR, now=now, source="test", **options)


async def add_metric(store: Store, now: datetime, **fields: Any) -> MetricRow:
    given: dict[str, Any] = {"aggregation": "SUM", "key": "n"} | fields
    row = MetricRow(created_at=now, name="tokens", **given)
    async with store.transaction() as session:
        session.add(row)
    return row


async def hours(store: Store, metric: MetricRow, *references: str) -> dict[Any, list[HourQuantity]]:
    async with store.transaction() as session:
        found = await read_hours(session, metric, references or ("acme",), WEEK)
    return {group: list(quantities) for group, quantities in found.items()}


async def test_accepted_usage_is_billable_at_once_folded_or_not(store: Store, now: datetime) -> None:
    metric = await add_metric(store, now)
    result = await send(
        store, event("a"), event("b", timestamp="2026-11-01T10:59:59.999999Z"), event("c", timestamp="2026-11-01T11:00:00Z"),
        now=now,
    )  # fmt: skip
    expected = {(): [HourQuantity(DAY.replace(hour=10), Decimal(6)), HourQuantity(DAY.replace(hour=11), Decimal(3))]}
    assert (result.accepted, result.duplicates, result.conflicts) == (3, 0, ())
    assert await hours(store, metric) == expected
    async with store.transaction() as session:
        assert await PostgresEvents().fold(session, limit=1) == 1
    assert await hours(store, metric) == expected
    async with store.transaction() as session:
        assert await PostgresEvents().fold(session, limit=100) == 1
        assert await PostgresEvents().fold(session, limit=100) == 0
    assert await hours(store, metric) == expected


async def test_repeats_are_counted_and_changed_repeats_reported(store: Store, now: datetime) -> None:
    metric = await add_metric(store, now)
    await send(store, event("a"), event("b"), now=now)
    again = await send(
        store,
        event("a"),  # the same: a duplicate
        event("b", properties={"n": 4}),  # another payload: a duplicate and a conflict
        event("c"),
        event("c"),  # twice in one batch: the first wins
        event("c", customer="other"),  # and differs from the first: a conflict
        now=now,
    )
    assert (again.accepted, again.duplicates) == (1, 4)
    assert [(conflict.index, conflict.transaction_id) for conflict in again.conflicts] == [(1, "b"), (4, "c")]
    assert (await hours(store, metric))[()][0].quantity == Decimal(9)


async def test_a_metric_created_later_sees_earlier_events(store: Store, now: datetime) -> None:
    await send(store, event("a"), event("b", properties={"n": "0.5"}), now=now)
    metric = await add_metric(store, now, events_before_batch=1, buckets_ready=False)
    await send(store, event("c"), now=now)
    assert (await hours(store, metric))[()] == [HourQuantity(DAY.replace(hour=10), Decimal("6.5"))]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"timestamp": "2026-11-01T10:15:00"}, ErrorCode.INVALID),
        ({"timestamp": "2026-11-01"}, ErrorCode.INVALID),
        ({"timestamp": "0001-01-01T00:00:00Z"}, ErrorCode.INVALID),
        ({"timestamp": "9999-12-31T23:59:59Z"}, ErrorCode.INVALID),
        ({"timestamp": "2026-11-03T12:00:01Z"}, ErrorCode.EVENT_IN_FUTURE),
        ({"timestamp": "2026-09-29T11:59:59Z"}, ErrorCode.EVENT_TOO_OLD),
        ({"timestamp": None}, ErrorCode.REQUIRED),
        ({"timestamp": 5}, ErrorCode.INVALID),
        ({"customer": None}, ErrorCode.REQUIRED),
        ({"customer": ""}, ErrorCode.INVALID),
        ({"customer": "a\0b"}, ErrorCode.INVALID),
        ({"customer": "\ud800"}, ErrorCode.INVALID),
        ({"event_type": 7}, ErrorCode.INVALID),
        ({"properties": []}, ErrorCode.INVALID),
        ({"properties": {"n": Decimal("1E+400")}}, ErrorCode.INVALID),
        ({"properties": {"n": 10**5000}}, ErrorCode.INVALID),
        ({"properties": {"n": Decimal("NaN")}}, ErrorCode.INVALID),
        ({"properties": {"n": "x" * 5000}}, ErrorCode.LIMIT_EXCEEDED),
        ({"properties": {str(i): 1 for i in range(201)}}, ErrorCode.LIMIT_EXCEEDED),
        ({"properties": {"n": [[[[[[[[[1]]]]]]]]]}}, ErrorCode.LIMIT_EXCEEDED),
    ],
)
async def test_a_bad_event_refuses_the_batch_whole(
    store: Store, now: datetime, changes: dict[str, Any], code: ErrorCode
) -> None:
    with pytest.raises(BatchRefused) as refused:
        await send(store, event("good"), event("bad", **changes), now=now)
    assert [(problem.index, problem.code) for problem in refused.value.problems] == [(1, code)]
    async with store.transaction() as session:
        assert (await session.execute(text("select count(*) from event_ids"))).scalar_one() == 0


async def test_history_needs_the_override_and_the_batch_is_bounded(store: Store, now: datetime) -> None:
    old = event("old", timestamp="2023-11-16T18:17:03Z")
    assert (await send(store, old, now=now, allow_historical=True)).accepted == 1
    with pytest.raises(LimitExceeded):
        await send(store, *[event(str(number)) for number in range(10_001)], now=now)


async def test_eight_writers_on_the_same_ids_lose_nothing_and_count_nothing_twice(store: Store, now: datetime) -> None:
    metric = await add_metric(store, now)
    pool = [event(str(number), properties={"n": 1}) for number in range(400)]

    async def writer(seed: int) -> list[IngestResult]:
        rng = random.Random(seed)
        results = []
        for _ in range(6):
            results.append(await send(store, *rng.sample(pool, 120), now=now))
        return results

    results = [result for some in await asyncio.gather(*(writer(seed) for seed in range(8))) for result in some]
    async with store.transaction() as session:
        ids = (await session.execute(text("select count(*), count(distinct id) from events"))).one()
    assert sum(result.accepted for result in results) == ids[0] == ids[1]
    assert not any(result.conflicts for result in results)
    assert sum(item.quantity for item in (await hours(store, metric))[()]) == ids[0]


async def test_daily_partitions_are_made_ahead_and_a_day_with_events_stays_in_the_default(
    store: Store, now: datetime
) -> None:
    await send(store, event("a"), now=now)
    async with store.transaction() as session:
        assert await create_partitions(session, first=DAY.date(), days=3) == 2
        assert await create_partitions(session, first=DAY.date(), days=3) == 0
    await send(store, event("b", timestamp="2026-11-02T10:00:00Z"), now=now)
    async with store.transaction() as session:
        counts = await session.execute(
            text("select tableoid::regclass::text, count(*) from events group by 1 order by 1")
        )
        assert list(counts) == [("events_20261102", 1), ("events_default", 1)]


def test_three_spellings_decode_to_one_event() -> None:
    camel = b'{"transactionId":"t","customerId":"c","eventType":"e","timestamp":"T","properties":{"n":0.10}}'
    snake = b'[{"transaction_id":"t","customer_id":"c","event_type":"e","timestamp":"T","properties":{"n":0.10}}]'
    cloud = b'{"specversion":"1.0","id":"t","source":"s","type":"e","subject":"c","time":"T","data":{"n":0.10},"x":1}'
    plain = IncomingEvent("t", "c", "e", "T", {"n": Decimal("0.10")})
    assert decode(camel, media_type="application/json") == [plain]
    assert decode(snake, media_type="application/json") == [plain]
    found = decode(cloud, media_type="application/cloudevents+json")
    assert found == [IncomingEvent("s#t", "c", "e", "T", {"n": Decimal("0.10")})]
    assert decode(b"[" + cloud + b"]", media_type="application/cloudevents-batch+json") == found
