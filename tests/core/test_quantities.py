"""From measured to priced quantities: conversion, rounding, scheduled versions, groups."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.metering import HourQuantity
from app.core.money import canonical
from app.core.period import Period
from app.core.quantities import (
    UsageKey,
    conversion_from_json,
    conversion_to_json,
    group_names_of,
    rounding_from_json,
    rounding_to_json,
    usage_of,
    versions_in,
)
from app.core.terms import Conversion, ConversionOperation, Product, ProductVersion, Rounding, RoundingMethod
from tests.core.agreements import CALLS, JANUARY, A, day, hour_lists, product, used

D = Decimal
OTHER = UUID(int=7)


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
    found = usage_of(sold, {A: {(): measured}}, JANUARY)
    assert (quantities(found) if found else None) == priced


def test_another_metric_goes_on_from_where_the_first_one_was() -> None:
    swapped = replace(CALLS, versions=(version("01-16", OTHER),))
    hours = {A: {(): used(d2="4", d3="1", d17="94")}, OTHER: {(): used(d5="3", d17="7", d18="1")}}
    assert quantities(usage_of(swapped, hours, JANUARY)) == {"d2": "4", "d3": "1", "d17": "7", "d18": "1"}
    only_first = {A: {(): used(d2="4")}, OTHER: {}}
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
    assert usage_of(grouped, {A: hours}, JANUARY) == {eu: [*one, *two], us: three}
    assert usage_of(replace(grouped, rounding=up(0)), {A: hours}, JANUARY) == {eu: used(d2="3"), us: three}
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
    whole = usage_of(sold, {A: {(): at_once}}, JANUARY)
    found = usage_of(sold, {A: {(): hours}}, JANUARY)
    sums = [sum((item.quantity for hours in usage.values() for item in hours), D(0)) for usage in (found, whole)]
    assert sums[0] == sums[1]
