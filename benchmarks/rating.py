"""How many hourly buckets the pure rating loop prices in a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from app.core.metering import HourQuantity
from app.core.money import fiat
from app.core.period import SINCE_EVER, Period, StatementSchedule
from app.core.rates import Flat, Rate, Tier, Tiered
from app.core.rating import UsageKey, rate_statement
from app.core.terms import Product, ProductType, RateEntry, Terms

PRODUCTS = 20
ROUNDS = 20
START = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = Period(START, datetime(2026, 11, 1, tzinfo=UTC))


def measure() -> dict[str, float]:
    """A month of hourly buckets for twenty products, five of them graduated."""
    products = tuple(Product(uuid4(), f"product {n}", ProductType.USAGE, uuid4()) for n in range(PRODUCTS))
    terms = Terms(
        contract_id=uuid4(), customer_id=uuid4(), unit=fiat("USD"), period=Period(START), schedule=StatementSchedule(),
        grace=timedelta(hours=24), products=products, rates=tuple(_rate(n, p.id) for n, p in enumerate(products)),
    )  # fmt: skip
    hours = [START + timedelta(hours=n) for n in range(744)]
    usage = {
        UsageKey(p.id): [HourQuantity(hour, Decimal(n % 97 + 1)) for n, hour in enumerate(hours)] for p in products
    }
    started = time.perf_counter()
    for _ in range(ROUNDS):
        rate_statement(terms, MONTH, usage)
    seconds = time.perf_counter() - started
    buckets = PRODUCTS * len(hours)
    return {"buckets in one statement": buckets, "buckets rated per second": ROUNDS * buckets / seconds}


def _rate(number: int, product_id: UUID) -> RateEntry:
    price: Rate = Flat(Decimal("0.0123"))
    if number % 4 == 0:
        price = Tiered(
            (Tier(Decimal(1000), Decimal("0.01")), Tier(Decimal(9000), Decimal("0.008")), Tier(None, Decimal("0.005")))
        )
    return RateEntry(uuid4(), product_id, price, Period(SINCE_EVER), True, (), number)
