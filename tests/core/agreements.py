"""Agreements and usage for the tests of the core: January 2025, two products, prices that change on the 10th and 20th.

One function for each kind of value; what matters to a test is named there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

from app.core.metering import HourQuantity
from app.core.money import fiat
from app.core.period import HOUR, SINCE_EVER, Period, StatementSchedule
from app.core.quantities import UsageKey
from app.core.rates import Flat, Rate, Tier, Tiered
from app.core.terms import Group, Product, ProductType, RateEntry, Terms

D = Decimal


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-{text}").replace(tzinfo=UTC)


JANUARY = Period(day("01-01"), day("02-01"))
A, B = UUID(int=1), UUID(int=2)


def product(number: int, name: str, **parts: tuple[str, ...]) -> Product:
    return Product(UUID(int=number), name, ProductType.USAGE, UUID(int=number), **parts)


CALLS, DATA = product(1, "calls"), product(2, "data")


def flat(price: str) -> Flat:
    return Flat(D(price))


def tiered(*tiers: tuple[str | None, str]) -> Tiered:
    return Tiered(tuple(Tier(None if size is None else D(size), D(price)) for size, price in tiers))


def entry(
    added: int,
    rate: Rate,
    start: str | None = None,
    end: str | None = None,
    *,
    product_id: UUID = A,
    group: Group = (),
    entitled: bool = True,
) -> RateEntry:
    period = Period(SINCE_EVER if start is None else day(start), None if end is None else day(end))
    return RateEntry(UUID(int=added), product_id, rate, period, entitled, group, added)


def terms(*rates: RateEntry, products: Sequence[Product] = (CALLS, DATA), order: Sequence[UUID] = ()) -> Terms:
    return Terms(
        contract_id=UUID(int=100),
        customer_id=UUID(int=200),
        unit=fiat("USD"),
        period=Period(day("01-01"), day("12-31")),
        schedule=StatementSchedule(),
        grace=timedelta(hours=24),
        products=tuple(products),
        rates=rates,
        product_order=tuple(order),
    )


def used(**quantities: str) -> list[HourQuantity]:
    """Usage at one o'clock on days of January: used(d2="8") is 8 on the second."""
    return [HourQuantity(day(f"01-{int(name[1:]):02}T01:00:00"), D(quantity)) for name, quantity in quantities.items()]


def by_region(region: str | None) -> UsageKey:
    return UsageKey(A, (("region", region),))


FREE_THEN_PAID = tiered(("5", "0"), ("5", "1"), (None, "1.5"))

# Properties. Rates change on the 10th and the 20th; usage may fall anywhere in January.
quantities = st.decimals(min_value=-50, max_value=200, places=2, allow_nan=False, allow_infinity=False)
hour_lists = st.lists(
    st.builds(lambda n, q: HourQuantity(day("01-01") + n * HOUR, q), st.integers(0, 31 * 24 - 1), quantities),
    max_size=12,
)
usages = st.dictionaries(st.sampled_from([UsageKey(A), by_region("eu"), by_region("us"), UsageKey(B)]), hour_lists)
AGREED = terms(
    entry(1, FREE_THEN_PAID),
    entry(2, tiered(("100", "2"), (None, "1.25")), "01-10", "01-20"),
    entry(3, flat("0.333"), group=(("region", "eu"),)),
    entry(4, flat("7"), "01-10", product_id=B),
    entry(5, flat("7"), "01-20", product_id=B, entitled=False),
)
