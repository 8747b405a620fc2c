"""Windows add up to the statement, line by line, whatever prices, changes of prices, balances and units were in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.core.breakdown import WindowSize, break_down
from app.core.invoice import assemble, finalize
from app.core.lines import Line, LineType
from app.core.metering import HourQuantity
from app.core.period import SINCE_EVER, Period
from app.core.quantities import UsageKey
from app.core.rates import Flat, Package, Tier, Volume
from app.core.rating import rate_statement
from app.core.terms import (
    Composite,
    Multiplier,
    MultiplierTier,
    Override,
    OverridePriority,
    Overwrite,
    Product,
    ProductType,
    RateTarget,
    Specifier,
    Terms,
    TieredMultiplier,
)
from tests.core.agreements import CALLS, DATA, JANUARY, A, B, day, entry, terms, tiered, usages
from tests.core.balances import CREDIT, POSTPAID, PREPAID, grant, pots

D = Decimal
prices = st.sampled_from(["0", "0.333", "1", "2.5"]).map(D)
sizes = st.sampled_from(["3", "10", "70"]).map(D)
tables = st.lists(st.builds(Tier, sizes, prices), min_size=1, max_size=3)
rates = st.one_of(
    st.builds(Flat, prices),
    tables.map(lambda tiers: tiered(*((str(tier.size), str(tier.price)) for tier in tiers), (None, "1.25"))),
    tables.map(lambda tiers: Volume((*tiers, Tier(None, D("0.7"))))),
    st.builds(Package, sizes, prices),
)
factors = st.sampled_from(["0", "0.5", "1.1"]).map(D)
changes = st.one_of(
    st.builds(Multiplier, factors),
    st.builds(Overwrite, rates),
    st.builds(TieredMultiplier, st.tuples(st.builds(MultiplierTier, sizes, factors))),
)
SUPPORT = Product(UUID(int=3), "support", ProductType.COMPOSITE, None, composite=Composite(product_ids=(A,)))
BALANCES = (
    grant(1, CREDIT, segments=(("40", "01-01", "01-16"), ("30", "01-12", "02-01"))),
    grant(2, PREPAID, segments=(("60", "01-01", "12-31"),), product_ids=(A,), rate_type=RateTarget.COMMIT_RATE),
    grant(3, POSTPAID, segments=(("90", "01-01", "12-31"),)),
    grant(4, CREDIT, segments=(("25", "01-01", "02-01"),), unit="TOKENS"),
)


@st.composite
def agreements(draw: st.DrawFn) -> Terms:
    """A contract whose prices change in mid-month, with overrides of all kinds; B may be sold in a custom unit."""
    unit = draw(st.sampled_from([None, "TOKENS"]))
    parts = [
        replace(entry(1, draw(rates)), commit_rate=draw(st.none() | rates)),
        entry(2, draw(rates), "01-10", "01-20"),
        replace(entry(3, draw(rates), product_id=B), unit=unit),
        replace(entry(4, draw(rates), "01-15", product_id=B), unit=unit),
        replace(
            entry(5, tiered(("20", "0.1"), (None, "0.05")), product_id=SUPPORT.id), minimum=draw(st.none() | prices)
        ),
    ]
    overrides = [
        Override(
            UUID(int=500 + number), Period(SINCE_EVER if number else day("01-05"), None),
            (Specifier(product_id=draw(st.sampled_from([A, B]))),), change, None, number, number,
            is_commit_specific=draw(st.booleans()), target=draw(st.sampled_from(RateTarget)),
        )
        for number, change in enumerate(draw(st.lists(changes, max_size=2)))
    ]  # fmt: skip
    return replace(
        terms(*parts, products=(CALLS, DATA, SUPPORT)),
        overrides=tuple(overrides),
        override_priority=OverridePriority.EXPLICIT,
        conversions=(("TOKENS", D("0.1")),),
    )


def fee(amount: str, start: str, end: str) -> Line:
    return Line(
        LineType.SUBSCRIPTION, B, "data", "USD", D(1), D(amount), D(amount), day(start), day(end),
        subscription_id=A, charged_at=day(start),
    )  # fmt: skip


def sums(lines: Iterable[Line]) -> dict[Line, tuple[Decimal, Decimal]]:
    """Amount and quantity of all that is the same but for its time."""
    found: dict[Line, tuple[Decimal, Decimal]] = {}
    for line in lines:
        kind = line._replace(quantity=None, amount=D(0), starting_at=None, ending_before=None)
        amount, quantity = found.get(kind, (D(0), D(0)))
        found[kind] = (amount + line.amount, quantity + (line.quantity or D(0)))
    return {kind: both for kind, both in found.items() if any(both)}


@given(
    agreements(), usages, st.lists(st.decimals(0, 90, places=2), min_size=5, max_size=5), st.sampled_from(WindowSize)
)
def test_windows_add_up_line_by_line(
    agreed: Terms, usage: dict[UsageKey, list[HourQuantity]], left: list[Decimal], size: WindowSize
) -> None:
    given_pots = [replace(pot, available=amount) for pot, amount in zip(pots(*BALANCES), left, strict=True)]
    fees = [fee("5", "01-10", "02-10"), fee("7.005", "02-01", "03-01")]
    final = finalize(assemble(rate_statement(agreed, JANUARY, usage, pots=given_pots, fees=fees).lines, agreed.unit))
    windows = break_down(agreed, JANUARY, usage, size=size, is_final=True, pots=given_pots, fees=fees)
    assert sum((window.total for window in windows), D(0)) == final.total
    assert sums(line for window in windows for line in window.lines) == sums(final.lines)
