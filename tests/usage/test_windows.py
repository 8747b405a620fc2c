"""Usage queries: the database answers exactly as the core does, from buckets and from events."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest

from app.catalog.metrics import metric_of
from app.core.period import Period
from app.core.windows import MAX_GROUPS, UsageQuery, UsageWindow, windowed
from app.store.engine import Store
from app.usage.service import EVENTS
from tests.usage.test_folding import DAY, FILTERS, metric, random_event, send

PERIOD = Period(DAY - timedelta(hours=3), DAY + timedelta(hours=16))
QUERIES = [
    *(UsageQuery(PERIOD, size, by) for size in UsageWindow for by in ((), ("region",), ("plan", "region"))),
    UsageQuery(PERIOD, UsageWindow.DAY, ("region",), {"region": ("eu", "1.5")}),
    UsageQuery(PERIOD, UsageWindow.HOUR, ("plan",), {"region": ("us",), "plan": ("a", "true", "b")}),
]


@pytest.mark.parametrize("aggregation", ["COUNT", "SUM", "MAX", "UNIQUE", "LATEST"])
async def test_the_database_answers_as_the_core_does(store: Store, now: datetime, aggregation: str) -> None:
    random = Random(aggregation)
    early = await metric(store, aggregation, now=now)
    found = [random_event(random) for _ in range(150)]
    await send(store, found[:80], now=now)
    await send(store, found[80:], now=now)
    for parts in FILTERS:
        late = await metric(store, aggregation, now=now, **parts)
        for row in (late, early) if not parts else (late,):
            inside = [event for event in found if PERIOD.contains(event.timestamp)]
            for query in QUERIES:
                expected = windowed(metric_of(row), inside, query)
                ways = {False, row.buckets_ready and metric_of(row).aggregation.is_additive}
                for from_buckets in ways:
                    async with store.transaction() as session:
                        values = await EVENTS.windows(
                            session, metric_of(row), query, references=["acme", "alias"], from_buckets=from_buckets
                        )
                    assert values == expected, (parts, query, from_buckets)


async def test_at_most_one_group_more_than_an_answer_shows(store: Store, now: datetime) -> None:
    random = Random(7)
    row = await metric(store, "COUNT", now=now)
    template = random_event(random)
    events = [type(template)("acme", "call", DAY, {"region": f"r{number:03}"}) for number in range(MAX_GROUPS + 20)]
    await send(store, events, now=now)
    query = UsageQuery(PERIOD, UsageWindow.NONE, ("region",))
    async with store.transaction() as session:
        values = await EVENTS.windows(session, metric_of(row), query, references=["acme"], from_buckets=True)
    assert len(values) == MAX_GROUPS + 1
    assert max(group[0][1] or "" for _, group in values) == f"r{MAX_GROUPS:03}"
