"""A contract's own prices: which override counts, what it makes of the list price, and that they never stack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.lines import Line
from app.core.metering import HourQuantity
from app.core.money import canonical
from app.core.overrides import (
    change_from_json,
    change_to_json,
    overridden_slices,
    price_override,
    scaled,
    specifier_from_json,
    specifier_to_json,
)
from app.core.period import SINCE_EVER, Frequency, Period
from app.core.quantities import UsageKey
from app.core.rates import Package, Rate, Tier, Volume, slices
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
from tests.core.agreements import (
    AGREED,
    CALLS,
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
)

D = Decimal
EVERYTHING = (Specifier(),)
EXPLICIT, LOWEST = OverridePriority.EXPLICIT, OverridePriority.LOWEST_MULTIPLIER


def times(factor: str) -> Multiplier:
    return Multiplier(D(factor))


def by_tier(*tiers: tuple[str | None, str]) -> TieredMultiplier:
    return TieredMultiplier(tuple(MultiplierTier(None if s is None else D(s), D(factor)) for s, factor in tiers))


def override(
    added: int,
    change: PriceChange | None = None,
    start: str | None = None,
    end: str | None = None,
    *,
    reaching: Sequence[Specifier] = EVERYTHING,
    entitled: bool | None = None,
    priority: int | None = None,
) -> Override:
    period = Period(SINCE_EVER if start is None else day(start), None if end is None else day(end))
    return Override(UUID(int=added), period, tuple(reaching), change, entitled, priority, added)


def shown(line: Line) -> str:
    """quantity@price tier from the day it starts, and the override that set the price"""
    assert line.quantity is not None
    assert line.unit_price is not None
    assert line.starting_at is not None
    tier = f" t{line.tier.level}" if line.tier else ""
    by = "" if line.override_id is None else f" by {line.override_id.int}"
    return f"{canonical(line.quantity)}@{canonical(line.unit_price)}{tier} {line.starting_at:%d}{by}"


@pytest.mark.parametrize(
    ("list_price", "overrides", "priority", "lines"),
    [
        pytest.param(flat("2"), [override(1, times("0.5"))], LOWEST, ["30@1 01 by 1"], id="a multiplier"),
        pytest.param(
            flat("1"), [override(1, times("0.9")), override(2, times("0.7")), override(3, times("0.95"))], LOWEST,
            ["30@0.7 01 by 2"], id="the lowest multiplier, never several",
        ),
        pytest.param(
            flat("1"), [override(1, times("0.7")), override(2, times("0.7"))], LOWEST, ["30@0.7 01 by 2"],
            id="of equals the last added",
        ),
        pytest.param(
            flat("1"), [override(1, times("0.5"), priority=2), override(2, times("0.9"), priority=1)], EXPLICIT,
            ["30@0.9 01 by 2"], id="the lowest priority number, whatever the multiplier",
        ),
        pytest.param(
            flat("1"),
            [override(1, Overwrite(flat("0.5"))), override(2, times("0.1")), override(3, Overwrite(flat("0.6")))],
            LOWEST, ["30@0.6 01 by 3"], id="an overwrite before multipliers, the last added first",
        ),
        pytest.param(
            flat("1"), [override(1, times("0.5"), "01-05", "01-21")], LOWEST,
            ["10@1 01", "10@0.5 05 by 1", "10@1 21"], id="for some days",
        ),
        pytest.param(
            FREE_THEN_PAID, [override(1, times("2"))], LOWEST, ["5@0 t1 01 by 1", "5@2 t2 01 by 1", "20@3 t3 01 by 1"],
            id="every tier is multiplied",
        ),
        pytest.param(
            flat("1"), [override(1, by_tier(("10", "0.8"), ("10", "0.7")), priority=1)], EXPLICIT,
            ["10@0.7 01 by 1", "10@0.8 01 by 1", "10@1 01 by 1"], id="by tier, then the list price",
        ),
        pytest.param(
            flat("1"), [override(1, by_tier(("10", "0.8"), (None, "0.7")), priority=1)], EXPLICIT,
            ["20@0.7 01 by 1", "10@0.8 01 by 1"], id="by tier, the last without end",
        ),
        pytest.param(
            tiered(("15", "2"), (None, "1")), [override(1, by_tier(("10", "0.5"), ("10", "0.5")), priority=1)], EXPLICIT,
            ["15@1 t1 01 by 1", "5@0.5 t2 01 by 1", "10@1 t2 01 by 1"], id="tiers of the rate and of the override",
        ),
        pytest.param(
            flat("1"), [override(1, Overwrite(tiered(("20", "3"), (None, "2"))), "01-15")], LOWEST,
            ["10@1 01", "10@3 t1 15 by 1", "10@2 t2 15 by 1"], id="the position runs on through an overwrite",
        ),
        pytest.param(flat("1"), [override(1, entitled=False, start="01-15")], LOWEST, ["10@1 01"], id="not entitled"),
        pytest.param(
            flat("1"), [override(1, entitled=False), override(2, entitled=True), override(3, times("0.5"))], LOWEST,
            ["30@0.5 01 by 3"], id="the last word on entitlement, whatever sets the price",
        ),
    ],
)  # fmt: skip
def test_prices(list_price: Rate, overrides: list[Override], priority: OverridePriority, lines: list[str]) -> None:
    agreed = replace(terms(entry(1, list_price)), overrides=tuple(overrides), override_priority=priority)
    found = rate_statement(agreed, JANUARY, {UsageKey(A): used(d2="10", d20="10", d25="10")})
    assert [shown(line) for line in found.lines] == lines


@pytest.mark.parametrize(
    ("rate", "change", "quantity", "amount"),
    [
        # by volume: 10 at 4, more at 3 each
        pytest.param(Volume((Tier(D(10), D(4)), Tier(None, D(3)))), Multiplier(D("0.5")), "12", "18", id="volume, half"),
        pytest.param(Volume((Tier(D(10), D(4)), Tier(None, D(3)))), by_tier(("6", "0.5"), (None, "1")), "5", "10", id="first band"),
        pytest.param(
            # 6 units at half of 4; growing to 12 gives 6 x 4 back and takes 12 x 3
            Volume((Tier(D(10), D(4)), Tier(None, D(3)))), by_tier(("6", "0.5"), (None, "1")), "12", "24", id="two bands",
        ),
        pytest.param(
            Volume((Tier(D(10), D(4)), Tier(None, D(3)))), by_tier(("6", "0.5"), (None, "1")), "-5", "-10",
            id="what is below nothing belongs to the first band",
        ),
        pytest.param(Package(D(10), D(7)), Multiplier(D("0.5")), "12", "7", id="packages, half"),
        pytest.param(Package(D(10), D(7)), by_tier(("10", "0.5")), "25", "17.5", id="packages, the first for half"),
    ],
)  # fmt: skip
def test_changes_of_prices_for_a_whole_quantity(rate: Rate, change: PriceChange, quantity: str, amount: str) -> None:
    parts = overridden_slices(rate, change, before=D(0), quantity=D(quantity))
    assert sum((part.amount for part in parts), D(0)) == D(amount)


def test_bands_keep_the_tier_of_the_rate() -> None:
    """Level, start and size are those of the tier of 10, not of the band of 3 inside it."""
    parts = overridden_slices(
        tiered(("10", "1"), (None, "2")), by_tier(("3", "0.5"), (None, "1")), before=D(0), quantity=D(12)
    )
    assert [(part.level, part.tier_starting_at, part.tier_size, part.quantity) for part in parts] == [
        (1, 0, 10, 3), (1, 0, 10, 7), (2, 10, None, 2),
    ]  # fmt: skip


def test_an_override_entitles_what_the_card_does_not() -> None:
    agreed = replace(terms(entry(1, flat("1"), entitled=False)), overrides=(override(1, entitled=True, start="01-16"),))
    found = rate_statement(agreed, JANUARY, {UsageKey(A): used(d2="5", d20="7")})
    assert [shown(line) for line in found.lines] == ["7@1 16"]


def test_usage_without_a_rate_stays_without_a_price() -> None:
    agreed = replace(terms(), overrides=(override(1, Overwrite(flat("1"))),))
    found = rate_statement(agreed, JANUARY, {UsageKey(A): used(d2="5")})
    assert (found.lines, [item.quantity for item in found.unrated]) == ((), [5])


@pytest.mark.parametrize(
    ("reaching", "expected"),
    [
        ([Specifier()], True),
        ([Specifier(product_id=A)], True),
        ([Specifier(product_id=B)], False),
        ([Specifier(tags=("core", "gpu"))], True),
        ([Specifier(tags=("core", "other"))], False),
        ([Specifier(tags=("other",)), Specifier(tags=("gpu",))], True),
        ([Specifier(pricing=(("region", "eu"),))], True),
        ([Specifier(pricing=(("region", "eu"), ("plan", "x")))], True),
        ([Specifier(pricing=(("region", "us"),))], False),
        ([Specifier(presentation=(("cluster", "a"),))], True),
        ([Specifier(presentation=(("cluster", None),))], False),
        ([Specifier(product_id=A, presentation=(("cluster", "b"),))], False),
        ([Specifier(billing_frequency=Frequency.MONTHLY)], False),
        ([], False),
    ],
)
def test_what_an_override_reaches(reaching: list[Specifier], expected: bool) -> None:
    tagged = replace(CALLS, tags=("core", "gpu"))
    key = UsageKey(A, (("plan", "x"), ("region", "eu")), (("cluster", "a"),))
    agreed = replace(
        terms(entry(1, flat("1")), products=(tagged,)), overrides=(override(1, times("0"), reaching=reaching),)
    )
    [line] = rate_statement(agreed, JANUARY, {key: used(d2="1")}).lines
    assert (line.unit_price == 0) is expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: times("-0.1"), "0 or more"),
        (lambda: times("NaN"), "0 or more"),
        (lambda: by_tier(("10", "-1")), "0 or more"),
        (lambda: by_tier(("0", "1")), "above 0"),
        (lambda: by_tier((None, "1"), ("10", "1")), "only the last"),
        (lambda: by_tier(), "at least one"),
    ],
)
def test_changes_that_make_no_sense(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


CHANGES = [times("0.8"), Overwrite(FREE_THEN_PAID), by_tier(("10", "0.8"), (None, "2")), by_tier(("10", "0.8"))]


@pytest.mark.parametrize("change", CHANGES)
def test_the_stored_form_of_a_change(change: PriceChange) -> None:
    assert change_from_json(json.loads(json.dumps(change_to_json(change)))) == change


def test_a_stored_form_that_is_none() -> None:
    with pytest.raises(ValueError, match="MULTIPLIER, OVERWRITE or TIERED, not GIFT"):
        change_from_json({"type": "GIFT"})


@pytest.mark.parametrize(
    "specifier",
    [
        Specifier(),
        Specifier(A, ("core",), (("plan", "x"), ("region", "eu")), (("cluster", "a"),), Frequency.ANNUAL),
        Specifier(tags=("gpu", "core")),
        Specifier(product_id=A, grant_ids=(UUID(int=7), UUID(int=8)), recurring_ids=(UUID(int=9),)),
    ],
)
def test_the_stored_form_of_a_specifier(specifier: Specifier) -> None:
    assert specifier_from_json(json.loads(json.dumps(specifier_to_json(specifier)))) == specifier


# Properties.
positions = st.decimals(min_value=-20, max_value=60, places=1, allow_nan=False, allow_infinity=False)
rates = st.sampled_from([flat("3"), FREE_THEN_PAID, tiered(("12", "2"), ("9", "1"), ("9", "4"))])


@given(rates, st.sampled_from(CHANGES), positions, positions, positions)
def test_splitting_a_quantity_changes_no_amount(
    rate: Rate, change: PriceChange, before: Decimal, one: Decimal, two: Decimal
) -> None:
    def amount(position: Decimal, quantity: Decimal) -> Decimal:
        parts = overridden_slices(rate, change, before=position, quantity=quantity)
        assert sum((part.quantity for part in parts), D(0)) == quantity
        assert all(part.amount == part.quantity * part.unit_price for part in parts)
        return sum((part.amount for part in parts), D(0))

    assert amount(before, one) + amount(before + one, two) == amount(before, one + two)


@given(rates, positions, positions)
def test_one_multiplier_by_tier_is_a_multiplier(rate: Rate, before: Decimal, quantity: Decimal) -> None:
    by_tiers = overridden_slices(rate, by_tier(("7", "0.5"), (None, "0.5")), before=before, quantity=quantity)
    assert by_tiers == slices(scaled(rate, D("0.5")), before=before, quantity=quantity)


@given(usages)
def test_multiplying_by_one_moves_no_money_and_by_zero_leaves_none(usage: dict[UsageKey, list[HourQuantity]]) -> None:
    def total(*overrides: Override) -> Decimal:
        lines = rate_statement(replace(AGREED, overrides=overrides), JANUARY, usage).lines
        return sum((line.amount for line in lines), D(0))

    assert total(override(1, times("1"), "01-07")) == total()
    assert total(override(1, times("0"))) == 0
    assert total(override(1, times("0.5"))) == total() * D("0.5")


@given(st.permutations([override(1, times("0.9")), override(2, times("0.4")), override(3, entitled=True)]))
def test_the_choice_does_not_hang_on_the_order_in_the_terms(overrides: list[Override]) -> None:
    agreed = replace(terms(entry(1, flat("1"))), overrides=tuple(overrides))
    [line] = rate_statement(agreed, JANUARY, {UsageKey(A): used(d2="1")}).lines
    assert line.override_id == UUID(int=2)


def test_without_a_change_of_price_the_list_price_counts() -> None:
    assert price_override([override(1, entitled=True)], LOWEST) is None
