"""Price lists laid flat: what holds when, which rows a selector shows, and what a contract makes of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.money import canonical
from app.core.period import HOUR, SINCE_EVER, Frequency, Period
from app.core.pricing import entry_at, rate_book
from app.core.rate_schedule import ContractRate, Selector, contract_rates, rate_schedule, selected
from app.core.rates import Flat, Rate, Tiered, TieredPercentage, Volume
from app.core.terms import (
    Group,
    Multiplier,
    MultiplierTier,
    Naming,
    Override,
    OverridePriority,
    Overwrite,
    PriceChange,
    RateEntry,
    Specifier,
    TieredMultiplier,
)
from tests.core.agreements import CALLS, DATA, A, B, D, day, entry, flat, product, terms, tiered

EVER = Period(SINCE_EVER)
C = UUID(int=3)
EU: Group = (("region", "eu"),)
US: Group = (("region", "us"),)


def shown(*entries: RateEntry, window: Period = EVER) -> list[tuple[str, str | None, str]]:
    """Start, end (month and day) and price of each segment; "" is since ever."""
    found = []
    for segment in rate_schedule(entries, window):
        assert isinstance(segment.entry.rate, Flat)
        start, end = segment.period.starting_at, segment.period.ending_before
        bounds = "" if start == SINCE_EVER else f"{start:%m-%d}", None if end is None else f"{end:%m-%d}"
        found.append((*bounds, canonical(segment.entry.rate.price) + ("" if segment.entry.entitled else "!")))
    return found


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry(1, flat("1"))], [("", None, "1")]),
        ([entry(1, flat("1"), "01-10", "01-20")], [("01-10", "01-20", "1")]),
        # A later entry replaces, and the earlier one resumes at its end.
        ([entry(1, flat("1")), entry(2, flat("3"), "01-10")], [("", "01-10", "1"), ("01-10", None, "3")]),
        (
            [entry(1, flat("1")), entry(2, flat("3"), "01-10", "01-20")],
            [("", "01-10", "1"), ("01-10", "01-20", "3"), ("01-20", None, "1")],
        ),
        ([entry(1, flat("3"), "01-10", "01-20"), entry(2, flat("1"))], [("", None, "1")]),
        # Three deep: 5 within 3 within 1.
        (
            [entry(1, flat("1")), entry(2, flat("3"), "01-05", "01-25"), entry(3, flat("5"), "01-10", "01-20")],
            [("", "01-05", "1"), ("01-05", "01-10", "3"), ("01-10", "01-20", "5"), ("01-20", "01-25", "3"), ("01-25", None, "1")],
        ),
        # Neighbours that say the same are one; a gap keeps them apart, and so does what they entitle to.
        ([entry(1, flat("1")), entry(2, flat("1"), "01-10", "01-20")], [("", None, "1")]),
        (
            [entry(1, flat("1"), None, "01-10"), entry(2, flat("1"), "01-20")],
            [("", "01-10", "1"), ("01-20", None, "1")],
        ),
        (
            [entry(1, flat("1")), entry(2, flat("1"), "01-10", entitled=False)],
            [("", "01-10", "1"), ("01-10", None, "1!")],
        ),
        # Prices of values and of all values are timelines of their own.
        (
            [entry(1, flat("1")), entry(2, flat("2"), "01-10", group=EU)],
            [("", None, "1"), ("01-10", None, "2")],
        ),
    ],
)  # fmt: skip
def test_timelines_are_laid_flat(entries: list[RateEntry], expected: list[tuple[str, str | None, str]]) -> None:
    assert shown(*entries) == expected
    assert shown(*reversed(entries)) == expected, "the order of addition counts, not that of the input"


def test_a_window_shows_what_holds_in_it_with_its_own_bounds() -> None:
    entries = entry(1, flat("1"), None, "01-10"), entry(2, flat("2"), "01-10", "01-20"), entry(3, flat("3"), "01-20")
    assert shown(*entries, window=Period(day("01-10"), day("01-20"))) == [("01-10", "01-20", "2")]
    assert shown(*entries, window=Period(day("01-15"))) == [("01-10", "01-20", "2"), ("01-20", None, "3")]


HOURS = st.integers(0, 72)


@st.composite
def lists(draw: st.DrawFn) -> list[RateEntry]:
    """Entries of two products and two regions that begin and end in the first three days of January."""
    found: list[RateEntry] = []
    for added in range(1, draw(st.integers(0, 8)) + 1):
        start = draw(st.one_of(st.none(), HOURS))
        end = draw(st.one_of(st.none(), st.integers(1 if start is None else start + 1, 73)))
        period = Period(
            SINCE_EVER if start is None else day("01-01") + start * HOUR,
            None if end is None else day("01-01") + end * HOUR,
        )
        made = entry(
            added,
            flat(draw(st.sampled_from("123"))),
            product_id=draw(st.sampled_from([A, B])),
            group=draw(st.sampled_from([(), EU, US])),
            entitled=draw(st.booleans()),
        )
        found.append(replace(made, period=period))
    return found


@given(lists())
def test_every_hour_finds_the_price_that_rating_finds(entries: list[RateEntry]) -> None:
    book, segments = rate_book(entries), rate_schedule(entries, EVER)
    for hour in (day("01-01") + n * HOUR for n in range(-1, 75)):
        for product_id in (A, B):
            for pricing in ((), EU, US):
                found = [
                    segment
                    for values in dict.fromkeys((pricing, ()))
                    for segment in segments
                    if (segment.entry.product_id, segment.entry.group_values) == (product_id, values)
                    and segment.period.contains(hour)
                ]
                wanted = entry_at(book, product_id=product_id, pricing=pricing, at=hour)
                got = (found[0].entry.rate, found[0].entry.entitled) if found else None
                assert got == (None if wanted is None else (wanted.rate, wanted.entitled))


@given(lists())
def test_segments_of_a_timeline_follow_each_other_and_differ(entries: list[RateEntry]) -> None:
    segments = rate_schedule(entries, EVER)
    for before, after in pairwise(segments):
        if (before.entry.product_id, before.entry.group_values) == (after.entry.product_id, after.entry.group_values):
            assert before.period.ending_before is not None
            assert before.period.ending_before <= after.period.starting_at
            meet = before.period.ending_before == after.period.starting_at
            assert not (meet and (before.entry.rate, before.entry.entitled) == (after.entry.rate, after.entry.entitled))


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([], True),
        ([Selector(product_id=A)], True),
        ([Selector(product_id=B)], False),
        ([Selector(product_id=B), Selector(any_tags=("gpu", "cpu"))], True),
        ([Selector(product_id=B, any_tags=("gpu",))], False),
        ([Selector(any_tags=("other",))], False),
        ([Selector(pricing=(("model", "big"), ("region", "eu")))], True),
        ([Selector(pricing=(("region", "eu"), ("model", "big")))], True),
        ([Selector(pricing=EU)], False),
        ([Selector(pricing=())], False),
        ([Selector(partial_pricing=EU)], True),
        ([Selector(partial_pricing=US)], False),
        ([Selector(partial_pricing=(("model", "big"), ("region", "eu")))], True),
        ([Selector(billing_frequency=Frequency.MONTHLY)], True),
        ([Selector(billing_frequency=Frequency.ANNUAL)], False),
        ([Selector()], True),
    ],
)
def test_selectors_are_alternatives_and_hold_whole(selectors: list[Selector], expected: bool) -> None:
    pricing: Group = (("model", "big"), ("region", "eu"))
    monthly = replace(entry(1, flat("1")), billing_frequency=Frequency.MONTHLY)
    assert selected(selectors, monthly, pricing=pricing, tags=("gpu", "beta")) is expected


def override(
    added: int, change: PriceChange | None, *specifiers: Specifier, start: str = "01-01", entitled: bool | None = None
) -> Override:
    period = Period(day(start))
    return Override(UUID(int=added + 50), period, specifiers or (Specifier(),), change, entitled, added, added)


def agreed(
    *overrides: Override, rates: tuple[RateEntry, ...], key: tuple[str, ...] = (), explicit: bool = False
) -> list[ContractRate]:
    by_key = product(1, "calls", pricing_group_key=key)
    priority = OverridePriority.EXPLICIT if explicit else OverridePriority.LOWEST_MULTIPLIER
    whole = replace(terms(*rates, products=(by_key, DATA)), overrides=overrides, override_priority=priority)
    return list(contract_rates(whole, at=day("01-15")))


def rows(found: list[ContractRate]) -> list[tuple[str, str, Rate, Rate | None, int | None]]:
    return [
        (
            one.product.name,
            ",".join(value or "" for _, value in one.pricing),
            one.listed.rate,
            one.override_rate,
            None if one.override is None else one.override.id.int - 50,
        )
        for one in found
    ]


def test_a_contract_shows_list_prices_and_what_its_override_makes_of_them() -> None:
    found = agreed(
        override(1, Multiplier(D("0.5")), Specifier(product_id=A)),
        override(2, Multiplier(D("0.1")), start="01-20"),
        rates=(entry(1, flat("2")), entry(2, flat("7"), product_id=B)),
    )
    assert rows(found) == [("calls", "", flat("2"), flat("1.0"), 1), ("data", "", flat("7"), None, None)]


def test_commit_specific_overrides_stand_beside_the_price_and_do_not_set_it() -> None:
    specific = replace(override(1, Multiplier(D("0.1")), Specifier(product_id=A)), is_commit_specific=True)
    later = replace(override(2, Multiplier(D("0.2")), start="01-20"), is_commit_specific=True)
    found = agreed(specific, later, rates=(entry(1, flat("2")), entry(2, flat("7"), product_id=B)))
    assert [(one.override_rate, one.commit_specific) for one in found] == [(None, (specific,)), (None, ())]


def test_only_what_is_entitled_is_shown() -> None:
    rates = (entry(1, flat("2"), entitled=False), entry(2, flat("7"), product_id=B))
    assert [one.product.name for one in agreed(rates=rates)] == ["data"]
    swapped = (
        override(1, None, Specifier(product_id=A), entitled=True),
        override(2, None, Specifier(product_id=B), entitled=False),
    )
    [row] = agreed(*swapped, rates=rates)
    assert (row.product, row.override, row.override_rate) == (replace(CALLS), None, None)


def test_values_that_an_override_names_have_a_row_of_their_own() -> None:
    eu = Specifier(product_id=A, pricing=EU)
    found = agreed(
        override(1, Overwrite(flat("9")), eu),
        override(2, Multiplier(D(2)), Specifier(product_id=A, pricing=US, presentation=(("cluster", "x"),))),
        rates=(entry(1, flat("2")),),
        key=("region",),
    )
    assert rows(found) == [("calls", "", flat("2"), None, None), ("calls", "eu", flat("2"), flat("9"), 1)]
    partly = agreed(override(1, Multiplier(D(2)), eu), rates=(entry(1, flat("2")),), key=("model", "region"))
    assert [one.pricing for one in partly] == [()]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (flat("10"), tiered(("5", "8.0"), (None, "10"))),
        (tiered(("2", "10"), (None, "5")), tiered(("2", "8.0"), ("3", "4.0"), (None, "5"))),
        (
            TieredPercentage(tiered(("2", "0.1"), (None, "0.05")).tiers),
            TieredPercentage(tiered(("2", "0.08"), ("3", "0.04"), (None, "0.05")).tiers),
        ),
    ],
)
def test_a_tiered_multiplier_is_shown_as_tiers(listed: Rate, expected: Rate) -> None:
    change = TieredMultiplier((MultiplierTier(D(5), D("0.8")),))
    [row] = agreed(override(1, change), rates=(entry(1, listed),), explicit=True)
    assert isinstance(row.override_rate, Tiered | TieredPercentage)
    assert row.override_rate == expected


def test_bands_at_one_price_are_one_tier() -> None:
    """3 at half, then 3 and 4 at four fifths within the first tier of 10, then four fifths of the second."""
    factors = (("3", "0.5"), ("3", "0.8"), ("4", "0.8"), ("90", "0.8"))
    change = TieredMultiplier(tuple(MultiplierTier(D(size), D(factor)) for size, factor in factors))
    [row] = agreed(override(1, change), rates=(entry(1, tiered(("10", "1"), (None, "2"))),), explicit=True)
    assert row.override_rate == tiered(("3", "0.5"), ("7", "0.8"), ("90", "1.6"), (None, "2"))


def test_rows_follow_the_card_then_names_then_values_and_frequencies() -> None:
    by_month, by_year = (
        replace(entry(number, flat(price)), billing_frequency=frequency)
        for number, price, frequency in ((1, "9", Frequency.MONTHLY), (2, "80", Frequency.ANNUAL))
    )
    rates = (
        entry(3, flat("5"), product_id=C),
        by_month,
        by_year,
        entry(4, flat("1")),
        entry(5, flat("2"), "01-20", product_id=B),
    )
    named = (product(1, "calls"), DATA, product(3, "boards"))
    found = contract_rates(terms(*rates, products=named), at=day("01-15"))
    assert [(one.product.name, one.listed.rate) for one in found] == [
        ("boards", flat("5")), ("calls", flat("1")), ("calls", flat("80")), ("calls", flat("9")),
    ]  # fmt: skip
    found = contract_rates(terms(*rates, products=named, order=(A,)), at=day("01-25"))
    assert [(one.product.name, one.listed.rate) for one in found] == [
        ("calls", flat("1")), ("calls", flat("80")), ("calls", flat("9")), ("boards", flat("5")), ("data", flat("2")),
    ]  # fmt: skip
    half_by_year = override(1, Multiplier(D("0.5")), Specifier(product_id=A, billing_frequency=Frequency.ANNUAL))
    found = contract_rates(replace(terms(*rates, products=named), overrides=(half_by_year,)), at=day("01-15"))
    assert [one.override_rate for one in found] == [None, None, flat("40.0"), None]


def test_values_have_the_price_that_is_listed_for_them() -> None:
    found = agreed(
        override(1, Multiplier(D("0.5")), Specifier(product_id=A, pricing=EU)),
        override(2, Multiplier(D("0.1")), Specifier(product_id=A, pricing=US), start="01-20"),
        rates=(entry(1, flat("2")), entry(2, flat("4"), group=EU)),
        key=("region",),
    )
    assert rows(found) == [("calls", "", flat("2"), None, None), ("calls", "eu", flat("4"), flat("2.0"), 1)]


def test_a_product_is_shown_and_reached_as_it_is_then() -> None:
    """Renamed and tagged from the 10th on; an override for the tag reaches it from then."""
    later = Naming(day("01-10"), "requests", ("core",))
    renamed = replace(product(1, "calls", pricing_group_key=("region",)), namings=(later,))
    core_in_eu = override(1, Multiplier(D("0.5")), Specifier(tags=("core",), pricing=EU))
    whole = replace(terms(entry(1, flat("2")), products=(renamed,)), overrides=(core_in_eu,))
    assert rows(list(contract_rates(whole, at=day("01-05")))) == [("calls", "", flat("2"), None, None)]
    assert rows(list(contract_rates(whole, at=day("01-15")))) == [
        ("requests", "", flat("2"), None, None), ("requests", "eu", flat("2"), flat("1.0"), 1),
    ]  # fmt: skip


def test_values_without_a_price_of_their_own_now_are_among_all_others() -> None:
    found = agreed(rates=(entry(1, flat("1")), entry(2, flat("2"), "01-20", group=EU)), key=("region",))
    assert [(one.pricing, one.listed.rate) for one in found] == [((), flat("1"))]


def test_a_tiered_multiplier_of_a_price_by_volume_is_no_single_price() -> None:
    listed = Volume(tiered(("2", "10"), (None, "5")).tiers)
    change = TieredMultiplier((MultiplierTier(D(5), D("0.8")),))
    [row] = agreed(override(1, change), rates=(entry(1, listed),), explicit=True)
    assert (row.override is None, row.override_rate) == (False, None)


def test_a_card_may_name_products_that_have_no_price_now() -> None:
    assert agreed(rates=(entry(1, flat("1"), "01-20"), entry(2, flat("1"), None, "01-10", product_id=B))) == []
