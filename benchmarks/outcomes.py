"""What a draft of outcomes costs as history grows: sessions and latest states look back, and not further than one statement.

Three customers use the same this month, after one, four and twelve months that are final. Their participants and cases come
back every month, so what is carried over is not empty.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from uuid import UUID

from app.actor import system
from app.catalog import metrics, products, rate_rules
from app.catalog.outcomes import NewOutcome
from app.catalog.service import create_rate_card
from app.contracts.service import create_contract
from app.core.rates import Flat
from app.customers.service import create_customer
from app.delivery.registry import Connections
from app.invoices.balances import CustomerBook
from app.invoices.run import run_due
from app.store.engine import Store
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest

HISTORIES = (1, 4, 12)
EVENTS = 6_000
CASES = 1_500
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONTHS = [datetime(2025 + (9 + back) // 12, (9 + back) % 12 + 1, 1, tzinfo=UTC) for back in range(14)]
"""From October 2025 to the month of now, which is the last but none."""
ROUNDS = 7
ACTOR = system("bench")
OUTCOMES = {
    "sessions": NewOutcome(keys=("case",), window="PT24H"),
    "latest states": NewOutcome(entity="case", state="state", counted=("good",)),
}


async def measure(url: str) -> dict[str, float]:
    """The draft of this month after each history."""
    store = await Store(url).open()
    try:
        card = await _card(store)
        customers = {months: await _customer(store, card, months) for months in HISTORIES}
        found: dict[int, list[float]] = {months: [] for months in HISTORIES}
        # In turns, so that a busy machine and cold caches meet all of them alike; the first round is not counted.
        for _ in range(ROUNDS + 1):
            for months, customer_id in customers.items():
                found[months].append(await _timed(store, customer_id))
        cost = {months: median(times[1:]) for months, times in found.items()}
        figures = {
            f"draft of {EVENTS:,} outcome events after {months} final months, ms": cost[months] for months in HISTORIES
        }
        first, last = HISTORIES[0], HISTORIES[-1]
        figures[f"after {last} months, times that after {first}; goal at most 1.5"] = cost[last] / cost[first]
        return figures
    finally:
        await store.close()


async def _card(store: Store) -> UUID:
    async with store.transaction() as session:
        rates: list[rate_rules.NewRate] = []
        for name, outcome in OUTCOMES.items():
            metric = await metrics.create_metric(
                session, name=name, aggregation=outcome.counts, outcome=outcome, now=MONTHS[0]
            )
            product = await products.create_product(session, name=name, metric_id=metric.id, now=MONTHS[0])
            rates.append(rate_rules.NewRate(product_id=product.id, rate=Flat(Decimal("0.99"))))
        return (await create_rate_card(session, name="card", currency="USD", rates=rates, now=MONTHS[0])).id


async def _customer(store: Store, card: UUID, months: int) -> UUID:
    """A customer with this many final months behind the one that runs."""
    name, starts = f"after {months}", MONTHS[-1 - months :]
    async with store.transaction() as session:
        customer = await create_customer(session, name=name, external_id=name, now=NOW)
        await create_contract(
            session, Connections({}), customer_id=customer.id, rate_card_id=card, starting_at=starts[0], now=NOW
        )
    for start in starts:
        batch = [_event(name, start, number) for number in range(EVENTS)]
        async with store.transaction() as session:
            await ingest(session, batch, actor=ACTOR, now=NOW, source="bench", allow_historical=True)
    await run_due(store, actor=ACTOR, as_of=NOW, now=NOW)
    return customer.id


def _event(name: str, start: datetime, number: int) -> IncomingEvent:
    at = start + timedelta(minutes=number * 4)
    properties = {
        "case": f"c-{number * 7919 % CASES}",
        "state": "bad" if number % (4 + start.month % 2) == 0 else "good",
    }
    return IncomingEvent(f"{name} {start:%Y-%m} {number}", name, "outcome", at.isoformat(), properties)


async def _timed(store: Store, customer_id: UUID) -> float:
    """Milliseconds of one draft, from an empty session on."""
    async with store.transaction() as session:
        started = time.perf_counter()
        book = await CustomerBook.of(session, customer_id, now=NOW)
        [statement] = book.open
        rated = await book.rate(statement)
        taken = (time.perf_counter() - started) * 1000
        assert rated.statement.period.starting_at == MONTHS[-1], "all before is final"
        assert len(rated.draft.lines) == len(OUTCOMES), "both are billed"
    return taken
