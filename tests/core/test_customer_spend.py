"""Composite products of the whole customer: what other contracts add, who bills, and that windows add up.

The contract at hand has calls at 1 and a surcharge of ten per cent on everything tagged core; the other contract has data.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.breakdown import WindowSize, break_down
from app.core.customer_spend import OtherStatement, counts_customer, elsewhere_of
from app.core.elsewhere import Elsewhere, SpentHour, elsewhere_from_json, elsewhere_to_json
from app.core.metering import HourQuantity
from app.core.money import canonical, fiat
from app.core.period import HOUR, SINCE_EVER, Period
from app.core.quantities import UsageKey
from app.core.rates import Percentage
from app.core.rating import Rating, rate_statement
from app.core.terms import (
    Composite,
    CompositeScope,
    Multiplier,
    Naming,
    Override,
    Product,
    ProductType,
    RateEntry,
    Specifier,
    Terms,
)
from tests.core.agreements import CALLS, DATA, JANUARY, A, B, D, day, entry, flat, hour_lists, terms, tiered, used

FEE = UUID(int=9)
CORE = Composite(tags=("core",), scope=CompositeScope.CUSTOMER)
SURCHARGE = Product(FEE, "surcharge", ProductType.COMPOSITE, None, composite=CORE)
CALLS, DATA = replace(CALLS, tags=("core",)), replace(DATA, tags=("core",))
TEN = entry(9, Percentage(D("0.1")), product_id=FEE)
MINE = terms(entry(1, flat("1")), TEN, products=(CALLS, SURCHARGE))
DECEMBER = datetime(2024, 12, 15, tzinfo=UTC)
MY_USAGE = {UsageKey(A): used(d2="100", d20="100")}


def data(*rates: RateEntry, product: Product = DATA, **parts: object) -> Terms:
    """The other contract: data at 2, tagged core."""
    return replace(terms(*(rates or (entry(2, flat("2"), product_id=B),)), products=(product,)), **parts)


def other(
    agreed: Terms, hours: list[HourQuantity], *, period: Period = JANUARY, goes_first: bool = False
) -> OtherStatement:
    return OtherStatement(agreed, period, {UsageKey(B): hours}, goes_first)


def rated(*others: OtherStatement, agreed: Terms = MINE) -> Rating:
    return rate_statement(replace(agreed, elsewhere=elsewhere_of(agreed, JANUARY, others)), JANUARY, MY_USAGE)


def surcharge(found: Rating) -> list[str]:
    """base@fraction of each composite line, and what has no price"""
    lines = [line for line in found.lines if line.type in ("composite", "minimum")]
    shown = [f"{canonical(line.quantity or D(0))}@{canonical(line.unit_price or D(0))} {line.unit}" for line in lines]
    return shown + [f"{canonical(item.quantity)} {dict(item.key.pricing)['unit']} unrated" for item in found.unrated]


HALF = Override(UUID(int=5), Period(SINCE_EVER), (Specifier(product_id=B),), Multiplier(D("0.5")), None, None, 1)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([], ["200@0.1 USD"], id="no other contract"),
        pytest.param([other(data(), used(d3="50"))], ["300@0.1 USD"], id="what the other was charged counts"),
        pytest.param([other(data(overrides=(HALF,)), used(d3="50"))], ["250@0.1 USD"], id="after its overrides"),
        pytest.param(
            [other(data(), used(d3="50")), other(data(), used(d4="25"))], ["350@0.1 USD"], id="two other contracts",
        ),
        pytest.param([other(data(), used(d3="50", d4="-50"))], ["200@0.1 USD"], id="what was taken back"),
        pytest.param([other(data(product=replace(DATA, tags=())), used(d3="50"))], ["200@0.1 USD"], id="no such tag"),
        pytest.param(
            [other(data(product=replace(DATA, namings=(Naming(day("01-10"), "data", ()),))), used(d3="50", d11="50"))],
            ["300@0.1 USD"], id="by the tags of the hour",
        ),
        pytest.param(
            [other(data(entry(2, tiered(("10", "2"), (None, "1")), product_id=B)),
                   [*used(d2="4"), HourQuantity(DECEMBER + 24 * HOUR, D(8))],
                   period=Period(DECEMBER, day("01-15")))],
            ["206@0.1 USD"], id="tiers count from the start of the other statement, hours only of this one",
        ),
        pytest.param(
            [other(data(unit=fiat("EUR")), used(d3="50"))], ["200@0.1 USD", "100 EUR unrated"], id="another currency",
        ),
        pytest.param([other(data(entry(2, flat("2"), product_id=B, entitled=False)), used(d3="5"))], ["200@0.1 USD"], id="not billed"),
    ],
)  # fmt: skip
def test_the_base_is_that_of_the_customer(others: list[OtherStatement], expected: list[str]) -> None:
    assert surcharge(rated(*others)) == expected


def test_custom_units_are_billed_where_the_card_converts_them() -> None:
    tokens = replace(entry(2, flat("2"), product_id=B), unit="TOKENS")
    found = rated(other(data(tokens), used(d3="50")), agreed=replace(MINE, conversions=(("TOKENS", D("0.5")),)))
    assert surcharge(found) == ["100@0.1 TOKENS", "200@0.1 USD"]
    assert [canonical(line.amount) for line in found.lines if line.type == "cpu_conversion"] == ["5"]
    assert surcharge(rated(other(data(tokens), used(d3="50")))) == ["200@0.1 USD", "100 TOKENS unrated"]


BOTH = replace(data(entry(2, flat("2"), product_id=B), TEN), products=(DATA, SURCHARGE))


@pytest.mark.parametrize(
    ("agreed", "expected"),
    [
        pytest.param(BOTH, [], id="the other bills all of it"),
        pytest.param(
            replace(BOTH, rates=(*BOTH.rates[:1], replace(TEN, period=Period(day("01-10"))))), ["200@0.1 USD"],
            id="from when it is entitled: 100 of mine and 100 of its own come before",
        ),
        pytest.param(
            replace(BOTH, rates=(*BOTH.rates[:1], replace(TEN, entitled=False))), ["300@0.1 USD"], id="not entitled",
        ),
        pytest.param(
            replace(BOTH, products=(DATA, replace(SURCHARGE, composite=Composite(tags=("core",))))), ["300@0.1 USD"],
            id="it bills only its own",
        ),
        pytest.param(
            replace(BOTH, elsewhere=(Elsewhere(FEE, (), (JANUARY,)),)), ["300@0.1 USD"], id="it left it to this one",
        ),
        pytest.param(
            replace(BOTH, elsewhere=(Elsewhere(FEE, (), (Period(day("01-10"), day("02-01")),)),)), ["100@0.1 USD"],
            id="it left a part to this one",
        ),
    ],
)  # fmt: skip
def test_one_contract_bills_where_several_are_entitled(agreed: Terms, expected: list[str]) -> None:
    assert surcharge(rated(other(agreed, used(d3="50"), goes_first=True))) == expected
    assert surcharge(rated(other(agreed, used(d3="50")))) == ["300@0.1 USD"], "the one that goes first"


def test_where_another_bills_is_told_without_seams() -> None:
    dearer = entry(10, Percentage(D("0.2")), "01-10", "01-12", product_id=FEE)
    seamed = replace(BOTH, rates=(*BOTH.rates, dearer))
    parts = [
        other(seamed, [], goes_first=True),
        other(BOTH, [], period=Period(day("01-05"), day("01-20")), goes_first=True),
    ]
    assert elsewhere_of(MINE, JANUARY, parts) == (Elsewhere(FEE, (), (JANUARY,)),)


def test_another_statement_that_lies_beside_this_one_bills_nothing_of_it() -> None:
    beside = other(BOTH, [], period=Period(day("02-01"), day("03-01")), goes_first=True)
    assert surcharge(rated(beside)) == ["200@0.1 USD"]


@pytest.mark.parametrize(
    ("others", "amounts"),
    [
        pytest.param([], [], id="nothing was spent"),
        pytest.param([other(data(), used(d3="50"))], [50], id="spent on another contract"),
        pytest.param([other(BOTH, used(d3="50"), goes_first=True)], [], id="billed by another"),
        pytest.param(
            [other(replace(BOTH, rates=(*BOTH.rates[:1], replace(TEN, period=Period(day("01-10"))))), used(d13="50"), goes_first=True)],
            [], id="spent where another bills it",
        ),
    ],
)  # fmt: skip
def test_a_minimum_needs_spend_of_the_customer(others: list[OtherStatement], amounts: list[int]) -> None:
    least = replace(TEN, minimum=D(50), rate=Percentage(D(0)))
    excluding = replace(SURCHARGE, composite=replace(CORE, exclude_free_usage=True))
    agreed = replace(MINE, rates=(entry(1, flat("0")), least), products=(CALLS, excluding))
    lines = rated(*others, agreed=agreed).lines
    assert [line.amount for line in lines if line.type == "minimum"] == amounts


def test_only_products_that_ask_count_the_customer() -> None:
    own = replace(SURCHARGE, composite=replace(CORE, scope=CompositeScope.CONTRACT))
    later = replace(own, namings=(Naming(day("01-10"), "surcharge", (), CORE),))
    assert counts_customer(MINE, JANUARY)
    assert not counts_customer(replace(MINE, products=(CALLS, own)), JANUARY)
    assert counts_customer(replace(MINE, products=(CALLS, later)), JANUARY)
    assert not counts_customer(replace(MINE, products=(CALLS, later)), Period(day("01-01"), day("01-10")))
    found = rated(other(data(), used(d3="50", d13="25")), agreed=replace(MINE, products=(CALLS, later)))
    assert surcharge(found) == ["250@0.1 USD"]


def test_the_stored_form() -> None:
    whole = Elsewhere(FEE, (SpentHour(day("01-02"), "USD", D("1.5")),), (JANUARY, Period(day("03-01"))))
    assert elsewhere_from_json(json.loads(json.dumps(elsewhere_to_json(whole)))) == whole


@given(hour_lists, hour_lists, st.booleans(), st.sampled_from(WindowSize))
def test_two_contracts_that_count_each_other_bill_everything_once_and_windows_add_up(
    mine: list[HourQuantity], theirs: list[HourQuantity], mine_first: bool, size: WindowSize
) -> None:
    statements = [(MINE, {UsageKey(A): mine}), (BOTH, {UsageKey(B): theirs})]
    base = D(0)
    for place, (agreed, usage) in enumerate(statements):
        against, of_other = statements[1 - place]
        first = mine_first is (place == 1)
        found = elsewhere_of(agreed, JANUARY, [OtherStatement(against, JANUARY, of_other, goes_first=first)])
        whole = replace(agreed, elsewhere=found)
        lines = rate_statement(whole, JANUARY, usage).lines
        base += sum((line.quantity or D(0) for line in lines if line.type == "composite"), D(0))
        windows = break_down(whole, JANUARY, usage, size=size, is_final=False)
        assert sum((window.total for window in windows), D(0)) == sum((line.amount for line in lines), D(0))
    assert base == sum((item.quantity for item in mine), D(0)) + 2 * sum((item.quantity for item in theirs), D(0))
