"""What a statement asked for too much: a table that a pencil can follow, and sums that hold in any order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.grants import SegmentKey
from app.core.lines import Line, LineType
from app.core.metering import HourQuantity
from app.core.money import ZERO, exact
from app.core.period import HOUR
from app.core.quantities import Usage, UsageKey
from app.core.rating import Rating, rate_statement
from app.core.reversals import Worth, changed, part_of, touches, usage_change, worths
from tests.core.agreements import AGREED, JANUARY, A, B, D, day, entry, terms, tiered, usages
from tests.core.balances import POSTPAID, grant, pots

TIERS = terms(entry(1, tiered(("10", "3"), (None, "2"))))
COMMIT = pots(grant(1, segments=[("21", "01-01", "12-31")]))
PROMISE = pots(grant(1, POSTPAID, segments=[("20", "01-01", "12-31")]))
PAID_BY = SegmentKey(COMMIT[0].grant.id, 0)


def used(*quantities: str) -> dict[UsageKey, list[HourQuantity]]:
    """One quantity an hour from the first of January on."""
    return {UsageKey(A): [HourQuantity(day("01-01") + place * HOUR, D(text)) for place, text in enumerate(quantities)]}


def rated(usage: Usage, balances: Sequence[Any]) -> Rating:
    return rate_statement(TIERS, JANUARY, usage, pots=balances)


@pytest.mark.parametrize(
    ("before", "after", "balances", "expected"),
    [
        # Eight at 3: what is gone is gone at 3.
        (["5", "3"], ["5", "0"], (), [("9", None)]),
        # Twelve are 10 at 3 and 2 at 2; five fewer are 7 at 3, whichever five they were.
        (["5", "7"], ["0", "7"], (), [("13", None)]),
        (["5", "7"], ["5", "2"], (), [("13", None)]),
        # The balance had paid 21 of 34: without four there is 24, and it pays 21 still.
        (["5", "7"], ["5", "3"], COMMIT, [("10", None)]),
        # Without ten there is 6, which it pays alone: 13 comes back to the invoice and 15 to the balance.
        (["5", "7"], ["2", "0"], COMMIT, [("13", None), ("15", PAID_BY)]),
        # What counts towards a promise was asked for by the invoice as well.
        (["5"], ["2"], PROMISE, [("9", None), ("9", PAID_BY)]),
        # Nothing is free of charge; what was taken off before costs more when it is gone.
        (["5"], ["5"], (), []),
        (["5", "-2"], ["5", "0"], (), [("-6", None)]),
    ],
)
def test_who_paid_too_much(
    before: list[str], after: list[str], balances: Sequence[Any], expected: list[tuple[str, SegmentKey | None]]
) -> None:
    found = worths(rated(used(*before), balances), rated(used(*after), balances), unit="USD", pots=balances)
    assert found == tuple(Worth("USD", D(amount), payer) for amount, payer in expected)


def test_a_part_is_that_share_of_what_bills_the_money() -> None:
    change = {UsageKey(A): [HourQuantity(day("01-01"), D("-12"))], UsageKey(B): [HourQuantity(day("01-01"), D("-1"))]}
    assert part_of(change, [A], part=D("2"), whole=D("6")) == {UsageKey(A): [HourQuantity(day("01-01"), D("-4"))]}
    with pytest.raises(AssertionError):
        part_of(change, [A], part=D("7"), whole=D("6"))


def test_a_change_touches_the_lines_of_its_time_and_group() -> None:
    [line] = rated(used("5"), ()).lines
    change = usage_change(used("5"), used("3"))
    later = {UsageKey(A): [HourQuantity(day("02-01"), D("-2"))]}
    assert [touches(item, line) for item in (change, later, {UsageKey(B): change[UsageKey(A)]})] == [True, False, False]
    rounding = Line(LineType.ROUNDING, None, None, "USD", None, None, D("0.1"), None, None)
    assert not touches(change, rounding)


@given(usages, usages)
def test_a_change_leads_from_one_usage_to_the_other(before: Usage, after: Usage) -> None:
    def sums(usage: Usage) -> dict[object, Decimal]:
        found: dict[object, Decimal] = {}
        with exact():
            for key, hours in usage.items():
                for item in hours:
                    found[key, item.hour] = found.get((key, item.hour), ZERO) + item.quantity
        return {key: quantity for key, quantity in found.items() if quantity}

    assert sums(changed(before, [usage_change(before, after)])) == sums(after)
    assert usage_change(before, before) == {}


@given(usages, st.lists(usages, max_size=4), st.sampled_from([(), COMMIT]))
def test_reversals_add_up_to_a_replay_without_them(usage: Usage, gone: list[Usage], balances: Sequence[Any]) -> None:
    """Whatever was reversed step by step comes to what the statement would have been without all of it."""
    steps = [usage, *(changed(usage, gone[: place + 1]) for place in range(len(gone)))]
    ratings = [rate_statement(AGREED, JANUARY, step, pots=balances) for step in steps]
    given_back: dict[SegmentKey | None, Decimal] = {}
    with exact():
        for before, after in pairwise(ratings):
            for worth in worths(before, after, unit="USD", pots=balances):
                given_back[worth.paid_by] = given_back.get(worth.paid_by, ZERO) + worth.amount
    whole = {worth.paid_by: worth.amount for worth in worths(ratings[0], ratings[-1], unit="USD", pots=balances)}
    assert {payer: amount for payer, amount in given_back.items() if amount} == whole
