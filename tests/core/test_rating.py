"""From hourly usage to lines: tiers, groups, price changes, entitlement, order; examples as in the semantics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.lines import Line
from app.core.metering import HourQuantity
from app.core.money import canonical
from app.core.period import HOUR, Period
from app.core.quantities import UsageKey
from app.core.rating import Rating, rate_statement
from app.core.terms import ProductVersion, RateEntry, Terms
from tests.core.agreements import (
    AGREED,
    CALLS,
    DATA,
    FREE_THEN_PAID,
    JANUARY,
    A,
    B,
    by_region,
    day,
    entry,
    flat,
    product,
    terms,
    tiered,
    usages,
    used,
)

D = Decimal


def rated(agreed: Terms, usage: Mapping[UsageKey, Sequence[HourQuantity]]) -> Rating:
    return rate_statement(agreed, JANUARY, usage)


def shown(line: Line) -> str:
    """product[groups] tier quantity@price=amount start..end"""
    assert line.starting_at is not None
    assert line.ending_before is not None
    assert line.quantity is not None
    assert line.unit_price is not None
    groups = "".join(f"[{name}={value}]" for name, value in (*line.pricing, *line.presentation))
    tier = f" t{line.tier.level}" if line.tier else ""
    days = f"{line.starting_at:%m-%d}..{line.ending_before:%m-%d}"
    price = f"{canonical(line.quantity)}@{canonical(line.unit_price)}={canonical(line.amount)}"
    return f"{line.product_name}{groups}{tier} {price} {days}"


@pytest.mark.parametrize(
    ("rates", "usage", "lines"),
    [
        pytest.param(
            [entry(1, flat("0.5"))], used(d2="10", d5="5", d9="-3"), ["calls 12@0.5=6 01-01..02-01"], id="correction"
        ),
        pytest.param(
            [entry(1, FREE_THEN_PAID)],
            used(d2="11"),
            ["calls t1 5@0=0 01-01..02-01", "calls t2 5@1=5 01-01..02-01", "calls t3 1@1.5=1.5 01-01..02-01"],
            id="tiers",
        ),
        pytest.param(
            [entry(1, FREE_THEN_PAID)],
            used(d2="11", d3="-3"),
            ["calls t1 5@0=0 01-01..02-01", "calls t2 3@1=3 01-01..02-01"],
            id="tiers with a correction",
        ),
        pytest.param(
            [entry(1, flat("1")), entry(2, flat("3"), "01-10", "01-20")],
            used(d9="10", d10="5", d19="5", d20="10"),
            ["calls 10@1=10 01-01..01-10", "calls 10@3=30 01-10..01-20", "calls 10@1=10 01-20..02-01"],
            id="rate change and resumption",
        ),
        pytest.param(
            [entry(1, tiered(("10", "2"), (None, "1"))), entry(2, tiered(("10", "1"), (None, "0.5")), "01-16")],
            used(d2="8", d20="5"),
            ["calls t1 8@2=16 01-01..01-16", "calls t1 2@1=2 01-16..02-01", "calls t2 3@0.5=1.5 01-16..02-01"],
            id="position survives the price change",
        ),
        pytest.param(
            [entry(1, flat("3")), entry(2, flat("4"), "01-16")],
            used(d2="40", d20="-10"),
            ["calls 40@3=120 01-01..01-16", "calls -10@4=-40 01-16..02-01"],
            id="decrease at the current price",
        ),
        pytest.param(
            [entry(1, flat("1")), entry(2, flat("1"), "01-16", product_id=B)],
            used(d2="1", d20="2"),
            ["calls 1@1=1 01-01..01-16", "calls 2@1=2 01-16..02-01"],
            id="another product's change cuts every line",
        ),
        pytest.param(
            [entry(1, flat("1"), entitled=False), entry(2, flat("1"), "01-16")],
            used(d2="5", d20="7"),
            ["calls 7@1=7 01-16..02-01"],
            id="not entitled at first",
        ),
        pytest.param(
            [entry(1, FREE_THEN_PAID, entitled=False), entry(2, FREE_THEN_PAID, "01-16")],
            used(d2="8", d20="7"),
            ["calls t2 2@1=2 01-16..02-01", "calls t3 5@1.5=7.5 01-16..02-01"],
            id="position runs on without entitlement",
        ),
        pytest.param([entry(1, flat("1"))], used(d2="5", d3="-5"), [], id="nothing left"),
        pytest.param([entry(1, flat("1"))], [], [], id="no usage"),
        pytest.param([entry(1, flat("0"))], used(d2="5"), ["calls 5@0=0 01-01..02-01"], id="free usage is shown"),
        pytest.param(
            [entry(1, flat("1")), entry(2, flat("1"), "03-01")],
            used(d2="1"),
            ["calls 1@1=1 01-01..02-01"],
            id="a change outside the statement",
        ),
    ],
)
def test_lines(rates: list[RateEntry], usage: list[HourQuantity], lines: list[str]) -> None:
    found = rated(terms(*rates), {UsageKey(A): usage})
    assert [shown(line) for line in found.lines] == lines
    assert found.unrated == ()


def test_prices_by_group_and_the_price_without_values() -> None:
    agreed = terms(entry(1, flat("1")), entry(2, flat("2"), group=(("region", "eu"),)))
    usage = {by_region("us"): used(d2="10"), by_region(None): used(d2="1"), by_region("eu"): used(d2="10")}
    found = rated(agreed, usage)
    assert [shown(line) for line in found.lines] == [
        "calls[region=None] 1@1=1 01-01..02-01",
        "calls[region=eu] 10@2=20 01-01..02-01",
        "calls[region=us] 10@1=10 01-01..02-01",
    ]
    assert [line.rate_id for line in found.lines] == [UUID(int=1), UUID(int=2), UUID(int=1)]


def test_usage_without_a_rate_is_reported_and_its_position_runs_on() -> None:
    agreed = terms(entry(1, FREE_THEN_PAID, "01-16", group=(("region", "eu"),)))
    usage = {
        by_region("mars"): used(d2="4"),
        by_region("eu"): used(d2="8", d20="1"),
        UsageKey(B): used(d2="1", d3="-1"),
    }
    found = rated(agreed, usage)
    assert [shown(line) for line in found.lines] == ["calls[region=eu] t2 1@1=1 01-16..02-01"]
    assert [(item.key, item.quantity) for item in found.unrated] == [(by_region("eu"), 8), (by_region("mars"), 4)]


def test_usage_without_a_rate_is_reported_as_a_whole() -> None:
    found = rated(terms(entry(1, FREE_THEN_PAID, "01-10", "01-20")), {UsageKey(A): used(d2="4", d15="1", d25="3")})
    assert [(item.key, item.quantity) for item in found.unrated] == [(UsageKey(A), 7)]


def test_a_presentation_value_has_tiers_of_its_own() -> None:
    agreed = terms(entry(1, tiered(("10", "2"), (None, "1"))))
    usage = {UsageKey(A, (), (("team", team),)): used(d2="12") for team in ("red", "blue")}
    assert [shown(line) for line in rated(agreed, usage).lines] == [
        "calls[team=blue] t1 10@2=20 01-01..02-01",
        "calls[team=blue] t2 2@1=2 01-01..02-01",
        "calls[team=red] t1 10@2=20 01-01..02-01",
        "calls[team=red] t2 2@1=2 01-01..02-01",
    ]


def test_a_line_explains_itself() -> None:
    agreed = terms(entry(7, FREE_THEN_PAID))
    line = rated(agreed, {UsageKey(A): used(d2="11")}).lines[1]
    assert (line.type, line.product_id, line.unit, line.rate_id) == ("usage", A, "USD", UUID(int=7))
    assert line.in_total
    assert line.tier is not None
    assert (line.tier.level, line.tier.starting_at, line.tier.size) == (2, 5, 5)


def test_lines_follow_the_card_then_the_name() -> None:
    products = [product(number, name) for number, name in ((1, "zebra"), (2, "apple"), (3, "mango"), (4, "apple"))]
    rates = [entry(item.id.int, flat("1"), product_id=item.id) for item in products]
    usage = {UsageKey(item.id): used(d2="1") for item in products}
    for order, expected in [((), [2, 4, 3, 1]), ((UUID(int=1), UUID(int=4)), [1, 4, 2, 3])]:
        lines = rated(terms(*rates, products=products, order=order), usage).lines
        assert [line.product_id for line in lines] == [UUID(int=number) for number in expected]


@pytest.mark.parametrize(
    ("period", "usage", "message"),
    [
        (Period(day("12-01"), day("12-31") + HOUR), {}, "inside its contract"),
        (JANUARY, {UsageKey(UUID(int=9)): used(d2="1")}, "product of the terms"),
        (JANUARY, {UsageKey(A): [HourQuantity(day("02-01"), D(1))]}, "lie inside it"),
        (JANUARY, {UsageKey(A): [HourQuantity(day("01-01") - HOUR, D(1))]}, "lie inside it"),
    ],
)
def test_inputs_that_do_not_fit_are_our_mistake(
    period: Period, usage: dict[UsageKey, list[HourQuantity]], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        rate_statement(terms(entry(1, flat("1"))), period, usage)


def test_a_change_of_how_a_product_is_measured_cuts_every_line() -> None:
    changed = replace(DATA, versions=(ProductVersion(day("01-16"), DATA.id),))
    agreed = terms(entry(1, flat("1")), products=(CALLS, changed))
    assert [shown(line) for line in rated(agreed, {UsageKey(A): used(d2="1", d20="2")}).lines] == [
        "calls 1@1=1 01-01..01-16",
        "calls 2@1=2 01-16..02-01",
    ]


@given(usages, st.randoms(use_true_random=False))
def test_no_order_of_inputs_plays_a_role(usage: dict[UsageKey, list[HourQuantity]], random: Random) -> None:
    rates, products, keys = list(AGREED.rates), list(AGREED.products), list(usage)
    for items in (rates, products, keys):
        random.shuffle(items)
    shuffled = {key: random.sample(usage[key], len(usage[key])) for key in keys}
    agreed = replace(AGREED, rates=tuple(rates), products=tuple(products))
    assert rated(agreed, shuffled) == rated(AGREED, usage)


@given(usages)
def test_one_bucket_or_many_make_no_difference(usage: dict[UsageKey, list[HourQuantity]]) -> None:
    halved = {
        key: [HourQuantity(item.hour, part) for item in hours for part in (item.quantity - 1, D(1))]
        for key, hours in usage.items()
    }
    assert rated(AGREED, halved) == rated(AGREED, usage)


@given(usages)
def test_all_usage_is_billed_unrated_or_not_entitled(usage: dict[UsageKey, list[HourQuantity]]) -> None:
    found = rated(AGREED, usage)
    accounted = sum((line.quantity or D(0) for line in found.lines), D(0))
    accounted += sum((item.quantity for item in found.unrated), D(0))
    free_since = day("01-20")
    accounted += sum((item.quantity for item in usage.get(UsageKey(B), []) if item.hour >= free_since), D(0))
    assert accounted == sum((item.quantity for hours in usage.values() for item in hours), D(0))
    assert all(line.amount == (line.quantity or D(0)) * (line.unit_price or D(0)) for line in found.lines)
    assert all(line.quantity for line in found.lines)


@given(usages)
def test_a_change_that_changes_nothing_moves_no_money(usage: dict[UsageKey, list[HourQuantity]]) -> None:
    hidden = replace(entry(0, flat("9"), "01-05", "01-07"), id=UUID(int=6))
    split = replace(AGREED, rates=(hidden, *AGREED.rates))
    total = sum((line.amount for line in rated(AGREED, usage).lines), D(0))
    assert sum((line.amount for line in rated(split, usage).lines), D(0)) == total


def test_tiers_begin_anew_with_other_group_keys_and_go_on_when_they_return() -> None:
    """6 calls by region, 6 without, 6 by region again: tiers count for each region, and for all together."""
    by_key = product(1, "calls", pricing_group_key=("region",))
    versions = (
        ProductVersion(day("01-10"), by_key.id),
        ProductVersion(day("01-20"), by_key.id, pricing_group_key=("region",)),
    )
    agreed = terms(entry(1, FREE_THEN_PAID), products=(replace(by_key, versions=versions),))
    usage = {by_region("eu"): used(d2="6", d21="6"), UsageKey(A): used(d11="6")}
    found = rate_statement(agreed, JANUARY, usage).lines
    assert [(dict(line.pricing), line.tier.level, f"{line.starting_at:%d}", line.amount) for line in found if line.tier] == [
        ({}, 1, "10", 0), ({}, 2, "10", 1),
        ({"region": "eu"}, 1, "01", 0), ({"region": "eu"}, 2, "01", 1),
        ({"region": "eu"}, 2, "20", 4), ({"region": "eu"}, 3, "20", 3),
    ]  # fmt: skip
