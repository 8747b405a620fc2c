"""What a draft of twenty products over a month of hours costs, and that it does not grow with the number of events.

The hourly buckets are fetched and rated by the functions that the gateway uses; the whole draft is what `invoice(id)`
computes: contract, terms, balances, usage and lines. Its breakdown by day is what `Invoice.breakdowns` computes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.service import create_rate_card
from app.contracts.service import create_contract
from app.contracts.terms import terms_of
from app.core.breakdown import WindowSize
from app.core.rates import Flat
from app.core.rating import rate_statement
from app.customers.service import create_customer
from app.delivery.registry import Connections
from app.invoices.balances import CustomerBook
from app.invoices.breakdowns import break_down_invoice
from app.invoices.drafts import RatedStatement
from app.store.engine import Store
from app.usage.buckets import fold_all
from app.usage.incoming import IncomingEvent
from app.usage.reading import usage_of_products
from app.usage.service import ingest

PRODUCTS = 20
HOURS = 744
START = datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROUNDS = 15
BATCH = 10_000
ACTOR = system("bench")


async def measure(url: str) -> dict[str, float]:
    """Fetching, rating and the whole draft, with 1, 10 and 100 events in every bucket."""
    store = await Store(url).open()
    try:
        customer_id = await _seller(store)
        figures: dict[str, float] = {"buckets in the statement": PRODUCTS * HOURS}
        events, first = 0, 0.0
        for density in (1, 10, 100):
            events = await _use(store, events, density * PRODUCTS * HOURS)
            found = await _timed(store, customer_id)
            figures[f"fetching the buckets of {events:,} events, ms"] = found["fetch"]
            figures[f"rating them, ms ({events:,} events)"] = found["rate"]
            figures[f"rating / fetching ({events:,} events), goal at most 2"] = found["rate"] / found["fetch"]
            figures[f"the whole draft, ms ({events:,} events), goal under 100"] = found["draft"]
            first = first or found["draft"]
            figures[f"a daily breakdown of it / the draft ({events:,} events), goal at most 2"] = (
                found["breakdown"] / found["draft"]
            )
            figures[f"the whole draft, times that of {PRODUCTS * HOURS:,} events ({events:,})"] = found["draft"] / first
        return figures
    finally:
        await store.close()


async def _seller(store: Store) -> UUID:
    async with store.transaction() as session:
        rates: list[NewRate] = []
        for number in range(PRODUCTS):
            metric = await create_metric(
                session, name=f"metric {number}", aggregation="SUM", key="n", event_types_in=[f"type-{number}"],
                now=START,
            )  # fmt: skip
            product = await create_product(session, name=f"product {number}", metric_id=metric.id, now=START)
            rates.append(NewRate(product_id=product.id, rate=Flat(Decimal("0.0123"))))
        card = await create_rate_card(session, name="card", currency="USD", rates=rates, now=START)
        customer = await create_customer(session, name="acme", external_id="acme", now=START)
        await create_contract(
            session, Connections({}), customer_id=customer.id, rate_card_id=card.id, starting_at=START, now=START
        )
    return customer.id


async def _use(store: Store, sent: int, total: int) -> int:
    """Events until there are `total`, spread evenly over products and hours; returns how many there are."""
    while sent < total:
        batch = [_event(number) for number in range(sent, min(sent + BATCH, total))]
        async with store.transaction() as session:
            done = await ingest(session, batch, actor=ACTOR, now=NOW, source="bench", allow_historical=True)
        assert done.accepted == len(batch), done
        sent += len(batch)
    await fold_all(store)
    return sent


def _event(number: int) -> IncomingEvent:
    hour = START + timedelta(hours=number // PRODUCTS % HOURS, minutes=number // (PRODUCTS * HOURS) % 60)
    return IncomingEvent(
        f"e-{number}", "acme", f"type-{number % PRODUCTS}", hour.isoformat(), {"n": str(number % 97 + 1)}
    )


async def _timed(store: Store, customer_id: UUID) -> dict[str, float]:
    """Medians in milliseconds; each round starts from an empty session."""
    fetches: list[float] = []
    rates: list[float] = []
    drafts: list[float] = []
    breakdowns: list[float] = []
    for _ in range(ROUNDS):
        async with store.transaction() as session:
            started = time.perf_counter()
            rated = await _draft(session, customer_id)
            drafts.append(_since(started))
        async with store.transaction() as session:
            started = time.perf_counter()
            windows = await break_down_invoice(session, await _draft(session, customer_id), size=WindowSize.DAY)
            breakdowns.append(_since(started))
            assert len(windows) == HOURS // 24
        async with store.transaction() as session:
            terms = await terms_of(session, rated.statement.contract)
            started = time.perf_counter()
            usage = await usage_of_products(
                session, customer_id=customer_id, products=terms.products, period=rated.statement.period
            )
            fetches.append(_since(started))
            assert sum(len(hours) for hours in usage.values()) == PRODUCTS * HOURS
            started = time.perf_counter()
            rate_statement(terms, rated.statement.period, usage)
            rates.append(_since(started))
    return {
        "fetch": median(fetches), "rate": median(rates), "draft": median(drafts), "breakdown": median(breakdowns)
    }  # fmt: skip


async def _draft(session: AsyncSession, customer_id: UUID) -> RatedStatement:
    book = await CustomerBook.of(session, customer_id, now=NOW)
    first = min(book.open, key=lambda statement: statement.due_at)
    return await book.rate(first)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
