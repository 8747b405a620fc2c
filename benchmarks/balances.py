"""Draw-downs in the core and through finalization, and the list of a customer's balances beside a plain sum.

A draw-down is one balance paying for usage of one group. In the core each of 1,000 balances pays for 1,000 groups;
through finalization each of 20 invoices does, with everything that is stored of it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.service import create_rate_card
from app.contracts.own_terms import OwnTerms
from app.contracts.service import create_contract
from app.core.grants import Grant, GrantType, Pot, Segment
from app.core.ledger import balance_at
from app.core.metering import HourQuantity
from app.core.money import ZERO, fiat
from app.core.period import SINCE_EVER, Period, StatementSchedule
from app.core.rates import Flat
from app.core.rating import UsageKey, rate_statement
from app.core.terms import Product, ProductType, RateEntry, Terms
from app.customers.service import create_customer
from app.delivery.registry import Connections
from app.grants.adjustments import adjust
from app.grants.definitions import NewGrant, NewSegment
from app.grants.reading import grants_of_customers
from app.grants.service import create_grant
from app.invoices import run
from app.store.engine import Store
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest

START, NOW = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
MONTH = Period(START, datetime(2026, 11, 1, tzinfo=UTC))
BALANCES, GROUPS = 1_000, 1_000
"""A million draw-downs: some minutes."""
CONTRACTS = 20
SEGMENTS, ENTRIES = 1_000, 10
ROUNDS = 7
ACTOR = system("bench")
SUM = """
select s.grant_id, s.number, s.amount + coalesce(sum(case when t.target like 'segment:%' then t.amount else -t.amount end), 0)
from grant_segments s left join transfers t on t.grant_id = s.grant_id and t.segment = s.number
where s.grant_id in (select id from grants where customer_id = :customer_id)
group by s.grant_id, s.number, s.amount
"""


async def measure(url: str) -> dict[str, float]:
    """Draw-downs per second, and what the list costs in times of a sum by the database."""
    figures = _core()
    store = await Store(url).open()
    try:
        figures |= await _finalized(store)
        figures |= await _list(store)
    finally:
        await store.close()
    return figures


def _core() -> dict[str, float]:
    product = Product(uuid4(), "calls", ProductType.USAGE, uuid4(), pricing_group_key=("group",))
    terms = Terms(
        contract_id=uuid4(), customer_id=uuid4(), unit=fiat("USD"), period=Period(START), schedule=StatementSchedule(),
        grace=timedelta(hours=24), products=(product,),
        rates=(RateEntry(uuid4(), product.id, Flat(Decimal("0.25")), Period(SINCE_EVER), True, (), 0),),
    )  # fmt: skip
    usage = {
        UsageKey(product.id, (("group", f"{number:04}"),)): [HourQuantity(START, Decimal(number % 9 + 1))]
        for number in range(GROUPS)
    }
    started = time.perf_counter()
    for _ in range(BALANCES):
        rate_statement(terms, MONTH, usage)
    without = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(BALANCES):
        segment = Segment(0, MONTH, Decimal(10_000))
        pot = Pot(Grant(uuid4(), GrantType.PREPAID, "USD", (segment,), START), segment, segment.amount)
        assert len(rate_statement(terms, MONTH, usage, pots=[pot]).lines) == 2 * GROUPS
    seconds = time.perf_counter() - started
    return {
        "draw-downs per second in the core": BALANCES * GROUPS / seconds,
        "the same statements without balances, times as fast": seconds / without,
    }


async def _finalized(store: Store) -> dict[str, float]:
    async with store.transaction() as session:
        card_id = await _card(session)
        for number in range(CONTRACTS):
            customer = await create_customer(session, name=f"c{number}", external_id=f"c{number}", now=START)
            await create_contract(
                session, Connections({}), customer_id=customer.id, rate_card_id=card_id, starting_at=START,
                own_terms=OwnTerms(grants=[_credit("10000")]), now=START,
            )  # fmt: skip
    for number in range(CONTRACTS):
        events = [
            IncomingEvent(
                f"{number}-{group}", f"c{number}", "call", START.isoformat(), {"n": "3", "group": f"{group:04}"}
            )
            for group in range(GROUPS)
        ]
        async with store.transaction() as session:
            await ingest(session, events, actor=ACTOR, now=NOW, source="bench", allow_historical=True)
    started = time.perf_counter()
    report = await run.run_due(store, actor=ACTOR, as_of=NOW, now=NOW)
    seconds = time.perf_counter() - started
    assert (report.finalized, report.failures) == (CONTRACTS, [])
    return {
        "draw-downs per second through finalization": CONTRACTS * GROUPS / seconds,
        "one invoice of 1,000 draw-downs and 2,000 lines, ms": seconds / CONTRACTS * 1000,
    }


async def _list(store: Store) -> dict[str, float]:
    customer_id = await _holder(store)
    reading: list[float] = []
    summing: list[float] = []
    for _ in range(ROUNDS):
        async with store.transaction() as session:
            started = time.perf_counter()
            found = await grants_of_customers(session, [customer_id], for_sums=True)
            total = sum((balance_at(item.grant, item.movements, at=START) for item in found), ZERO)
            reading.append(time.perf_counter() - started)
        async with store.transaction() as session:
            started = time.perf_counter()
            rows = (await session.execute(text(SUM), {"customer_id": customer_id})).all()
            expected = sum((row[2] for row in rows), ZERO)
            summing.append(time.perf_counter() - started)
        assert total == expected
    return {
        f"balances of {SEGMENTS:,} segments with {ENTRIES} entries each, ms": median(reading) * 1000,
        "a sum of the same rows in SQL, ms": median(summing) * 1000,
        "balances / sum, goal at most 5": median(reading) / median(summing),
    }


async def _holder(store: Store) -> UUID:
    """A customer with so many segments, each with entries by hand."""
    async with store.transaction() as session:
        customer = await create_customer(session, name="holder", external_id="holder", now=START)
        for _ in range(SEGMENTS // 10):
            segments = [NewSegment(Decimal(100), START, NOW + timedelta(days=n)) for n in range(10)]
            made = await create_grant(
                session, customer.id, NewGrant(type=GrantType.CREDIT, priority=Decimal(1), segments=segments), now=START
            )
            for number in range(10):
                await adjust(session, made.id, segment=number, amount=Decimal(-1), reason="bench", now=START)
        # The rest as rows: entries of the same kind, as many as years of service leave behind.
        await session.execute(
            text(
                "insert into transfers (id, created_at, kind, source, target, amount, grant_id, segment, at, reason)"
                " select gen_random_uuid(), t.created_at, t.kind, t.source, t.target, t.amount, t.grant_id, t.segment, t.at,"
                " t.reason from transfers t join grants g on g.id = t.grant_id, generate_series(2, :entries)"
                " where g.customer_id = :customer_id"
            ),
            {"entries": ENTRIES, "customer_id": customer.id},
        )
    return customer.id


async def _card(session: AsyncSession) -> UUID:
    metric = await create_metric(
        session, name="calls", aggregation="SUM", key="n", event_types_in=["call"], group_keys=[["group"]], now=START
    )
    product = await create_product(session, name="calls", metric_id=metric.id, pricing_group_key=["group"], now=START)
    rates = [NewRate(product_id=product.id, rate=Flat(Decimal("0.25")))]
    return (await create_rate_card(session, name="card", currency="USD", rates=rates, now=START)).id


def _credit(amount: str) -> NewGrant:
    return NewGrant(type=GrantType.CREDIT, segments=[NewSegment(Decimal(amount), START, MONTH.ending_before or NOW)])
