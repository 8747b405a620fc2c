"""Custom prices: what a rater may give, that any cut of a quantity costs the same, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.breakdown import WindowSize, break_down
from app.core.custom import Custom, Rater, RaterFailed, Step, checked_steps
from app.core.list_prices import list_unit_price
from app.core.money import canonical
from app.core.overrides import overridden_rate, overridden_slices
from app.core.period import SINCE_EVER, Period
from app.core.quantities import UsageKey
from app.core.rates import Rate, is_graduated, rate_from_json, rate_to_json, slices
from app.core.rating import rate_statement
from app.core.terms import Multiplier, MultiplierTier, Override, PriceChange, Specifier, TieredMultiplier
from tests.core.agreements import CALLS, JANUARY, A, D, entry, flat, hour_lists, terms, used

TEN = D(10)


def falling(low: Decimal, high: Decimal, parameters: Mapping[str, Any]) -> Iterator[Step]:
    """Each begun ten of units is cheaper by 1 than the ten before, down to `least`."""
    least = D(parameters["least"])
    while low < high:
        number = low // TEN if low >= 0 else D(0)
        end = min(high, (number + 1) * TEN)
        yield end - low, max(TEN - number, least)
        low = end


def custom(rater: Rater = falling, **parameters: object) -> Custom:
    given_to = {"least": "8", **parameters}
    return Custom("falling", json.dumps(given_to), steps=lambda low, high: checked_steps(rater, low, high, given_to))


def shown(rate: Rate, before: str, quantity: str, change: PriceChange | None = None) -> str:
    """quantity@price from position"""
    parts = overridden_slices(rate, change, before=D(before), quantity=D(quantity))
    return " ".join(f"{canonical(p.quantity)}@{canonical(p.unit_price)}^{canonical(p.before)}" for p in parts)


@pytest.mark.parametrize(
    ("before", "quantity", "expected"),
    [
        ("0", "5", "5@10^0"),
        ("0", "25", "10@10^0 10@9^10 5@8^20"),
        ("5", "10", "5@10^5 5@9^10"),
        ("30", "100", "100@8^30"),
        ("25", "-10", "-5@9^15 -5@8^20"),
        ("0", "0", ""),
        ("0", "-4", "-4@10^-4"),
        ("-4", "20", "14@10^-4 6@9^10"),
        ("0.5", "0.25", "0.25@10^0.5"),
    ],
)
def test_slices(before: str, quantity: str, expected: str) -> None:
    assert shown(custom(), before, quantity) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (None, "10@10^0 5@9^10"),
        (Multiplier(D("0.5")), "10@5^0 5@4.5^10"),
        (TieredMultiplier((MultiplierTier(D(5), D(1)), MultiplierTier(None, D("0.5")))), "5@10^0 5@5^5 5@4.5^10"),
    ],
)
def test_overrides(change: PriceChange | None, expected: str) -> None:
    assert shown(custom(), "0", "15", change) == expected


def test_what_an_override_makes_of_the_rate() -> None:
    assert overridden_rate(overridden_rate(custom(), Multiplier(D(2))) or flat("0"), Multiplier(D(3))) == replace(
        custom(), factor=D(6)
    )
    assert overridden_rate(custom(), TieredMultiplier((MultiplierTier(None, D(2)),))) is None
    assert is_graduated(custom())


def constant(*steps: object) -> Callable[..., Iterable[Any]]:
    return lambda low, high, parameters: iter(steps)


def broken(low: Decimal, high: Decimal, parameters: Mapping[str, Any]) -> Iterable[Step]:
    raise KeyError(parameters["secret"])


def leaving(low: Decimal, high: Decimal, parameters: Mapping[str, Any]) -> Iterable[Step]:
    raise SystemExit


def of_the_whole(low: Decimal, high: Decimal, parameters: Mapping[str, Any]) -> Iterable[Step]:
    return [(high - low, D(1) / (1 + int(high)))]


@pytest.mark.parametrize(
    ("rater", "why"),
    [
        pytest.param(broken, "raised KeyError", id="raises"),
        pytest.param(leaving, "raised SystemExit", id="leaves"),
        pytest.param(lambda *_: None, "raised TypeError", id="gives nothing"),
        pytest.param(lambda low, high, _: [(high - low, D(1) * 0.5)], "raised", id="mixes with float"),
        pytest.param(constant((D(5), 1.5)), "pair of Decimals", id="float"),
        pytest.param(constant((5, D(1))), "pair of Decimals", id="int"),
        pytest.param(constant((D(5), D(1), D(1))), "pair of Decimals", id="three"),
        pytest.param(constant([D(5), D(1)]), "pair of Decimals", id="list"),
        pytest.param(constant((D(5), D("NaN"))), "not a number", id="NaN"),
        pytest.param(constant((D(5), D("Infinity"))), "not a number", id="infinite"),
        pytest.param(constant((D(5), D("0." + "3" * 40))), "digits", id="too many digits"),
        pytest.param(constant((D(5), D("-0.01"))), "0 or more", id="negative price"),
        pytest.param(constant((D(0), D(1)), (D(5), D(2))), "more than 0 units", id="empty step"),
        pytest.param(constant((D(6), D(1)), (D(-1), D(2))), "more than 0 units", id="backwards"),
        pytest.param(constant(), "make up the 5 units", id="no steps"),
        pytest.param(constant((D(4), D(1))), "make up the 5 units", id="too little"),
        pytest.param(constant((D(2), D(1)), (D(2), D(2)), (D(1), D(1))), "comes back", id="a price that comes back"),
        pytest.param(lambda *_: itertools.repeat((D("0.001"), D(1))), "more than 1000 steps", id="endless"),
    ],
)
def test_raters_that_fail(rater: Rater, why: str) -> None:
    with pytest.raises(RaterFailed, match=why):
        checked_steps(rater, D(0), D(5), {})


def test_a_price_that_depends_on_where_one_cuts_fails() -> None:
    assert checked_steps(of_the_whole, D(0), D(4), {}) == [(D(4), D("0.2"))]
    with pytest.raises(RaterFailed, match="from 0 to 4 costs"):
        checked_steps(of_the_whole, D(1), D(4), {})


def test_steps_of_one_price_are_one() -> None:
    assert checked_steps(constant((D(2), D(1)), (D(3), D("1.0"))), D(0), D(5), {}) == [(D(5), D(1))]


def test_the_stored_form() -> None:
    rate = replace(custom(shape={"b": [1, None], "a": True}), steps=None)
    whole = rate_from_json(json.loads(json.dumps(rate_to_json(rate))))
    assert isinstance(whole, Custom)
    assert (whole.rater, json.loads(whole.parameters)) == ("falling", json.loads(rate.parameters))
    assert rate_from_json(rate_to_json(whole)) == whole
    frozen = replace(whole, release="acme-raters 1.2")
    assert rate_from_json(rate_to_json(frozen)) == frozen
    for wrong in ({"type": "CUSTOM", "rater": "x"}, {"type": "CUSTOM", "rater": 1, "parameters": {}}):
        with pytest.raises(ValueError, match="a rate is"):
            rate_from_json(wrong)


def test_the_list_price_of_a_line() -> None:
    half = Override(UUID(int=5), Period(SINCE_EVER), (Specifier(product_id=A),), Multiplier(D("0.5")), None, None, 1)
    for overrides, expected in (((), [9, 10]), ((half,), [None, None])):
        agreed = replace(terms(entry(1, custom()), products=(CALLS,)), overrides=overrides)
        lines = rate_statement(agreed, JANUARY, {UsageKey(A): used(d2="15")}).lines
        assert [list_unit_price(line, agreed) for line in lines] == expected


positions = st.decimals(min_value=-30, max_value=60, places=1)


@given(positions, positions, positions)
def test_cuts_move_no_money(start: Decimal, middle: Decimal, end: Decimal) -> None:
    amount = partial(_amount, custom())
    assert amount(start, end) == amount(start, middle) + amount(middle, end)


def _amount(rate: Rate, start: Decimal, end: Decimal) -> Decimal:
    return sum((part.amount for part in slices(rate, before=start, quantity=end - start)), D(0))


@given(hour_lists, st.sampled_from(WindowSize))
def test_windows_add_up_to_the_statement(hours: list[Any], size: WindowSize) -> None:
    agreed = terms(entry(1, custom()), entry(2, flat("1"), "01-10", "01-20"), products=(CALLS,))
    usage = {UsageKey(A): hours}
    total = sum((line.amount for line in rate_statement(agreed, JANUARY, usage).lines), D(0))
    windows = break_down(agreed, JANUARY, usage, size=size, is_final=False)
    assert sum((window.total for window in windows), D(0)) == total


def test_the_stored_form_says_no_more_than_there_is() -> None:
    form = {"type": "CUSTOM", "rater": "falling", "parameters": {"b": [1, 2], "a": "é"}}
    rate = rate_from_json(form)
    assert rate == Custom("falling", '{"a":"é","b":[1,2]}', "")
    assert rate_to_json(rate) == form
    assert rate_to_json(replace(rate, release="prices 2.1")) == {**form, "release": "prices 2.1"}
