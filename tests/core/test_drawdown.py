"""Balances paying charges: splits, commit rates, overrides for some balances, fees, percentages and custom units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.breakdown import WindowSize, break_down
from app.core.grants import Grant, Pot
from app.core.invoice import assemble
from app.core.lines import Line, LineType
from app.core.metering import HourQuantity
from app.core.period import SINCE_EVER, Period
from app.core.quantities import UsageKey
from app.core.rates import Package, Percentage, Rate, Tier, Volume
from app.core.rating import Rating, rate_fees, rate_statement
from app.core.terms import (
    Composite,
    Multiplier,
    MultiplierTier,
    Naming,
    Override,
    OverridePriority,
    Overwrite,
    PriceChange,
    Product,
    ProductType,
    RateEntry,
    RateTarget,
    Specifier,
    Terms,
    TieredMultiplier,
)
from tests.core.agreements import (
    AGREED,
    CALLS,
    DATA,
    FREE_THEN_PAID,
    JANUARY,
    A,
    B,
    day,
    entry,
    flat,
    terms,
    tiered,
    usages,
    used,
)  # fmt: skip
from tests.core.balances import CREDIT, POSTPAID, PREPAID, grant, pots, spelled

D = Decimal
COMMIT_RATE = RateTarget.COMMIT_RATE
U = UUID(int=9)
SUPPORT = Product(U, "support", ProductType.COMPOSITE, None, composite=Composite((), ("core",)))


def priced(added: int, rate: Rate, commit_rate: Rate | None = None, **parts: Any) -> RateEntry:
    return replace(entry(added, rate, **parts), commit_rate=commit_rate)


def change(
    number: int, what: PriceChange | None, *specifiers: Specifier, priority: int | None = None, **parts: Any
) -> Override:
    period = Period(SINCE_EVER, None)
    reach = specifiers or (Specifier(),)
    return Override(UUID(int=number), period, reach, what, None, priority, number, **parts)


def for_commits(number: int, what: PriceChange, *specifiers: Specifier, **parts: Any) -> Override:
    return change(number, what, *specifiers, is_commit_specific=True, **parts)


def rated(
    agreed: Terms, usage: dict[UUID, list[HourQuantity]], *balances: Grant, fees: Sequence[Line] = (), **left: str
) -> Rating:
    by_key = {UsageKey(product_id): hours for product_id, hours in usage.items()}
    return rate_statement(agreed, JANUARY, by_key, pots=pots(*balances, **left), fees=fees)


def left_of(rating: Rating, given: Sequence[Pot]) -> dict[UUID, Decimal]:
    drawn = {draw.pot.grant_id: draw.amount for draw in rating.draws}
    return {pot.grant.id: pot.available - drawn.get(pot.grant.id, D(0)) for pot in given}


ONE_DOLLAR = terms(entry(1, flat("1")))
COMMITTED = grant(1, PREPAID, rate_type=COMMIT_RATE)


@pytest.mark.parametrize(
    ("agreed", "usage", "balances", "left", "lines"),
    [
        pytest.param(
            ONE_DOLLAR, {A: used(d2="80")}, [grant(1)], {"g1_0": "50"},
            ["usage calls g1/0 50@1=50", "applied to usage calls g1/0 -50", "usage calls 30@1=30"], id="prepaid pays a part",
        ),
        pytest.param(
            ONE_DOLLAR, {A: used(d2="80")}, [grant(1)], {},
            ["usage calls g1/0 80@1=80", "applied to usage calls g1/0 -80"], id="pays all",
        ),
        pytest.param(ONE_DOLLAR, {A: used(d2="80")}, [grant(1)], {"g1_0": "0"}, ["usage calls 80@1=80"], id="empty"),
        pytest.param(ONE_DOLLAR, {A: used(d2="80")}, [grant(1)], {"g1_0": "-3"}, ["usage calls 80@1=80"], id="below zero"),
        pytest.param(ONE_DOLLAR, {A: used(d2="80")}, [grant(1, unit="EUR")], {}, ["usage calls 80@1=80"], id="another unit"),
        pytest.param(ONE_DOLLAR, {A: used(d2="8")}, [grant(1, product_ids=(B,))], {}, ["usage calls 8@1=8"], id="another product"),
        pytest.param(
            ONE_DOLLAR, {A: used(d2="500")}, [grant(1, POSTPAID), grant(2, PREPAID)], {"g1_0": "400", "g2_0": "400"},
            ["usage calls g2/0 400@1=400", "applied to usage calls g2/0 -400",
             "usage calls g1/0 100@1=100", "(applied to usage calls g1/0 -100)"], id="postpaid counts and takes nothing off",
        ),
        pytest.param(
            terms(entry(1, flat("3"))), {A: used(d2="40")}, [grant(1)], {},
            ["usage calls g1/0 33.333333333333@3=100", "applied to usage calls g1/0 -100",
             "usage calls 6.666666666667@3=20.000000000001"], id="an amount that does not divide",
        ),
        pytest.param(
            terms(entry(1, flat("3")), entry(2, flat("4"), "01-16")), {A: used(d10="40", d20="-10")}, [grant(1)], {},
            ["usage calls g1/0 33.333333333333@3=100", "applied to usage calls g1/0 -100",
             "usage calls 6.666666666667@3=20.000000000001", "usage calls -10@4=-40"], id="no look-ahead, nothing negative",
        ),
        pytest.param(
            terms(entry(1, FREE_THEN_PAID)), {A: used(d2="11")}, [grant(1)], {"g1_0": "3"},
            ["usage calls t2 g1/0 1.5@1=1.5", "usage calls t3 g1/0 1@1.5=1.5", "applied to usage calls t2 g1/0 -1.5",
               "applied to usage calls t3 g1/0 -1.5", "usage calls t1 5@0=0", "usage calls t2 3.5@1=3.5"],
            id="the dearer tier first, free ones not at all",
        ),
        pytest.param(
            terms(entry(1, flat("1"))), {A: used(d5="30", d15="10", d25="70")},
            [grant(1, segments=(("50", "01-01", "01-11"), ("50", "01-21", "01-31")))], {},
            ["usage calls g1/0 30@1=30", "applied to usage calls g1/0 -30", "usage calls 10@1=10",
             "usage calls g1/1 50@1=50", "applied to usage calls g1/1 -50", "usage calls 20@1=20"], id="each segment is a pot",
        ),
        pytest.param(
            terms(priced(1, flat("10"), flat("8"))), {A: used(d2="10")}, [COMMITTED], {"g1_0": "40"},
            ["usage calls g1/0 5@8=40", "applied to usage calls g1/0 -40", "usage calls 5@10=50"], id="commit rate, then list",
        ),
        pytest.param(
            terms(priced(1, flat("10"), flat("8"))), {A: used(d2="10")}, [grant(1)], {"g1_0": "40"},
            ["usage calls g1/0 4@10=40", "applied to usage calls g1/0 -40", "usage calls 6@10=60"], id="not asked for",
        ),
        pytest.param(
            terms(priced(1, tiered(("100", "10"), (None, "8")), tiered(("100", "6"), (None, "5")))), {A: used(d2="120")},
            [COMMITTED], {"g1_0": "480"},
            ["usage calls t1 g1/0 80@6=480", "applied to usage calls t1 g1/0 -480",
             "usage calls t1 20@10=200", "usage calls t2 20@8=160"], id="tier position is shared",
        ),
        pytest.param(
            terms(priced(1, tiered(("10", "10"), (None, "8")), flat("5"))), {A: used(d2="20")}, [COMMITTED], {},
            ["usage calls g1/0 20@5=100", "applied to usage calls g1/0 -100"], id="neighbours at one price are one line",
        ),
        pytest.param(
            terms(priced(1, flat("9"), tiered(("4", "0"), (None, "5")))), {A: used(d2="10")}, [COMMITTED], {},
            ["usage calls t2 g1/0 6@5=30", "applied to usage calls t2 g1/0 -30", "usage calls 4@9=36"],
            id="what a commit gives for nothing draws nothing",
        ),
        pytest.param(
            terms(priced(1, flat("10"), tiered(("4", "8"), (None, "2")))), {A: used(d2="10")},
            [COMMITTED, grant(2, PREPAID, rate_type=COMMIT_RATE)], {"g1_0": "16"},
            ["usage calls t1 g1/0 2@8=16", "applied to usage calls t1 g1/0 -16", "usage calls t1 g2/0 2@8=16",
             "usage calls t2 g2/0 6@2=12", "applied to usage calls t1 g2/0 -16", "applied to usage calls t2 g2/0 -12"],
            id="the second balance goes on in the tiers where the first one ended",
        ),
        pytest.param(
            terms(priced(1, flat("9"), tiered(("2", "0"), ("2", "0"), (None, "5")))), {A: used(d2="10")},
            [COMMITTED, grant(2)], {"g1_0": "5", "g2_0": "45"},
            ["usage calls t3 g1/0 1@5=5", "applied to usage calls t3 g1/0 -5",
             "usage calls g2/0 5@9=45", "applied to usage calls g2/0 -45", "usage calls 4@9=36"],
            id="another balance pays what was left open",
        ),
    ],
)  # fmt: skip
def test_what_balances_pay(
    agreed: Terms, usage: dict[UUID, list[HourQuantity]], balances: list[Grant], left: dict[str, str], lines: list[str]
) -> None:
    assert spelled(rated(agreed, usage, *balances, **left).lines) == lines


def with_overrides(*overrides: Override, commit_rate: Rate | None = None, priority: str = "LOWEST_MULTIPLIER") -> Terms:
    return replace(
        terms(priced(1, flat("10"), commit_rate)), overrides=overrides, override_priority=OverridePriority(priority)
    )


A_ONLY = Specifier(product_id=A, grant_ids=(UUID(int=1001),))
TWENTY_OFF, HALF = Multiplier(D("0.8")), Multiplier(D("0.5"))


@pytest.mark.parametrize(
    ("agreed", "balances", "paid", "due"),
    [
        # ten units at a list price of 10, and a balance of 40
        pytest.param(with_overrides(change(1, TWENTY_OFF)), [grant(1)], "5@8=40", "5@8=40", id="an ordinary one holds for both"),
        pytest.param(with_overrides(for_commits(1, TWENTY_OFF)), [grant(1)], "5@8=40", "5@10=50", id="for what is drawn only"),
        pytest.param(with_overrides(for_commits(1, TWENTY_OFF, A_ONLY)), [grant(1)], "5@8=40", "5@10=50", id="for one balance"),
        pytest.param(with_overrides(for_commits(1, TWENTY_OFF, A_ONLY)), [grant(2)], "4@10=40", "6@10=60", id="for another"),
        pytest.param(
            with_overrides(for_commits(1, TWENTY_OFF, Specifier(recurring_ids=(UUID(int=7),)))),
            [grant(1, recurring_id=UUID(int=7))], "5@8=40", "5@10=50", id="for children of a recurring one",
        ),
        pytest.param(
            with_overrides(for_commits(1, TWENTY_OFF, Specifier(recurring_ids=(UUID(int=7),)))), [grant(1)],
            "4@10=40", "6@10=60", id="for children, and not for a balance that is none",
        ),
        pytest.param(
            with_overrides(for_commits(1, TWENTY_OFF, Specifier(recurring_ids=(UUID(int=7),)))),
            [grant(1, recurring_id=UUID(int=8))], "4@10=40", "6@10=60", id="for children of another",
        ),
        pytest.param(
            with_overrides(change(1, HALF), for_commits(2, TWENTY_OFF)), [grant(1)], "5@8=40", "5@5=25",
            id="of the list price, not of the overridden one",
        ),
        pytest.param(
            with_overrides(for_commits(1, Overwrite(flat("4"))), for_commits(2, TWENTY_OFF)), [grant(1)],
            "10@4=40", None, id="an overwrite goes first",
        ),
        pytest.param(
            with_overrides(for_commits(1, HALF, priority=2), for_commits(2, TWENTY_OFF, priority=1), priority="EXPLICIT"),
            [grant(1)], "5@8=40", "5@10=50", id="by explicit priority",
        ),
        pytest.param(
            with_overrides(for_commits(1, HALF, target=COMMIT_RATE), change(2, TWENTY_OFF), commit_rate=flat("8")),
            [COMMITTED], "10@4=40", None, id="on the commit rate",
        ),
        pytest.param(
            with_overrides(for_commits(1, HALF), commit_rate=flat("8")), [COMMITTED], "5@8=40", "5@10=50",
            id="on the list rate, which is not used",
        ),
        pytest.param(
            with_overrides(for_commits(1, HALF, target=COMMIT_RATE)), [COMMITTED], "4@10=40", "6@10=60",
            id="on a commit rate that there is not",
        ),
    ],
)  # fmt: skip
def test_prices_for_what_is_drawn(agreed: Terms, balances: list[Grant], paid: str, due: str | None) -> None:
    lines = spelled(rated(agreed, {A: used(d2="10")}, *balances, g1_0="40", g2_0="40").lines)
    name = f"g{balances[0].id.int - 1000}/0"
    expected = [f"usage calls {name} {paid}", f"applied to usage calls {name} -40"]
    assert lines == expected + ([] if due is None else [f"usage calls {due}"])


def test_a_line_names_the_override_that_set_its_price() -> None:
    agreed = with_overrides(change(1, HALF), for_commits(2, TWENTY_OFF))
    lines = rated(agreed, {A: used(d2="10")}, grant(1), g1_0="40").lines
    assert [line.override_id and line.override_id.int for line in lines] == [2, None, 1]
    lines = rated(with_overrides(change(1, HALF)), {A: used(d2="10")}, grant(1), g1_0="40").lines
    assert [line.override_id and line.override_id.int for line in lines] == [1, None, 1]


def test_a_commit_specific_override_neither_prices_nor_entitles_other_usage() -> None:
    hidden = terms(replace(entry(1, flat("10")), entitled=False))
    agreed = replace(hidden, overrides=(replace(for_commits(1, HALF), entitled=True),))
    assert rated(agreed, {A: used(d2="10")}, grant(1)).lines == ()


VOLUME = Volume((Tier(D(10), D(4)), Tier(None, D(3))))
PACKAGES = Package(D(10), D(7))


@pytest.mark.parametrize(
    ("rate", "overrides", "lines"),
    [
        pytest.param(VOLUME, (), ["usage calls t2 g1/0 10@3=30", "applied to usage calls t2 g1/0 -30", "usage calls t2 2@3=6"], id="volume"),
        pytest.param(
            VOLUME, (for_commits(1, HALF),),
            ["usage calls t2 g1/0 12@1.5=18", "applied to usage calls t2 g1/0 -18"], id="volume, half for commits",
        ),
        pytest.param(
            VOLUME, (for_commits(1, TieredMultiplier((MultiplierTier(None, D("0.5")),)), priority=1),),
            ["usage calls t2 g1/0 10@3=30", "applied to usage calls t2 g1/0 -30", "usage calls t2 2@3=6"],
            id="volume knows no bands inside",
        ),
        pytest.param(
            VOLUME, (for_commits(1, Overwrite(flat("2"))),),
            ["usage calls g1/0 12@2=24", "applied to usage calls g1/0 -24"], id="volume, overwritten for commits",
        ),
        pytest.param(
            PACKAGES, (), ["usage calls g1/0 2@7=14", "applied to usage calls g1/0 -14"], id="packages",
        ),
        pytest.param(
            PACKAGES, (change(2, HALF), for_commits(1, Multiplier(D("0.1")))),
            ["usage calls g1/0 2@0.7=1.4", "applied to usage calls g1/0 -1.4"], id="packages, a tenth of the list price",
        ),
    ],
)  # fmt: skip
def test_prices_of_a_whole_quantity(rate: Rate, overrides: tuple[Override, ...], lines: list[str]) -> None:
    agreed = replace(terms(entry(1, rate)), overrides=overrides, override_priority=OverridePriority.EXPLICIT)
    agreed = replace(agreed, override_priority=OverridePriority.LOWEST_MULTIPLIER) if len(overrides) > 1 else agreed
    explicit = tuple(replace(item, priority=item.priority or 1) for item in overrides)
    agreed = replace(agreed, overrides=explicit)
    assert spelled(rated(agreed, {A: used(d2="12")}, grant(1), g1_0="30").lines) == lines


@pytest.mark.parametrize(("rate", "paid"), [(VOLUME, "10@0.4=4"), (PACKAGES, "1@0.7=0.7")])
def test_a_price_of_a_whole_that_comes_back_to_nothing_is_that_of_the_first_unit(rate: Rate, paid: str) -> None:
    """What was taken back is used again: the statement's quantity ends at 0, and still has a price."""
    agreed = replace(terms(entry(1, rate), entry(2, rate, "01-10")), overrides=(for_commits(1, Multiplier(D("0.1"))),))
    usage = {A: used(d2="-10", d12="10")}
    assert f"usage calls g1/0 {paid}" in [
        line.replace(" t1", "") for line in spelled(rated(agreed, usage, grant(1), g1_0="30").lines)
    ]


CORE = (replace(CALLS, tags=("core",)), replace(DATA, tags=("core",)), SUPPORT)
TEN_PER_CENT = entry(3, Percentage(D("0.1")), product_id=U)


def test_the_worked_example_of_the_semantics() -> None:
    """Section 12: a commit rate, tiers, ten per cent for support, a credit for half of the month; 126.40 due."""
    agreed = terms(
        priced(1, flat("1"), flat("0.8")), entry(2, tiered(("100", "0.5"), (None, "0.4")), product_id=B), TEN_PER_CENT,
        products=CORE,
    )  # fmt: skip
    commit = grant(1, PREPAID, segments=(("200", "01-01", "12-31"),), rate_type=COMMIT_RATE, product_ids=(A,))
    credit = grant(2, CREDIT, segments=(("30", "01-01", "01-16"),), priority=D(1))
    rating = rated(agreed, {A: used(d2="200", d20="100"), B: used(d2="120", d20="40")}, commit, credit)
    assert spelled(rating.lines) == [
        "usage calls g2/0 30@1=30", "applied to usage calls g2/0 -30",
        "usage calls g1/0 170@0.8=136", "applied to usage calls g1/0 -136",
        "usage calls g1/0 80@0.8=64", "applied to usage calls g1/0 -64", "usage calls 20@1=20",
        "usage data t1 100@0.5=50", "usage data t2 20@0.4=8", "usage data t2 40@0.4=16",
        "composite support 324@0.1=32.4",
    ]  # fmt: skip
    assert assemble(rating.lines, agreed.unit).subtotal == D("126.4")
    assert {draw.pot.grant_id.int: draw.amount for draw in rating.draws} == {1002: D(30), 1001: D(200)}


def test_what_is_left_pays_percentages_last() -> None:
    agreed = terms(entry(1, flat("1")), TEN_PER_CENT, products=CORE)
    rating = rated(agreed, {A: used(d2="95", d20="5")}, grant(1), g1_0="103")
    assert spelled(rating.lines)[-3:] == [
        "composite support g1/0 30@0.1=3", "applied to composite support g1/0 -3", "composite support 70@0.1=7",
    ]  # fmt: skip


def fee(amount: str, start: str = "01-01", end: str = "02-01", product_id: UUID = B) -> Line:
    return Line(
        LineType.USAGE, product_id, "data", "USD", D(10), D(amount) / 10, D(amount), day(start), day(end)
    )  # fmt: skip


def test_a_fee_stays_whole_and_what_pays_it_follows() -> None:
    """Usage is paid before fees, and a fee by what is active when its service begins."""
    first, later = grant(1, priority=D(1)), grant(2, segments=(("100", "02-01", "12-31"),))
    rating = rated(ONE_DOLLAR, {A: used(d2="70")}, first, later, fees=[fee("50"), fee("20", "02-01", "03-01")])
    assert spelled(rating.lines) == [
        "usage calls g1/0 70@1=70", "applied to usage calls g1/0 -70",
        "applied to usage data g1/0 -30", "usage data 10@5=50",
        "applied to usage data g2/0 -20", "usage data 10@2=20",
    ]  # fmt: skip


def test_a_fee_of_a_product_that_a_balance_does_not_pay() -> None:
    rating = rated(ONE_DOLLAR, {}, grant(1, product_ids=(A,)), fees=[fee("50"), fee("0")])
    assert spelled(rating.lines) == ["usage data 10@5=50", "usage data 10@0=0"]


@pytest.mark.parametrize(
    ("fees", "balances", "left", "lines"),
    [
        pytest.param([], [grant(1)], {}, [], id="no fees"),
        pytest.param([fee("50")], [], {}, ["usage data 10@5=50"], id="no balances"),
        pytest.param(
            [fee("20", "01-11"), fee("90")], [grant(1)], {},
            ["applied to usage data g1/0 -90", "usage data 10@9=90", "applied to usage data g1/0 -10", "usage data 10@2=20"],
            id="the earlier service first",
        ),
        pytest.param(
            [fee("50"), fee("20", product_id=A)], [grant(1, product_ids=(A,)), grant(2)], {"g2_0": "30"},
            ["applied to usage data g1/0 -20", "usage data 10@2=20", "applied to usage data g2/0 -30", "usage data 10@5=50"],
            id="each what it may pay, in the order of products",
        ),
        pytest.param(
            [fee("50")], [grant(1, POSTPAID)], {}, ["(applied to usage data g1/0 -50)", "usage data 10@5=50"],
            id="a postpaid commit takes nothing off",
        ),
        pytest.param([fee("50")], [grant(1, unit="EUR")], {}, ["usage data 10@5=50"], id="another unit"),
    ],
)  # fmt: skip
def test_the_fees_of_a_scheduled_invoice(
    fees: list[Line], balances: list[Grant], left: dict[str, str], lines: list[str]
) -> None:
    given_pots = pots(*balances, **left)
    rating = rate_fees(ONE_DOLLAR, fees, pots=given_pots)
    assert spelled(rating.lines) == lines
    taken = sum((line.amount for line in rating.lines if line.type is LineType.APPLIED), D(0))
    assert sum((draw.amount for draw in rating.draws), D(0)) == -taken
    assert rating.unrated == ()


TOKENS = replace(
    terms(replace(entry(1, flat("1")), unit="TOKENS"), entry(2, flat("2"), product_id=B)),
    conversions=(("TOKENS", D("0.1")),),
)


@pytest.mark.parametrize(
    ("balances", "lines"),
    [
        ([], ["(usage calls 450@1=450 TOKENS)", "usage data 5@2=10", "cpu_conversion 450@0.1=45"]),
        (
            [grant(1, unit="TOKENS")],
            ["(usage calls g1/0 100@1=100 TOKENS)", "(applied to usage calls g1/0 -100 TOKENS)",
             "(usage calls 350@1=350 TOKENS)", "usage data 5@2=10", "cpu_conversion 350@0.1=35"],
        ),
        (
            [grant(1, segments=(("20", "01-01", "12-31"),))],
            ["(usage calls 450@1=450 TOKENS)", "usage data g1/0 5@2=10", "applied to usage data g1/0 -10",
             "cpu_conversion g1/0 100@0.1=10", "applied to cpu_conversion g1/0 -10", "cpu_conversion 350@0.1=35"],
        ),
        (
            [grant(1, product_ids=(A,))],
            ["(usage calls 450@1=450 TOKENS)", "usage data 5@2=10", "cpu_conversion 450@0.1=45"],
        ),
    ],
    ids=["none", "in the unit", "in the currency", "in the currency, for one product"],
)  # fmt: skip
def test_custom_units_are_converted_after_their_own_balances(balances: list[Grant], lines: list[str]) -> None:
    usage = {A: used(d2="450"), B: used(d2="5")}
    rating = rated(TOKENS, usage, *balances)
    assert spelled(rating.lines) == lines
    assert assemble(rating.lines, TOKENS.unit).subtotal == sum(
        (line.amount for line in rating.lines if line.unit == "USD"), D(0)
    )


def test_a_percentage_is_in_the_unit_of_what_it_is_taken_from() -> None:
    agreed = replace(TOKENS, products=CORE, rates=(*TOKENS.rates, TEN_PER_CENT))
    lines = spelled(rated(agreed, {A: used(d2="450"), B: used(d2="5")}).lines)
    assert "composite support 10@0.1=1" in lines
    assert "(composite support 450@0.1=45 TOKENS)" in lines
    assert "cpu_conversion 495@0.1=49.5" in lines


@pytest.mark.parametrize(
    ("usage", "excludes_free", "minimum"),
    [
        ("100", False, "minimum support 40@1=40"),
        ("500", False, None),
        ("600", False, None),
        ("0", False, "minimum support 50@1=50"),
        ("0", True, None),
        ("100", True, "minimum support 40@1=40"),
    ],
)
def test_a_percentage_costs_at_least_its_minimum(usage: str, excludes_free: bool, minimum: str | None) -> None:
    support = replace(SUPPORT, composite=Composite((), ("core",), excludes_free))
    products = (*CORE[:2], support)
    agreed = terms(entry(1, flat("1")), replace(TEN_PER_CENT, minimum=D(50)), products=products)
    lines = spelled(rated(agreed, {A: used(d2=usage)}).lines)
    assert [line for line in lines if line.startswith("minimum")] == ([] if minimum is None else [minimum])


def test_the_minimum_is_that_of_the_last_rate_that_is_billed() -> None:
    rates = (
        replace(TEN_PER_CENT, minimum=D(50)),
        entry(4, Percentage(D("0.1")), "01-10", "01-20", product_id=U),
        replace(entry(5, Percentage(D("0.1")), "01-20", product_id=U), minimum=D(70), entitled=False),
    )
    agreed = terms(entry(1, flat("1")), *rates, products=CORE)
    lines = rated(agreed, {A: used(d2="100")}, grant(1), g1_0="130").lines
    assert spelled(lines)[2:] == [
        "composite support 100@0.1=10", "minimum support g1/0 30@1=30", "applied to minimum support g1/0 -30",
        "minimum support 10@1=10",
    ]  # fmt: skip
    assert lines[-1].ending_before == day("01-10")
    without = replace(agreed, rates=agreed.rates[:1])
    assert [line.type for line in rated(without, {A: used(d2="100")}).lines] == ["usage"]


def test_the_minimum_goes_when_an_override_takes_the_product_from_the_contract() -> None:
    """From the 16th the product has a tag, and products with the tag are not billed: the minimum of before holds."""
    tagged = replace(SUPPORT, namings=(Naming(day("01-16"), "premium support", ("paused",)),))
    rates = (entry(1, flat("1")), replace(TEN_PER_CENT, minimum=D(50)))
    not_billed = replace(change(1, None, Specifier(tags=("paused",))), entitled=False)
    agreed = replace(terms(*rates, products=(*CORE[:2], tagged)), overrides=(not_billed,))
    lines = rated(agreed, {A: used(d2="100", d20="500")}).lines
    assert spelled(lines)[-2:] == ["composite support 100@0.1=10", "minimum support 40@1=40"]


def test_fees_stand_where_the_name_that_their_product_has_then_puts_them() -> None:
    renamed = replace(DATA, namings=(Naming(day("01-10"), "a new name", ()),))
    agreed = terms(entry(1, flat("1")), products=(CALLS, renamed))
    fees = [fee("20", product_id=A), fee("50", "01-11")]
    assert [line.product_id for line in rate_fees(agreed, fees).lines] == [B, A]
    assert [line.product_id for line in rate_fees(agreed, [fee("50", "01-02"), fees[0]]).lines] == [A, B]
    assert rate_fees(agreed, []).lines == ()


amounts = st.decimals(min_value=0, max_value=400, places=2)
BALANCES = (
    grant(1, CREDIT, segments=(("100", "01-01", "01-16"), ("50", "01-12", "02-01"))),
    grant(2, PREPAID, product_ids=(A,), rate_type=COMMIT_RATE, priority=D(1)),
    grant(3, POSTPAID, tags=("core",)),
    grant(4, PREPAID, specifiers=(Specifier(pricing=(("region", "eu"),)),), is_rollover=True),
)
EVERYTHING = replace(
    AGREED,
    products=(replace(CALLS, tags=("core",)), DATA, SUPPORT),
    rates=(*(replace(item, commit_rate=flat("0.9")) if item.product_id == A else item for item in AGREED.rates),
           replace(TEN_PER_CENT, minimum=D(3))),
    overrides=(for_commits(1, HALF, Specifier(product_id=B)),),
)  # fmt: skip
available = st.lists(amounts, min_size=5, max_size=5)


def some_pots(left: list[Decimal]) -> list[Pot]:
    return [replace(pot, available=amount) for pot, amount in zip(pots(*BALANCES), left, strict=True)]


@given(usages, available)
def test_lines_and_draws_tell_the_same(usage: dict[UsageKey, list[HourQuantity]], left: list[Decimal]) -> None:
    """No pot is overdrawn, what is drawn is taken off line by line, and what is covered is what is drawn."""
    given_pots = some_pots(left)
    rating = rate_statement(EVERYTHING, JANUARY, usage, pots=given_pots)
    limits = {pot.key: pot.available for pot in given_pots}
    for draw in rating.draws:
        assert D(0) < draw.amount <= limits[draw.pot]
        of_pot = [line for line in rating.lines if (line.grant_id, line.segment) == draw.pot]
        assert sum(line.amount for line in of_pot if line.type is LineType.APPLIED) == -draw.amount
        assert sum(line.amount for line in of_pot if line.type is not LineType.APPLIED) == draw.amount
    assert {(line.grant_id, line.segment) for line in rating.lines if line.grant_id} == {
        draw.pot for draw in rating.draws
    }


@given(usages, available, st.sampled_from(WindowSize))
def test_windows_add_up_whatever_balances_paid(
    usage: dict[UsageKey, list[HourQuantity]], left: list[Decimal], size: WindowSize
) -> None:
    given_pots = some_pots(left)
    rating = rate_statement(EVERYTHING, JANUARY, usage, pots=given_pots, fees=[fee("5"), fee("7", "02-01", "03-01")])
    windows = break_down(
        EVERYTHING,
        JANUARY,
        usage,
        size=size,
        is_final=False,
        pots=given_pots,
        fees=[fee("5"), fee("7", "02-01", "03-01")],
    )
    assert sum((window.total for window in windows), D(0)) == assemble(rating.lines, EVERYTHING.unit).subtotal
    for attribute in ("amount", "quantity"):
        sums: dict[object, Decimal] = {}
        for sign, lines in ((1, [line for window in windows for line in window.lines]), (-1, rating.lines)):
            for line in lines:
                kind = line._replace(quantity=None, amount=D(0), starting_at=None, ending_before=None)
                sums[kind] = sums.get(kind, D(0)) + sign * (getattr(line, attribute) or D(0))
        assert {kind: value for kind, value in sums.items() if value} == {}


@pytest.mark.parametrize("size", WindowSize)
def test_windows_of_a_custom_unit_show_what_was_converted_in_each(size: WindowSize) -> None:
    usage = {UsageKey(A): used(d2="100", d3="50"), UsageKey(B): used(d3="5")}
    windows = break_down(TOKENS, JANUARY, usage, size=size, is_final=False, pots=pots(grant(1), g1_0="12"))
    assert [spelled(window.lines) for window in windows] == [
        ["(usage calls 100@1=100 TOKENS)", "cpu_conversion g1/0 20@0.1=2", "applied to cpu_conversion g1/0 -2",
         "cpu_conversion 80@0.1=8"],
        ["(usage calls 50@1=50 TOKENS)", "usage data g1/0 5@2=10", "applied to usage data g1/0 -10", "cpu_conversion 50@0.1=5"],
    ]  # fmt: skip


@given(usages, available)
def test_usage_that_no_balance_reaches_is_priced_as_ever(
    usage: dict[UsageKey, list[HourQuantity]], left: list[Decimal]
) -> None:
    foreign = [replace(pot, grant=replace(pot.grant, unit="EUR")) for pot in some_pots(left)]
    assert rate_statement(EVERYTHING, JANUARY, usage, pots=foreign).draws == ()
    total = assemble(rate_statement(EVERYTHING, JANUARY, usage, pots=foreign).lines, EVERYTHING.unit).subtotal
    assert total == assemble(rate_statement(EVERYTHING, JANUARY, usage).lines, EVERYTHING.unit).subtotal
