"""Prices per event: 0.4 % of each event's money, at least 0.10 and at most 25; what a statement makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.breakdown import WindowSize, break_down
from app.core.conversions import Conversion, ConversionOperation
from app.core.customer_spend import OtherStatement, elsewhere_of
from app.core.explain import explain
from app.core.explain_words import in_words
from app.core.grants import Grant
from app.core.line_groups import grouped
from app.core.list_prices import list_unit_price
from app.core.metering import Event, HoursByGroup, fold, fold_measure
from app.core.overrides import overridden_rate
from app.core.per_event import EventPart, Measure, PercentagePerEvent
from app.core.period import Period
from app.core.quantities import (
    Measuring,
    Split,
    Usage,
    UsageKey,
    parts_by_key,
    usage_from_json,
    usage_of,
    usage_to_json,
)
from app.core.rates import Percentage, rate_from_json, rate_to_json, slices
from app.core.rating import rate_statement
from app.core.reversals import changed, usage_change, worths
from app.core.terms import (
    Aggregation,
    Composite,
    CompositeScope,
    Metric,
    MoneyOf,
    Multiplier,
    MultiplierTier,
    Naming,
    OverridePriority,
    Overwrite,
    Product,
    ProductType,
    ProductVersion,
    RateTarget,
    Specifier,
    Terms,
    TieredMultiplier,
)
from tests.core.agreements import CALLS, JANUARY, A, D, day, entry, flat, terms
from tests.core.balances import PREPAID, grant, pots, spelled
from tests.core.test_drawdown import change, for_commits

VOLUME = Metric(A, "volume", Aggregation.SUM, key="n")
SHIELD = replace(CALLS, name="shield", money=MoneyOf("USD"))
BY_REGION = replace(SHIELD, pricing_group_key=("region",))
FEE = PercentagePerEvent(D("0.004"), D("0.10"), D(25))
AGREED = terms(entry(1, FEE), products=(SHIELD,))
ORDERS = ("10", "24.99", "25", "6000", "6250", "6250.01", "9000")
SUPPORT = Product(UUID(int=3), "support", ProductType.COMPOSITE, None, composite=Composite(product_ids=(A,)))
ONLY_SHIELD = Specifier(product_id=A)


def order(worth: str | Decimal, start: str = "01-02", *, hours: int = 1, **properties: str) -> Event:
    return Event("acme", "order", day(start) + timedelta(hours=hours), {"n": D(worth), **properties})


def usage(agreed: Terms, *events: Event, metric: Metric = VOLUME) -> Usage:
    """What the events are to the shield, as a store would read it."""
    [shield] = [product for product in agreed.products if product.id == A]
    hours: dict[Split, HoursByGroup] = {}
    for split in Measuring.of(shield, JANUARY).all_splits:
        by, measures = split[1], split[2:]
        hours[split] = fold_measure(metric, events, *measures, by=by) if measures else fold(metric, events, by=by)
    return usage_of(shield, hours, JANUARY)


def lines(agreed: Terms, *events: Event, grants: Sequence[Grant] = ()) -> list[str]:
    """What a statement says of the events; no store and no balance changes what they cost."""
    return spelled(rate_statement(agreed, JANUARY, usage(agreed, *events), pots=pots(*grants)).lines)


@pytest.mark.parametrize(
    ("worth", "part", "fee"),
    [
        ("10", "MINIMUM", "0.10"),
        ("24.99", "MINIMUM", "0.10"),
        ("25", "BETWEEN", "0.1"),
        ("100", "BETWEEN", "0.4"),
        ("6250", "BETWEEN", "25"),
        ("6250.01", "MAXIMUM", "25"),
        ("1000000", "MAXIMUM", "25"),
        # a correction takes back what the same event would cost, and nothing costs nothing
        ("-10", "MINIMUM", "-0.1"),
        ("-100", "BETWEEN", "-0.4"),
        ("-9000", "MAXIMUM", "-25"),
        ("0", "MINIMUM", "0"),
    ],
)
def test_what_an_event_costs(worth: str, part: str, fee: str) -> None:
    found = FEE.part_of(D(worth))
    assert (found, FEE.counted(D(worth)) * FEE.price_of(found)) == (part, D(fee))


def test_one_bound_is_enough() -> None:
    at_least, at_most = PercentagePerEvent(D("0.1"), D(1), None), PercentagePerEvent(D("0.1"), None, D(0))
    assert [rate.part_of(D(worth)) for rate in (at_least, at_most) for worth in ("9.99", "1e9")] == [
        "MINIMUM", "BETWEEN", "MAXIMUM", "MAXIMUM",
    ]  # fmt: skip
    free = PercentagePerEvent(D(0), D("0.5"), None)
    assert lines(terms(entry(1, free), products=(SHIELD,)), order("7"), order("7000")) == ["usage shield 2@0.5=1"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("0.1", None, None), "a minimum, a maximum or both"),
        (("0.1", "2", "1"), "minimum 2 is above the maximum 1"),
        (("0.1", "-1", None), "minimum of a price per event must be 0 or more"),
        (("0.1", None, "NaN"), "maximum of a price per event must be 0 or more"),
        (("-0.1", "1", None), "fraction of a price per event must be 0 or more"),
    ],
)
def test_bounds_that_are_refused(parts: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PercentagePerEvent(*(None if part is None else D(part) for part in parts))  # type: ignore[arg-type]


def test_the_stored_form() -> None:
    at_least = PercentagePerEvent(D("0.1"), D("1.50"), None)
    assert rate_to_json(at_least) == {"type": "PERCENTAGE_PER_EVENT", "price": "0.1", "minimum": "1.5"}
    for rate in (FEE, at_least):
        assert rate_from_json(rate_to_json(rate)) == rate
    for wrong in ({"minimum": 1}, {"minimum": "1", "size": "1"}, {}, {"price": None, "minimum": "1"}):
        with pytest.raises(ValueError):
            rate_from_json({"type": "PERCENTAGE_PER_EVENT", "price": "0.1"} | wrong)
    with pytest.raises(AssertionError):
        slices(FEE, before=D(0), quantity=D(1))


def test_a_statement_adds_up_what_each_event_costs() -> None:
    assert lines(AGREED, *map(order, ORDERS)) == [
        "usage shield 12275@0.004=49.1", "usage shield 2@0.1=0.2", "usage shield 2@25=50",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("worths", "expected"),
    [
        # what was corrected whole costs nothing; a small correction takes the minimum back
        (("10", "-10"), []),
        (("9000", "-9000"), []),
        (("9000", "-100"), ["usage shield -100@0.004=-0.4", "usage shield 1@25=25"]),
        (("100", "-5"), ["usage shield 100@0.004=0.4", "usage shield -1@0.1=-0.1"]),
        # no money is left of them and one minimum is: two events took back what one had cost
        (("5", "-2.5", "-2.5"), ["usage shield -1@0.1=-0.1"]),
        (("0",), []),
    ],
)
def test_corrections(worths: tuple[str, ...], expected: list[str]) -> None:
    assert lines(AGREED, *map(order, worths)) == expected


def test_each_event_has_the_price_of_its_own_hour() -> None:
    later = PercentagePerEvent(D("0.01"), None, D(10))
    agreed = terms(
        entry(1, FEE), entry(2, later, "01-10"), entry(3, Percentage(D("0.02")), "01-20"), products=(SHIELD,)
    )
    days = ("01-09", "01-10", "01-20")
    assert lines(agreed, *(order(worth, start) for start in days for worth in ("10", "5000"))) == [
        "usage shield 5000@0.004=20", "usage shield 1@0.1=0.1",
        "usage shield 10@0.01=0.1", "usage shield 1@10=10",
        "usage shield 5010@0.02=100.2",
    ]  # fmt: skip


def test_values_have_prices_of_their_own() -> None:
    eu = (("region", "eu"),)
    agreed = terms(entry(1, FEE), entry(2, PercentagePerEvent(D("0.1"), D(5), None), group=eu), products=(BY_REGION,))
    assert lines(agreed, order("10", region="eu"), order("10", region="us"), order("100", region="eu")) == [
        "usage shield 100@0.1=10", "usage shield 1@5=5", "usage shield 1@0.1=0.1",
    ]  # fmt: skip


HALF, OTHER = Multiplier(D("0.5")), Overwrite(PercentagePerEvent(D("0.01"), None, D(50)))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        # a multiplier is one of what each event costs, bounds and all: every event stays in its part
        (change(7, HALF), ["usage shield 100@0.002=0.2", "usage shield 1@0.05=0.05", "usage shield 1@12.5=12.5"]),
        (change(7, Multiplier(D(0))), ["usage shield 100@0=0", "usage shield 1@0=0", "usage shield 1@0=0"]),
        # an overwrite brings its own bounds, or none
        (change(7, OTHER, ONLY_SHIELD), ["usage shield 110@0.01=1.1", "usage shield 1@50=50"]),
        (change(7, OTHER), ["usage shield 110@0.01=1.1", "usage shield 1@50=50"]),
        (change(7, Overwrite(Percentage(D("0.01")))), ["usage shield 9110@0.01=91.1"]),
    ],
)
def test_overrides(override: Any, expected: list[str]) -> None:
    agreed = replace(AGREED, overrides=(override,))
    assert lines(agreed, order("10"), order("100"), order("9000")) == expected


def test_an_overwrite_may_bring_the_bounds() -> None:
    agreed = replace(
        terms(entry(1, Percentage(D("0.02"))), products=(SHIELD,)), overrides=(change(7, OTHER, ONLY_SHIELD),)
    )
    assert lines(agreed, order("100"), order("9000")) == ["usage shield 100@0.01=1", "usage shield 1@50=50"]
    assert replace(agreed, overrides=()).products == (SHIELD,), "what nothing asks for is not measured"


BY_TIERS = TieredMultiplier((MultiplierTier(D(1000), D("0.5")),))


@pytest.mark.parametrize(
    ("product", "parts"),
    [
        # by tiers of the quantity, converted as a whole, of another currency's money, of no money: without a price
        (SHIELD, {"overrides": (change(7, BY_TIERS, priority=1),), "override_priority": OverridePriority.EXPLICIT}),
        (replace(SHIELD, conversion=Conversion(ConversionOperation.MULTIPLY, D(1))), {}),
        (replace(SHIELD, money=MoneyOf("EUR")), {}),
        (replace(SHIELD, money=None), {}),
    ],
)
def test_what_has_no_price_per_event_is_told_and_not_billed(product: Product, parts: dict[str, Any]) -> None:
    agreed = replace(terms(entry(1, FEE), products=(product,)), **parts)
    rating = rate_statement(agreed, JANUARY, usage(agreed, order("100"), order("9000")))
    assert (rating.lines, [item.quantity for item in rating.unrated]) == ((), [D(9100)])
    assert overridden_rate(FEE, BY_TIERS) is None
    assert overridden_rate(FEE, HALF) == PercentagePerEvent(D("0.002"), D("0.05"), D("12.5"))


def test_another_way_of_measuring_counts_its_own_hours() -> None:
    """Another metric from the tenth on; a conversion from the twentieth on, when no event has a price of its own."""
    other, doubled = UUID(int=8), Conversion(ConversionOperation.MULTIPLY, D(2))
    versions = (ProductVersion(day("01-10"), other), ProductVersion(day("01-20"), other, conversion=doubled))
    agreed = terms(entry(1, FEE), products=(replace(SHIELD, versions=versions),))
    rating = rate_statement(
        agreed, JANUARY, usage(agreed, order("10", "01-09"), order("9000", "01-10"), order("7", "01-20"))
    )
    assert spelled(rating.lines) == ["usage shield 1@0.1=0.1", "usage shield 1@25=25"]
    assert [item.quantity for item in rating.unrated] == [D(14)]


# quantity@price=amount, the dearest part first; a balance of 30 pays a part of what it does not pay whole
AS_LISTED = ["1200@0.004=4.8", "2@0.1=0.2", "1@25=25", "4800@0.004=19.2"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (None, AS_LISTED),
        (for_commits(7, HALF), ["6000@0.002=12", "2@0.05=0.1", "1@12.5=12.5"]),
        # another price would divide the events anew
        (for_commits(7, Overwrite(Percentage(D("0.5")))), AS_LISTED),
        (for_commits(7, HALF, target=RateTarget.COMMIT_RATE), AS_LISTED),
    ],
)
def test_balances_pay_part_by_part(override: Any, expected: list[str]) -> None:
    agreed = replace(AGREED, overrides=() if override is None else (override,))
    commit = grant(1, PREPAID, segments=(("30", "01-01", "12-31"),), rate_type=RateTarget.COMMIT_RATE)
    found = lines(agreed, order("10"), order("20"), order("6000"), order("9000"), grants=[commit])
    assert [line.rpartition(" ")[2] for line in found if "@" in line] == expected
    paid = sum(D(line.rpartition(" ")[2]) for line in found if line.startswith("applied"))
    assert paid == -min(D(30), sum(D(line.rpartition("=")[2]) for line in found if "g1/0" in line and "@" in line))


def test_a_balance_pays_what_an_overwrite_made() -> None:
    """Neither the list's commit rate nor a multiplier of the list price can be told of events that are divided otherwise."""
    listed = replace(entry(1, flat("0.02")), commit_rate=flat("0.01"))
    commit = grant(1, PREPAID, segments=(("1000", "01-01", "12-31"),), rate_type=RateTarget.COMMIT_RATE)
    for rate in (listed, entry(1, FEE)):
        agreed = replace(
            terms(rate, products=(SHIELD,)), overrides=(change(6, OTHER, ONLY_SHIELD), for_commits(7, HALF))
        )
        assert lines(agreed, order("100"), order("9000"), grants=[commit]) == [
            "usage shield g1/0 100@0.01=1", "usage shield g1/0 1@50=50", "applied to usage shield g1/0 -1", "applied to usage shield g1/0 -50",
        ]  # fmt: skip
    plain = replace(AGREED, overrides=(change(6, Overwrite(Percentage(D("0.02")))), for_commits(7, HALF)))
    assert lines(plain, order("100"), grants=[commit]) == [
        "usage shield g1/0 100@0.02=2", "applied to usage shield g1/0 -2",
    ]  # fmt: skip


def test_percentages_of_it_and_of_other_contracts() -> None:
    uplift = entry(9, Percentage(D("0.1")), product_id=SUPPORT.id)
    agreed = terms(entry(1, FEE), uplift, products=(SHIELD, SUPPORT))
    events = [*map(order, ORDERS), order("5"), order("-5")]
    # 49.1 + 0.2 + 50
    assert lines(agreed, *events)[-1] == "composite support 99.3@0.1=9.93"
    everybody = replace(SUPPORT, composite=Composite(product_ids=(A,), scope=CompositeScope.CUSTOMER))
    mine = terms(uplift, products=(everybody, replace(SHIELD, namings=(Naming(day("01-15"), "shield", ()),))))
    other = OtherStatement(AGREED, JANUARY, usage(AGREED, *events), goes_first=False)
    [found] = elsewhere_of(mine, JANUARY, [other, replace(other, usage={UsageKey(A): []})])
    assert [(item.hour, item.amount) for item in found.spent] == [(day("01-02") + timedelta(hours=1), D("99.3"))]


def test_what_is_frozen_says_what_each_event_cost() -> None:
    found = usage(AGREED, *map(order, ORDERS))
    form = json.loads(json.dumps(usage_to_json(found)))
    again = usage_from_json(form)
    assert again == {key: list(hours) for key, hours in found.items()}
    assert rate_statement(AGREED, JANUARY, again) == rate_statement(AGREED, JANUARY, found)
    [(_, parts)] = parts_by_key(again)
    assert {measure.part for measure in parts.measured} == set(EventPart)
    assert [UsageKey(A, measure=Measure(FEE, EventPart.MINIMUM)).of_usage, UsageKey(A).of_usage] == [UsageKey(A)] * 2


def test_an_event_that_is_taken_back_gives_back_what_it_cost() -> None:
    before = usage(AGREED, *map(order, ORDERS))
    for place, fee in ((0, "0.1"), (3, "24"), (6, "25")):
        rest = usage(AGREED, *(order(worth) for number, worth in enumerate(ORDERS) if number != place))
        after = changed(before, [usage_change(before, rest)])
        ratings = [rate_statement(AGREED, JANUARY, one) for one in (before, after)]
        assert [one.amount for one in worths(ratings[0], ratings[1], unit="USD", pots=())] == [D(fee)]


def test_lines_explain_themselves() -> None:
    half = replace(AGREED, overrides=(change(7, HALF),))
    other = replace(AGREED, overrides=(change(7, OTHER),))
    plain = replace(AGREED, overrides=(change(7, Overwrite(Percentage(D("0.02")))),))
    over_plain = replace(other, rates=(entry(1, Percentage(D("0.02"))),))
    said = {
        name: [
            (in_words(explain(line, agreed), metric="volume"), list_unit_price(line, agreed))
            for line in rate_statement(agreed, JANUARY, usage(agreed, order("10"), order("20"), order("9000"))).lines
        ]
        for name, agreed in (("list", AGREED), ("half", half), ("other", other), ("plain", plain), ("over", over_plain))
    }
    used = "used from 1 January 2025 to 31 January 2025, measured by “volume”"
    listed = "The list price is 0.4 % of the amount of each event, at least 0.1 USD and at most 25 USD."
    assert said["list"] == [
        (f"2 events of shield, raised to the minimum, {used}. {listed} 2 × 0.1 = 0.2 USD.", D("0.1")),
        (f"1 event of shield, lowered to the maximum, {used}. {listed} 1 × 25 = 25 USD.", D(25)),
    ]
    assert said["half"][0] == (
        f"2 events of shield, raised to the minimum, {used}. {listed} An override of the contract multiplies it by 0.5. "
        "2 × 0.05 = 0.1 USD.",
        D("0.1"),
    )
    assert said["other"][0] == (
        f"30 × shield, {used}. The list price is another than this line's 0.01 USD each. An override of the contract "
        "replaces it by 1 % of the amount of each event, at most 50 USD. 30 × 0.01 = 0.3 USD.",
        None,
    )
    assert [price for _, price in (*said["plain"], *said["over"])] == [None, None, None]


def test_money_and_events_are_never_added() -> None:
    found = rate_statement(AGREED, JANUARY, usage(AGREED, *map(order, ORDERS))).lines
    [group] = grouped(found, by_product=True)
    assert (group.quantity, group.amount) == (None, D("99.3"))


worth = st.sampled_from(["-9000", "-25", "-10", "0", "0.01", "24.99", "25", "100", "6250", "6250.01"]).map(D)
happened = st.builds(
    lambda n, money, region: order(money, "01-01", hours=n, region=region),
    st.integers(0, 31 * 24 - 1), worth, st.sampled_from(["eu", "us"]),
)  # fmt: skip
fees = st.builds(
    lambda fraction, low, high: PercentagePerEvent(
        D(fraction), None if low is None else D(low), D("25") if low is None and high is None else high and D(high)
    ),
    st.sampled_from(["0", "0.004", "0.5"]), st.sampled_from([None, "0", "0.1"]), st.sampled_from([None, "0.1", "25"]),
)  # fmt: skip


def clamped(rate: PercentagePerEvent, money: Decimal) -> Decimal:
    share = max(abs(money) * rate.fraction, rate.minimum or D(0))
    if rate.maximum is not None:
        share = min(share, rate.maximum)
    return share.copy_sign(money) if money else D(0)


@given(st.lists(happened, max_size=12), fees, fees, st.sampled_from(["0", "0.5", "1.1"]).map(D))
def test_lines_and_windows_add_up_to_the_events(
    events: list[Event], first: PercentagePerEvent, second: PercentagePerEvent, factor: Decimal
) -> None:
    """Whatever the prices, each event is asked for once, in its hour, and windows show it there."""
    agreed = terms(entry(1, first), entry(2, second, "01-16"), products=(BY_REGION,))
    agreed = replace(agreed, overrides=(replace(change(7, Multiplier(factor)), period=Period(day("01-20"), None)),))

    def due(event: Event) -> Decimal:
        rate = first if event.timestamp < day("01-16") else second
        money = event.properties["n"]
        assert isinstance(money, Decimal)
        return clamped(rate, money) * (factor if event.timestamp >= day("01-20") else 1)

    found = usage(agreed, *events)
    balances = pots(grant(1, segments=(("20", "01-01", "01-12"), ("7", "01-12", "12-31"))))
    asked = rate_statement(agreed, JANUARY, found)
    assert sum((line.amount for line in asked.lines), D(0)) == sum(map(due, events), D(0))
    for window in break_down(agreed, JANUARY, found, size=WindowSize.DAY, is_final=False):
        inside = [event for event in events if window.period.contains(event.timestamp)]
        assert window.total == sum(map(due, inside), D(0))
    paid = rate_statement(agreed, JANUARY, found, pots=balances)
    windows = break_down(agreed, JANUARY, found, size=WindowSize.DAY, is_final=False, pots=balances)
    assert sum((one.total for one in windows), D(0)) == sum((line.amount for line in paid.lines), D(0))
