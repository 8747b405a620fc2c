"""From measured to priced quantities: conversion, rounding, scheduled versions, groups."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.conversions import (
    Conversion,
    ConversionOperation,
    Rounding,
    RoundingMethod,
    conversion_from_json,
    conversion_to_json,
    rounding_from_json,
    rounding_to_json,
)
from app.core.metering import HourQuantity
from app.core.money import canonical
from app.core.period import HOUR, Period
from app.core.quantities import UsageKey, group_names_of, usage_from_json, usage_of, usage_to_json, versions_in
from app.core.terms import Product, ProductVersion
from tests.core.agreements import CALLS, JANUARY, A, day, hour_lists, product, used

D = Decimal
OTHER = UUID(int=7)
BY_TEAM = (A, ("region", "team"))


def times(factor: str) -> Conversion:
    return Conversion(ConversionOperation.MULTIPLY, D(factor))


def by(factor: str) -> Conversion:
    return Conversion(ConversionOperation.DIVIDE, D(factor))


def up(places: int = 0) -> Rounding:
    return Rounding(RoundingMethod.ROUND_UP, places)


def down(places: int = 0) -> Rounding:
    return Rounding(RoundingMethod.ROUND_DOWN, places)


def half_up(places: int = 0) -> Rounding:
    return Rounding(RoundingMethod.ROUND_HALF_UP, places)


def version(start: str, metric_id: UUID = A, **parts: object) -> ProductVersion:
    return replace(ProductVersion(day(start), metric_id), **parts)


def quantities(found: dict[UsageKey, list[HourQuantity]]) -> dict[str, str]:
    """day -> quantity of the one key"""
    [hours] = found.values() or [[]]
    return {f"d{item.hour:%-d}": canonical(item.quantity) for item in hours}


@pytest.mark.parametrize(
    ("sold", "measured", "priced"),
    [
        pytest.param(replace(CALLS, conversion=times("0.5")), used(d2="3", d3="-1"), {"d2": "1.5", "d3": "-0.5"}, id="x"),
        pytest.param(
            replace(CALLS, conversion=by("1024"), rounding=up()), used(d2="1000", d3="536"), {"d2": "1", "d3": "1"},
            id="aggregate, convert, round",
        ),
        pytest.param(
            replace(CALLS, rounding=half_up()), used(d2="0.4", d3="0.4", d4="0.4"), {"d3": "1"},
            id="the cumulative value is rounded",
        ),
        pytest.param(
            replace(CALLS, conversion=by("3")), used(d2="1", d3="1", d4="1"),
            {"d2": "0.333333333333", "d3": "0.333333333334", "d4": "0.333333333333"}, id="thirds add up to one",
        ),
        pytest.param(replace(CALLS, rounding=up()), used(d2="-0.1"), {"d2": "-1"}, id="up is away from zero"),
        pytest.param(replace(CALLS, rounding=down(1)), used(d2="-0.19"), {"d2": "-0.1"}, id="down is towards zero"),
        pytest.param(replace(CALLS, rounding=down()), used(d2="0.9"), None, id="rounded away"),
        pytest.param(
            replace(CALLS, versions=(version("01-16", conversion=times("2")),)), used(d2="5", d20="5"),
            {"d2": "5", "d20": "10"}, id="a conversion from the sixteenth on",
        ),
        pytest.param(
            replace(CALLS, versions=(version("01-16", rounding=up()),)), used(d2="1.5", d20="0.2"),
            {"d2": "1.5", "d16": "0.5"}, id="a rounding from the sixteenth on rounds what there is",
        ),
        pytest.param(
            replace(CALLS, rounding=up(), versions=(version("01-16"),)), used(d2="1.5", d20="0.2"),
            {"d2": "2", "d16": "-0.5", "d20": "0.2"}, id="and the end of one gives back",
        ),
        pytest.param(
            replace(CALLS, versions=(version("02-16", conversion=times("9")),)), used(d2="5"), {"d2": "5"},
            id="a version after the statement",
        ),
        pytest.param(
            replace(CALLS, versions=(version("01-01", conversion=times("9")),)), used(d2="5"), {"d2": "45"},
            id="a version from the start of the statement",
        ),
    ],
)  # fmt: skip
def test_quantities(sold: Product, measured: list[HourQuantity], priced: dict[str, str] | None) -> None:
    found = usage_of(sold, {(A, ()): {(): measured}}, JANUARY)
    assert (quantities(found) if found else None) == priced


def test_another_metric_goes_on_from_where_the_first_one_was() -> None:
    swapped = replace(CALLS, versions=(version("01-16", OTHER),))
    hours = {(A, ()): {(): used(d2="4", d3="1", d17="94")}, (OTHER, ()): {(): used(d5="3", d17="7", d18="1")}}
    assert quantities(usage_of(swapped, hours, JANUARY)) == {"d2": "4", "d3": "1", "d17": "7", "d18": "1"}
    only_first = {(A, ()): {(): used(d2="4")}, (OTHER, ()): {}}
    assert quantities(usage_of(swapped, only_first, JANUARY)) == {"d2": "4"}


def test_a_metric_that_is_split_further() -> None:
    grouped = product(1, "calls", pricing_group_key=("region",), presentation_group_key=("region", "team"))
    one, two, three = used(d2="1"), used(d2="2"), used(d3="3")
    hours = {
        (("plan", "x"), ("region", "eu"), ("team", None)): one,
        (("plan", "y"), ("region", "eu"), ("team", None)): two,
        (("plan", "y"), ("region", "us"), ("team", "red")): three,
    }
    eu = UsageKey(A, (("region", "eu"),), (("region", "eu"), ("team", None)))
    us = UsageKey(A, (("region", "us"),), (("region", "us"), ("team", "red")))
    assert usage_of(grouped, {BY_TEAM: hours}, JANUARY) == {eu: [*one, *two], us: three}
    assert usage_of(replace(grouped, rounding=up(0)), {BY_TEAM: hours}, JANUARY) == {eu: used(d2="3"), us: three}
    assert group_names_of(grouped) == ("region", "team")


def test_versions_of_a_period() -> None:
    first, second = version("01-10", OTHER), version("01-20")
    sold = replace(CALLS, versions=(first, second))
    assert [found.metric_id for found in versions_in(sold, JANUARY)] == [A, OTHER, A]
    assert versions_in(sold, Period(day("01-12"), day("01-14"))) == (first,)
    assert versions_in(sold, Period(day("03-01"), day("04-01"))) == (second,)
    assert versions_in(replace(CALLS, metric_id=None), JANUARY) == ()
    assert usage_of(replace(CALLS, metric_id=None), {}, JANUARY) == {}


def test_definitions_that_make_no_sense() -> None:
    for factor in ("0", "-1", "NaN"):
        with pytest.raises(ValueError, match="above 0"):
            times(factor)
    with pytest.raises(ValueError, match="0 or more"):
        up(-1)
    with pytest.raises(ValueError, match="sorted by start"):
        replace(CALLS, versions=(version("01-16"), version("01-16")))


@pytest.mark.parametrize("conversion", [times("0.5"), by("1024")])
def test_the_stored_form_of_a_conversion(conversion: Conversion) -> None:
    assert conversion_from_json(json.loads(json.dumps(conversion_to_json(conversion)))) == conversion


@pytest.mark.parametrize("rounding", [up(), down(3), half_up(12)])
def test_the_stored_form_of_a_rounding(rounding: Rounding) -> None:
    assert rounding_from_json(json.loads(json.dumps(rounding_to_json(rounding)))) == rounding


@given(hour_lists, st.sampled_from([up(), down(1), half_up(), None]), st.sampled_from([times("1.5"), by("7"), None]))
def test_hours_add_up_to_the_quantity_of_the_statement(
    hours: list[HourQuantity], rounding: Rounding | None, conversion: Conversion | None
) -> None:
    sold = replace(CALLS, conversion=conversion, rounding=rounding)
    at_once = [HourQuantity(day("01-31T23:00:00"), sum((item.quantity for item in hours), D(0)))]
    whole = usage_of(sold, {(A, ()): {(): at_once}}, JANUARY)
    found = usage_of(sold, {(A, ()): {(): hours}}, JANUARY)
    sums = [sum((item.quantity for hours in usage.values() for item in hours), D(0)) for usage in (found, whole)]
    assert sums[0] == sums[1]


def keyed(
    start: str, pricing: tuple[str, ...] = (), presentation: tuple[str, ...] = (), **parts: object
) -> ProductVersion:
    return version(start, pricing_group_key=pricing, presentation_group_key=presentation, **parts)


def of(region: str | None = None, team: str | None = None) -> UsageKey:
    """The usage of a region as a pricing value, of a team as a presentation value."""
    return UsageKey(A, (("region", region),) if region else (), (("team", team),) if team else ())


ALL, BY_REGION = (A, ()), (A, ("region",))
EU, US = (("region", "eu"),), (("region", "us"),)
SPLIT = {ALL: {(): used(d2="4", d20="2")}, BY_REGION: {EU: used(d2="3", d20="1"), US: used(d2="1", d20="1")}}


@pytest.mark.parametrize(
    ("sold", "priced"),
    [
        pytest.param(
            replace(CALLS, versions=(keyed("01-16", ("region",)),)),
            {of(): {"d2": "4"}, of("eu"): {"d20": "1"}, of("us"): {"d20": "1"}}, id="split from the sixteenth on",
        ),
        pytest.param(
            replace(CALLS, pricing_group_key=("region",), versions=(keyed("01-16"),)),
            {of("eu"): {"d2": "3"}, of("us"): {"d2": "1"}, of(): {"d20": "2"}}, id="not split any more",
        ),
        pytest.param(
            replace(CALLS, pricing_group_key=("region",), versions=(keyed("01-10"), keyed("01-16", ("region",)))),
            {of("eu"): {"d2": "3", "d20": "1"}, of("us"): {"d2": "1", "d20": "1"}}, id="the keys return",
        ),
        pytest.param(
            replace(CALLS, versions=(keyed("01-20T01:00:00", ("region",)),)),
            {of(): {"d2": "4"}, of("eu"): {"d20": "1"}, of("us"): {"d20": "1"}}, id="in the hour of the usage",
        ),
        pytest.param(
            replace(CALLS, rounding=half_up(), conversion=by("8"), versions=(
                keyed("01-16", ("region",), rounding=up(), conversion=by("8")),
            )),
            {of(): {"d2": "1"}, of("eu"): {"d20": "1"}, of("us"): {"d20": "1"}}, id="each is rounded by itself",
        ),
        pytest.param(
            replace(CALLS, conversion=by("8"), versions=(
                keyed("01-16", ("region",), rounding=up(), conversion=by("8")),
            )),
            {of(): {"d2": "0.5"}, of("eu"): {"d20": "1"}, of("us"): {"d20": "1"}},
            id="a rounding that came with other keys leaves the old ones alone",
        ),
        pytest.param(
            replace(CALLS, versions=(keyed("02-01", ("region",)),)), {of(): {"d2": "4", "d20": "2"}},
            id="keys after the statement",
        ),
    ],
)  # fmt: skip
def test_group_keys_of_the_hour(sold: Product, priced: dict[UsageKey, dict[str, str]]) -> None:
    found = usage_of(sold, SPLIT, JANUARY)
    assert {key: quantities({key: hours}) for key, hours in found.items()} == priced


def test_a_key_moves_from_price_to_presentation() -> None:
    sold = replace(CALLS, pricing_group_key=("region",), versions=(keyed("01-16", (), ("region",)),))
    found = usage_of(sold, {BY_REGION: SPLIT[BY_REGION]}, JANUARY)
    shown = {(key.pricing, key.presentation): quantities({key: hours}) for key, hours in found.items()}
    assert shown == {(EU, ()): {"d2": "3"}, (US, ()): {"d2": "1"}, ((), EU): {"d20": "1"}, ((), US): {"d20": "1"}}


def test_a_highest_value_counts_beyond_what_it_reached_before_the_change() -> None:
    """An hour is the increment of its own split since the start of the statement, whoever counted before."""
    sold = replace(CALLS, pricing_group_key=("region",), versions=(keyed("01-16"),))
    reached = {ALL: {(): used(d2="10", d20="2")}, BY_REGION: {EU: used(d2="10", d20="2"), US: used(d3="8")}}
    found = usage_of(sold, reached, JANUARY)
    assert {key: quantities({key: hours}) for key, hours in found.items()} == {
        of("eu"): {"d2": "10"}, of("us"): {"d3": "8"}, of(): {"d20": "2"},
    }  # fmt: skip


@given(hour_lists, hour_lists, st.integers(0, 31 * 24 - 1), st.sampled_from([None, by("8")]))
def test_a_change_of_keys_loses_no_usage(
    eu: list[HourQuantity], us: list[HourQuantity], hours: int, conversion: Conversion | None
) -> None:
    change = keyed("01-01", ("region",), conversion=conversion)
    sold = replace(
        CALLS, conversion=conversion, versions=(replace(change, starting_at=JANUARY.starting_at + hours * HOUR),)
    )
    found = usage_of(sold, {ALL: {(): [*eu, *us]}, BY_REGION: {EU: eu, US: us}}, JANUARY)
    total = sum((item.quantity for usage in found.values() for item in usage), D(0))
    assert total == sum((item.quantity for item in (*eu, *us)), D(0)) / (1 if conversion is None else 8)


def test_a_product_at_an_instant_has_the_keys_of_then() -> None:
    sold = replace(CALLS, versions=(keyed("01-16", ("region",), ("team",)),))
    assert sold.at(day("01-15T23:00:00")) == sold
    assert sold.at(day("01-16")).pricing_group_key == ("region",)
    assert sold.at(day("01-16")).presentation_group_key == ("team",)


def test_the_stored_form_of_usage() -> None:
    usage = {of("eu", "red"): used(d2="1.50", d3="-1"), of(): used(d4="2")}
    form = usage_to_json(usage)
    assert usage_from_json(json.loads(json.dumps(form))) == usage
    assert form == usage_to_json(dict(reversed(usage.items())))


@pytest.mark.parametrize("regions", [("eu",), ("us", "eu")])
def test_stored_usage_is_in_the_order_of_its_texts(regions: tuple[str, ...]) -> None:
    usage = {
        UsageKey(UUID(int=number), (("region", region),)): used(d2="1") for number in (9, 1, 5) for region in regions
    }
    form = usage_to_json(usage)
    assert form == sorted(form, key=json.dumps)
    assert len(form) == 3 * len(regions)
