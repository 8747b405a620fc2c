"""A book of many contracts, each of a customer of its own, with usage of several products in one month.

Used by benchmarks and by tests of the billing run. Customers and contracts are made as rows, since it is not their making
that is looked at; everything that an invoice is computed from is what the services would have stored.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.service import create_rate_card
from app.contracts.tables import Contract
from app.core.grants import GrantType
from app.core.rates import Flat
from app.customers.tables import Customer
from app.grants.definitions import NewGrant, NewSegment
from app.grants.service import create_grant
from app.store.engine import Store
from app.store.ids import new_id, to_text
from app.usage.buckets import fold_all
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest

OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
NOW = NOVEMBER + timedelta(days=2)
ACTOR = system("bench")
BATCH = 10_000


async def card_of(store: Store, *, products: int) -> UUID:
    """A rate card on which each product has a price and is measured by a metric of its own."""
    async with store.transaction() as session:
        rates: list[NewRate] = []
        for number in range(products):
            metric = await create_metric(
                session, name=f"m{number}", aggregation="SUM", key="n", event_types_in=[f"t{number}"], now=OCTOBER
            )
            product = await create_product(session, name=f"p{number}", metric_id=metric.id, now=OCTOBER)
            rates.append(NewRate(product_id=product.id, rate=Flat(Decimal("0.0123"))))
        return (await create_rate_card(session, name="card", currency="USD", rates=rates, now=OCTOBER)).id


async def many_contracts(
    store: Store, card_id: UUID, *, contracts: int, products: int, credit_for_every: int = 0, name: str = "c"
) -> list[UUID]:
    """So many contracts since October, with usage of every product in that month; returns their ids.

    One in `credit_for_every` of the customers has a credit that pays for some of it; 0 for none.
    """
    customers = [Customer(id=new_id(), created_at=OCTOBER, name=f"{name}{number}") for number in range(contracts)]
    made = [
        Contract(
            id=new_id(), created_at=OCTOBER, customer_id=customer.id, rate_card_id=card_id, currency="USD",
            starting_at=OCTOBER,
        )
        for customer in customers
    ]  # fmt: skip
    async with store.transaction() as session:
        session.add_all(customers)
        await session.flush()
        session.add_all(made)
        await session.flush()
        for customer in customers[::credit_for_every] if credit_for_every else ():
            segments = [NewSegment(Decimal("0.5"), OCTOBER, NOVEMBER)]
            entry = NewGrant(type=GrantType.CREDIT, priority=Decimal(1), segments=segments)
            await create_grant(session, customer.id, entry, now=OCTOBER)
    events = [
        IncomingEvent(
            f"{customer.id}-{number}", to_text("customer", customer.id), f"t{number}",
            (OCTOBER + timedelta(hours=1)).isoformat(), {"n": str(number + 7)},
        )
        for customer in customers
        for number in range(products)
    ]  # fmt: skip
    for start in range(0, len(events), BATCH):
        async with store.transaction() as session:
            found = await ingest(
                session, events[start : start + BATCH], actor=ACTOR, now=NOW, source="bench", allow_historical=True
            )
        assert found.accepted == len(events[start : start + BATCH]), found
    await fold_all(store)
    return [contract.id for contract in made]
