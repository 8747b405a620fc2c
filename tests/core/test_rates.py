"""Prices on quantities: graduated tiers, taken back usage, the stored form."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.money import canonical
from app.core.rates import Flat, Package, Rate, Tier, Tiered, Volume, rate_from_json, rate_to_json, slices

D = Decimal


def tiered(*tiers: tuple[str | None, str]) -> Tiered:
    return Tiered(tuple(Tier(None if size is None else D(size), D(price)) for size, price in tiers))


FREE_THEN_PAID = tiered(("5", "0"), ("5", "1"), (None, "1.5"))
SIZED_LAST = tiered(("5", "2"), ("5", "1"))
ONE_BAND = tiered((None, "3"))
BY_VOLUME = Volume((Tier(D(100), D(10)), Tier(D(100), D(8)), Tier(None, D(5))))
TENS = Package(D(10), D("2.5"))


@pytest.mark.parametrize(
    ("rate", "before", "quantity", "expected"),
    [
        # (tier, quantity, amount); the semantics' example: 11 units cost 6.50
        (FREE_THEN_PAID, "0", "11", "1:5=0 2:5=5 3:1=1.5"),
        (FREE_THEN_PAID, "0", "5", "1:5=0"),
        (FREE_THEN_PAID, "5", "0.5", "2:0.5=0.5"),
        (FREE_THEN_PAID, "4.5", "1", "1:0.5=0 2:0.5=0.5"),
        (FREE_THEN_PAID, "10", "100", "3:100=150"),
        (FREE_THEN_PAID, "7", "0", ""),
        # taken back: down through the tiers at today's prices
        (FREE_THEN_PAID, "11", "-3", "2:-2=-2 3:-1=-1.5"),
        (FREE_THEN_PAID, "6", "-6", "1:-5=0 2:-1=-1"),
        # below zero is the first tier
        (SIZED_LAST, "0", "-4", "1:-4=-8"),
        (SIZED_LAST, "-4", "10", "1:9=18 2:1=1"),
        (SIZED_LAST, "2", "-4", "1:-4=-8"),
        # a last tier has no end
        (SIZED_LAST, "0", "25", "1:5=10 2:20=20"),
        (ONE_BAND, "0", "2", "1:2=6"),
        (Flat(D("0.0001")), "0", "12345", "-:12345=1.2345"),
        (Flat(D(2)), "100", "-1.5", "-:-1.5=-3"),
        (Flat(D(2)), "100", "0", ""),
        # by volume: the bound belongs to the tier below; growing into another tier gives back what was counted
        (BY_VOLUME, "0", "100", "1:100=1000"),
        (BY_VOLUME, "0", "120", "2:120=960"),
        (BY_VOLUME, "80", "40", "1:-80=-800 2:120=960"),
        (BY_VOLUME, "120", "-40", "2:-120=-960 1:80=800"),
        (BY_VOLUME, "120", "30", "2:30=240"),
        (BY_VOLUME, "120", "-120", "2:-120=-960"),
        (BY_VOLUME, "0", "0", ""),
        (BY_VOLUME, "0", "-5", "1:-5=-50"),
        # packages of ten: a begun one costs as much as a whole one
        (TENS, "0", "1", "-:1=2.5"),
        (TENS, "0", "10", "-:1=2.5"),
        (TENS, "0", "10.001", "-:2=5"),
        (TENS, "1", "9", ""),
        (TENS, "11", "-1", "-:-1=-2.5"),
        (TENS, "0", "-15", "-:-1=-2.5"),
    ],
)
def test_slices(rate: Rate, before: str, quantity: str, expected: str) -> None:
    found = [
        f"{part.level or '-'}:{canonical(part.quantity)}={canonical(part.amount)}"
        for part in slices(rate, before=D(before), quantity=D(quantity))
    ]
    assert found == expected.split()


def test_slices_tell_their_tier() -> None:
    first, second, third = slices(FREE_THEN_PAID, before=D(0), quantity=D(11))
    assert (first.tier_starting_at, first.tier_size, first.unit_price) == (D(0), D(5), D(0))
    assert (second.tier_starting_at, second.tier_size, second.unit_price) == (D(5), D(5), D(1))
    assert (third.tier_starting_at, third.tier_size, third.unit_price) == (D(10), None, D("1.5"))
    assert slices(SIZED_LAST, before=D(5), quantity=D(1))[0].tier_size is None


def test_slices_of_a_price_by_volume_tell_their_tier_and_where_they_begin() -> None:
    given_back, taken = slices(BY_VOLUME, before=D(80), quantity=D(40))
    assert (given_back.level, given_back.tier_starting_at, given_back.tier_size, given_back.before) == (1, 0, 100, 80)
    assert (taken.level, taken.tier_starting_at, taken.tier_size, taken.before) == (2, 100, 100, 0)
    [packages] = slices(TENS, before=D(10), quantity=D(5))
    assert (packages.level, packages.tier_size, packages.before) == (None, None, 10)


numbers = st.decimals(min_value=-1000, max_value=1000, places=3, allow_nan=False, allow_infinity=False)
prices = st.decimals(min_value=0, max_value=100, places=4, allow_nan=False, allow_infinity=False)
sizes = st.decimals(min_value="0.001", max_value=300, places=3, allow_nan=False, allow_infinity=False)
rates = prices.map(Flat) | st.tuples(
    st.lists(st.builds(Tier, sizes, prices), max_size=4), st.builds(Tier, st.none(), prices)
).map(lambda parts: Tiered((*parts[0], parts[1])))


def by_tier(rate: Rate, before: Decimal, quantities: list[Decimal]) -> dict[int | None, tuple[Decimal, Decimal]]:
    sums: dict[int | None, tuple[Decimal, Decimal]] = {}
    for quantity in quantities:
        for part in slices(rate, before=before, quantity=quantity):
            old = sums.get(part.level, (D(0), D(0)))
            sums[part.level] = (old[0] + part.quantity, old[1] + part.amount)
        before += quantity
    return {level: pair for level, pair in sums.items() if any(pair)}


@given(rates, numbers, st.lists(numbers, max_size=8))
def test_splitting_a_quantity_changes_nothing(rate: Rate, before: Decimal, quantities: list[Decimal]) -> None:
    assert by_tier(rate, before, quantities) == by_tier(rate, before, [sum(quantities, D(0))])


@given(rates, numbers, numbers)
def test_slices_share_the_quantity_out(rate: Rate, before: Decimal, quantity: Decimal) -> None:
    parts = slices(rate, before=before, quantity=quantity)
    assert sum((part.quantity for part in parts), D(0)) == quantity
    assert all(part.amount == part.quantity * part.unit_price and part.quantity for part in parts)
    assert [part.level for part in parts] == sorted({part.level or 0 for part in parts}) or parts[0].level is None


whole_rates = st.one_of(
    st.builds(lambda rate: Volume(rate.tiers), st.sampled_from([FREE_THEN_PAID, SIZED_LAST, ONE_BAND])),
    st.builds(Package, st.sampled_from([D(1), D(10), D("2.5")]), st.just(D(3))),
)


@given(whole_rates, numbers, st.lists(numbers, max_size=8))
def test_a_price_of_the_whole_quantity_does_not_hang_on_how_it_came(
    rate: Rate, before: Decimal, quantities: list[Decimal]
) -> None:
    def amount(start: Decimal, quantity: Decimal) -> Decimal:
        return sum((part.amount for part in slices(rate, before=start, quantity=quantity)), D(0))

    piecemeal, position = D(0), before
    for quantity in quantities:
        piecemeal += amount(position, quantity)
        position += quantity
    assert piecemeal == amount(before, sum(quantities, D(0)))


@given(st.one_of(rates, whole_rates))
def test_the_stored_form_gives_the_rate_back(rate: Rate) -> None:
    assert rate_from_json(rate_to_json(rate)) == rate


def test_the_stored_form() -> None:
    assert rate_to_json(Flat(D("1.50"))) == {"type": "FLAT", "price": "1.5"}
    assert rate_to_json(FREE_THEN_PAID) == {
        "type": "TIERED",
        "tiers": [{"size": "5", "price": "0"}, {"size": "5", "price": "1"}, {"price": "1.5"}],
    }


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"type": "FLAT"},
        {"type": "FLAT", "price": 1},
        {"type": "FLAT", "price": "1", "tiers": []},
        {"type": "FLAT", "price": "NaN"},
        {"type": "FLAT", "price": "-1"},
        {"type": "STEPPED", "price": "1"},
        {"type": "PACKAGE", "size": "0", "price": "1"},
        {"type": "PACKAGE", "size": "10", "price": "-1"},
        {"type": "PACKAGE", "size": 10, "price": "1"},
        {"type": "VOLUME", "tiers": []},
        {"type": ["TIERED"], "tiers": []},
        {"type": "TIERED", "tiers": "1"},
        {"type": "TIERED", "tiers": []},
        {"type": "TIERED", "tiers": [1]},
        {"type": "TIERED", "tiers": [{"size": 1, "price": "1"}]},
        {"type": "TIERED", "tiers": [{"size": "1"}]},
        {"type": "TIERED", "tiers": [{"size": "0", "price": "1"}]},
        {"type": "TIERED", "tiers": [{"price": "1"}, {"price": "2"}]},
        {"type": "TIERED", "tiers": [{"price": "1", "until": "2"}]},
    ],
)
def test_what_is_no_rate_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"a rate is|a tier|a tiered|the last tier|a price|a package|a decimal"):
        rate_from_json(stored)
