"""Percentages: of other products' charges, and of usage that is money."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.breakdown import WindowSize, break_down
from app.core.composite import composite_from_json, composite_to_json, includes
from app.core.lines import Line
from app.core.metering import HourQuantity
from app.core.money import canonical
from app.core.overrides import overridden_slices
from app.core.period import SINCE_EVER, Period
from app.core.quantities import UsageKey
from app.core.rates import Percentage, Rate, Tier, TieredPercentage, rate_from_json, rate_to_json
from app.core.rating import rate_statement
from app.core.terms import (
    Composite,
    CompositeScope,
    MoneyOf,
    Multiplier,
    MultiplierTier,
    Override,
    Overwrite,
    Product,
    ProductType,
    RateEntry,
    Specifier,
    TieredMultiplier,
)
from tests.core.agreements import AGREED, CALLS, DATA, JANUARY, A, B, day, entry, flat, terms, usages, used

D = Decimal
U = UUID(int=9)
UPLIFT = Product(U, "uplift", ProductType.COMPOSITE, None, composite=Composite((A,), ("core",)))
CORE_DATA = replace(DATA, tags=("core", "other"))


def percent(fraction: str) -> Percentage:
    return Percentage(D(fraction))


def by_band(*tiers: tuple[str | None, str]) -> TieredPercentage:
    return TieredPercentage(tuple(Tier(None if size is None else D(size), D(price)) for size, price in tiers))


def shown(line: Line) -> str:
    """type product quantity@price=amount and the days"""
    assert line.quantity is not None
    assert line.unit_price is not None
    tier = f" t{line.tier.level}" if line.tier else ""
    price = f"{canonical(line.quantity)}@{canonical(line.unit_price)}={canonical(line.amount)}"
    return f"{line.type} {line.product_name}{tier} {price} {line.starting_at:%d}..{line.ending_before:%d}"


@pytest.mark.parametrize(
    ("rates", "usage", "composite"),
    [
        pytest.param([entry(9, percent("0.1"), product_id=U)], {A: used(d2="100")}, ["10@0.1=1 01..01"], id="ten per cent"),
        pytest.param([entry(9, percent("1.5"), product_id=U)], {A: used(d2="100")}, ["10@1.5=15 01..01"], id="above 100 %"),
        pytest.param(
            [entry(9, percent("0.1"), product_id=U)], {A: used(d2="100"), B: used(d3="50")}, ["20@0.1=2 01..01"],
            id="by id and by tag",
        ),
        pytest.param(
            [entry(9, percent("0.1"), product_id=U), entry(8, flat("5"), "01-20", product_id=B)],
            {A: used(d2="100", d21="100")}, ["20@0.1=2 01..01"], id="put together over phases",
        ),
        pytest.param(
            [entry(9, percent("0.1"), product_id=U), entry(10, percent("0.2"), "01-16", product_id=U)],
            {A: used(d2="100", d21="100")}, ["10@0.1=1 01..16", "10@0.2=2 16..01"], id="for each price",
        ),
        pytest.param(
            [entry(9, by_band(("15", "0.1"), (None, "0.05")), product_id=U), entry(8, flat("5"), "01-20", product_id=B)],
            {A: used(d2="100", d21="100")}, [" t1 15@0.1=1.5 01..01", " t2 5@0.05=0.25 20..01"], id="bands of spend",
        ),
        pytest.param(
            [entry(9, percent("0.1"), product_id=U)], {A: used(d2="100", d3="-100")}, [], id="no spend, no line",
        ),
        pytest.param(
            [entry(9, percent("0.1"), product_id=U), entry(8, flat("5"), "01-20", product_id=B)],
            {A: used(d2="100", d21="-100")}, [], id="no spend after all",
        ),
        pytest.param([], {A: used(d2="100")}, [], id="no rate, and nothing unrated"),
        pytest.param(
            [entry(9, percent("0.1"), product_id=U, entitled=False)], {A: used(d2="100")}, [], id="not entitled",
        ),
    ],
)  # fmt: skip
def test_a_percentage_of_other_charges(
    rates: list[RateEntry], usage: dict[UUID, list[HourQuantity]], composite: list[str]
) -> None:
    agreed = terms(
        entry(1, flat("0.1")), entry(2, flat("0.2"), product_id=B), *rates, products=(CALLS, CORE_DATA, UPLIFT)
    )
    found = rate_statement(agreed, JANUARY, {UsageKey(product_id): hours for product_id, hours in usage.items()})
    lines = [shown(line) for line in found.lines if line.type == "composite"]
    assert lines == [f"composite uplift{part if part[0] == ' ' else ' ' + part}" for part in composite]
    assert found.unrated == ()


def test_only_usage_products_count_by_id_or_any_tag() -> None:
    assert includes(UPLIFT, CALLS)
    assert includes(UPLIFT, CORE_DATA)
    assert not includes(UPLIFT, DATA)
    assert not includes(UPLIFT, replace(UPLIFT, id=A, tags=("core",)))


def test_an_override_of_the_percentage() -> None:
    half = Override(UUID(int=5), Period(SINCE_EVER), (Specifier(product_id=U),), Multiplier(D("0.5")), None, None, 1)
    agreed = terms(entry(1, flat("1")), entry(9, percent("0.1"), product_id=U), products=(CALLS, UPLIFT))
    lines = rate_statement(replace(agreed, overrides=(half,)), JANUARY, {UsageKey(A): used(d2="10")}).lines
    assert [shown(line) for line in lines] == ["usage calls 10@1=10 01..01", "composite uplift 10@0.05=0.5 01..01"]


@pytest.mark.parametrize(
    ("money", "rate", "currency", "billed"),
    [
        (MoneyOf("USD"), percent("0.1"), None, True),
        (MoneyOf("EUR"), percent("0.1"), None, False),
        (MoneyOf(currency_property="currency"), percent("0.1"), "USD", True),
        (MoneyOf(currency_property="currency"), by_band((None, "0.1")), "EUR", False),
        (MoneyOf(currency_property="currency"), percent("0.1"), None, False),
        (MoneyOf(currency_property="currency"), flat("0.1"), "EUR", True),
        (None, percent("0.1"), "EUR", True),
    ],
)
def test_money_of_another_currency_is_unrated_and_never_converted(
    money: MoneyOf | None, rate: Rate, currency: str | None, billed: bool
) -> None:
    agreed = terms(entry(1, rate), products=(replace(CALLS, money=money),))
    found = rate_statement(agreed, JANUARY, {UsageKey(A, (("currency", currency),)): used(d2="1000")})
    assert [line.amount for line in found.lines] == ([100] if billed else [])
    assert [item.quantity for item in found.unrated] == ([] if billed else [1000])


def test_an_overwrite_decides_what_a_quantity_must_be() -> None:
    agreed = terms(entry(1, flat("1")), entry(2, flat("2"), "01-16"), products=(replace(CALLS, money=MoneyOf("EUR")),))
    own = Override(UUID(int=5), Period(SINCE_EVER), (Specifier(),), Overwrite(percent("0.5")), None, None, 1)
    found = rate_statement(replace(agreed, overrides=(own,)), JANUARY, {UsageKey(A): used(d2="1", d20="2")})
    assert (found.lines, [item.quantity for item in found.unrated]) == ((), [3])


@pytest.mark.parametrize("rate", [percent("1.5"), by_band(("10000", "0.1"), (None, "0.07"))])
def test_the_stored_form_and_multipliers_of_a_percentage(rate: Percentage | TieredPercentage) -> None:
    assert rate_from_json(rate_to_json(rate)) == rate
    plain = overridden_slices(rate, None, before=D(0), quantity=D(20000))
    for change in (Multiplier(D("0.5")), TieredMultiplier((MultiplierTier(None, D("0.5")),))):
        halved = overridden_slices(rate, change, before=D(0), quantity=D(20000))
        assert [part.amount for part in halved] == [part.amount / 2 for part in plain]
        assert [part.level for part in halved] == [part.level for part in plain]


def test_definitions_that_make_no_sense() -> None:
    for make, message in (
        (lambda: percent("-0.1"), "0 or more"),
        (lambda: by_band(), "at least one"),
        (lambda: Composite(), "products or tags"),
        (lambda: MoneyOf(), "not both"),
        (lambda: MoneyOf("USD", "currency"), "not both"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@given(usages, st.sampled_from(WindowSize))
def test_the_base_is_what_was_charged_and_windows_add_up(
    usage: dict[UsageKey, list[HourQuantity]], size: WindowSize
) -> None:
    agreed = replace(
        AGREED,
        products=(*AGREED.products, replace(UPLIFT, composite=Composite((A, B)))),
        rates=(
            *AGREED.rates,
            entry(9, percent("0.25"), product_id=U),
            entry(10, percent("0.5"), "01-25", product_id=U),
        ),
    )
    lines = rate_statement(agreed, JANUARY, usage).lines
    base = sum((line.quantity or D(0) for line in lines if line.type == "composite"), D(0))
    assert base == sum((line.amount for line in lines if line.type == "usage"), D(0))
    windows = break_down(agreed, JANUARY, usage, size=size, is_final=False)
    assert sum((window.total for window in windows), D(0)) == sum((line.amount for line in lines), D(0))
    assert day("01-25") not in {
        line.starting_at for line in lines if line.type == "composite" and line.unit_price == D("0.25")
    }


@pytest.mark.parametrize("composite", [Composite((A,), ("core",)), Composite(tags=("x",), exclude_free_usage=True)])
@pytest.mark.parametrize("scope", CompositeScope)
def test_the_stored_form_of_a_composite(composite: Composite, scope: CompositeScope) -> None:
    whole = replace(composite, scope=scope)
    assert composite_from_json(json.loads(json.dumps(composite_to_json(whole)))) == whole
