"""Lines grouped by product and properties: sums that add up, and quantities where they mean something."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.line_groups import LineGroup, grouped
from app.core.lines import Line, LineType
from app.core.metering import HourQuantity
from app.core.quantities import UsageKey
from app.core.rating import rate_statement
from app.core.terms import Group
from tests.core.agreements import AGREED, JANUARY, A, B, usages
from tests.core.balances import grant, pots

D = Decimal


def line(amount: str, quantity: str | None = None, *, product: int = 1, **parts: object) -> Line:
    name = {1: "calls", 2: "data"}[product]
    counted = None if quantity is None else D(quantity)
    kind = LineType.APPLIED if quantity is None else LineType.USAGE
    return Line(kind, (A, B)[product - 1], name, "USD", counted, None, D(amount), None, None, **parts)  # type: ignore[arg-type]


EU: Group = (("region", "eu"),)
LINES = [
    line("10", "5", pricing=EU),
    line("-4", pricing=EU),
    line("6", "3", pricing=(("region", "us"),), presentation=(("team", "a"),)),
    line("9", "1", product=2),
    line("7", "7", in_total=False, pricing=EU),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [LineGroup(None, None, (), None, D(21))]),
        (
            {"by_product": True},
            [LineGroup(A, "calls", (), D(15), D(12)), LineGroup(B, "data", (), D(1), D(9))],
        ),
        (
            {"by": ["region"]},
            [
                LineGroup(None, None, (("region", "eu"),), D(12), D(6)),
                LineGroup(None, None, (("region", "us"),), D(3), D(6)),
                LineGroup(None, None, (("region", None),), D(1), D(9)),
            ],
        ),
        (
            {"by": ["team", "region"], "by_product": True},
            [
                LineGroup(A, "calls", (("team", None), ("region", "eu")), D(12), D(6)),
                LineGroup(A, "calls", (("team", "a"), ("region", "us")), D(3), D(6)),
                LineGroup(B, "data", (("team", None), ("region", None)), D(1), D(9)),
            ],
        ),
    ],
)
def test_groups(asked: dict[str, object], expected: list[LineGroup]) -> None:
    assert list(grouped(LINES, **asked)) == expected  # type: ignore[arg-type]


def test_nothing_has_no_groups_and_what_is_paid_alone_has_no_quantity() -> None:
    assert grouped([], by=["region"]) == ()
    [found] = grouped([LINES[1]], by_product=True)
    assert (found.quantity, found.amount) == (None, D(-4))


@given(usages, st.sets(st.sampled_from(["region", "team"])), st.booleans())
def test_groups_add_up_to_the_lines(usage: dict[UsageKey, list[HourQuantity]], by: set[str], by_product: bool) -> None:
    lines = rate_statement(AGREED, JANUARY, usage, pots=pots(grant(1))).lines
    groups = grouped(lines, by=sorted(by), by_product=by_product)
    assert sum((group.amount for group in groups), D(0)) == sum((line.amount for line in lines), D(0))
    assert len({(group.product_id, group.product_name, group.values) for group in groups}) == len(groups)
