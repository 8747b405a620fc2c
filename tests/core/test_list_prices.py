"""The list price beside the billed one: known where one price of the list stands behind a line."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from app.core.lines import LineType
from app.core.list_prices import list_unit_price
from app.core.period import SINCE_EVER, Period
from app.core.quantities import UsageKey
from app.core.rates import Package, Percentage, Rate, Volume
from app.core.rating import rate_statement
from app.core.terms import (
    Multiplier,
    MultiplierTier,
    Override,
    OverridePriority,
    Overwrite,
    PriceChange,
    Specifier,
    TieredMultiplier,
)
from tests.core.agreements import JANUARY, A, D, entry, flat, terms, tiered, used

BANDS = tiered(("5", "10"), (None, "8"))
HALF = Multiplier(D("0.5"))
FIRST_TWO = TieredMultiplier((MultiplierTier(D(2), D("0.5")),))


def prices(rate: Rate, change: PriceChange | None = None) -> list[tuple[Decimal | None, Decimal | None]]:
    """List price and billed price of each line for 8 units."""
    changed = (Override(UUID(int=50), Period(SINCE_EVER), (Specifier(),), change, None, 1, 1),) if change else ()
    agreed = replace(terms(entry(1, rate)), overrides=changed, override_priority=OverridePriority.EXPLICIT)
    lines = rate_statement(agreed, JANUARY, {UsageKey(A): used(d2="8")}).lines
    return [(list_unit_price(line, agreed), line.unit_price) for line in lines]


@pytest.mark.parametrize(
    ("rate", "change", "expected"),
    [
        (flat("10"), None, [("10", "10")]),
        (flat("10"), HALF, [("10", "5")]),
        (flat("10"), FIRST_TWO, [("10", "5"), ("10", "10")]),
        (flat("10"), Overwrite(flat("3")), [("10", "3")]),
        (flat("10"), Overwrite(tiered(("5", "3"), (None, "2"))), [("10", "3"), ("10", "2")]),
        # A package is no unit: there is nothing to compare.
        (flat("10"), Overwrite(Package(D(5), D(30))), [(None, "30")]),
        (Package(D(5), D(30)), None, [("30", "30")]),
        (Package(D(5), D(30)), HALF, [("30", "15")]),
        (Package(D(5), D(30)), Overwrite(flat("3")), [(None, "3")]),
        (BANDS, None, [("10", "10"), ("8", "8")]),
        (BANDS, HALF, [("10", "5"), ("8", "4")]),
        (BANDS, FIRST_TWO, [("10", "5"), ("10", "10"), ("8", "8")]),
        # Eight units at one price lie in two bands of the list.
        (BANDS, Overwrite(flat("3")), [(None, "3")]),
        (Volume(BANDS.tiers), None, [("8", "8")]),
        (Volume(BANDS.tiers), HALF, [("8", "4")]),
    ],
)
def test_the_list_price_of_a_line(
    rate: Rate, change: PriceChange | None, expected: list[tuple[str | None, str]]
) -> None:
    assert prices(rate, change) == [(None if listed is None else D(listed), D(billed)) for listed, billed in expected]


def test_lines_without_a_price_have_none_on_the_list() -> None:
    agreed = terms(entry(1, Percentage(D("0.1"))))
    [line] = rate_statement(terms(entry(1, flat("1"))), JANUARY, {UsageKey(A): used(d2="8")}).lines
    assert list_unit_price(line, agreed) == D("0.1")
    for other in (
        line._replace(rate_id=None),
        line._replace(unit_price=None),
        line._replace(type=LineType.MINIMUM),
        line._replace(rate_id=UUID(int=99)),
    ):
        assert list_unit_price(other, agreed) is None


def test_what_a_balance_paid_may_have_had_the_commit_rate() -> None:
    with_commit_rate = replace(entry(1, BANDS), commit_rate=flat("6"))
    [line, *_] = rate_statement(terms(entry(1, BANDS)), JANUARY, {UsageKey(A): used(d2="8")}).lines
    paid = line._replace(grant_id=UUID(int=7), segment=0)
    assert list_unit_price(paid, terms(with_commit_rate)) is None
    assert list_unit_price(line, terms(with_commit_rate)) == D(10)
    assert list_unit_price(paid, terms(entry(1, BANDS))) == D(10)
    assert list_unit_price(paid, terms(replace(entry(1, flat("10")), commit_rate=flat("6")))) == D(10)
