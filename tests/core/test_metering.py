"""Events to quantities: filters, values, groups, hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.metering import (
    Event,
    HourQuantity,
    HoursByGroup,
    added,
    canonical_group,
    contributes,
    fold,
    group_from_text,
    group_names,
    group_of,
    matches,
    measure,
)
from app.core.terms import Aggregation, Group, Metric, PropertyFilter

D = Decimal
START = datetime(2025, 1, 2, tzinfo=UTC)


def event(event_type: str = "call", minute: int = 0, **properties: object) -> Event:
    return Event("acme", event_type, START + timedelta(minutes=minute), properties)


def metric(
    key: str | None = None,
    *,
    event_types_in: tuple[str, ...] = (),
    event_types_not_in: tuple[str, ...] = (),
    filters: tuple[PropertyFilter, ...] = (),
    group_keys: tuple[tuple[str, ...], ...] = (),
) -> Metric:
    aggregation = Aggregation.COUNT if key is None else Aggregation.SUM
    return Metric(UUID(int=1), "m", aggregation, key, event_types_in, event_types_not_in, filters, group_keys)


def test_count_sees_only_events_that_pass_every_filter() -> None:
    counted = metric(
        event_types_in=("call",),
        filters=(PropertyFilter("region", not_in_values=("us",)), PropertyFilter("status", exists=True)),
    )
    for sample, passes in [
        (event("other", region="eu", status="ok"), False),
        (event(region="us", status="ok"), False),
        (event(region="eu"), False),
        (event(region="eu", status=None), False),
        (event(region="eu", status="ok"), True),
        (event(status="ok"), True),
    ]:
        assert matches(counted, sample) is passes
        assert measure(counted, sample) == (D(1) if passes else None)


@pytest.mark.parametrize(
    ("condition", "passing", "failing"),
    [
        (PropertyFilter("p"), [{}, {"p": "x"}, {"p": None}], []),
        (PropertyFilter("p", exists=True), [{"p": ""}, {"p": False}, {"p": []}], [{}, {"p": None}]),
        (PropertyFilter("p", exists=False), [{}, {"p": None}], [{"p": ""}, {"p": 0}]),
        (PropertyFilter("p", in_values=("a", "2", "true")), [{"p": "a"}, {"p": 2}, {"p": D("2.0")}, {"p": True}],
         [{}, {"p": "b"}, {"p": "2.0"}, {"p": ["a"]}]),
        (PropertyFilter("p", not_in_values=("a",)), [{}, {"p": "b"}, {"p": {"a": 1}}], [{"p": "a"}]),
        (PropertyFilter("p", exists=True, not_in_values=("a",)), [{"p": "b"}], [{}, {"p": "a"}]),
    ],
)  # fmt: skip
def test_property_filters(
    condition: PropertyFilter, passing: list[dict[str, object]], failing: list[dict[str, object]]
) -> None:
    for properties in passing:
        assert matches(metric(filters=(condition,)), event(**properties)), properties
    for properties in failing:
        assert not matches(metric(filters=(condition,)), event(**properties)), properties


def test_event_types() -> None:
    assert matches(metric(), event("anything"))
    assert not matches(metric(event_types_not_in=("call",)), event("call"))
    assert matches(metric(event_types_not_in=("call",)), event("other"))


@pytest.mark.parametrize(
    ("value", "quantity"),
    [
        ("1.5", "1.5"),
        (2, "2"),
        (D("0.30"), "0.3"),
        (D("1E+3"), "1000"),
        ("-3", "-3"),
        (0, "0"),
        *((value, None) for value in ("abc", "", "1e3", "NaN", " 1", "1_0", True, False, None, [], {}, [1])),
        *((value, None) for value in (D("NaN"), D("Infinity"), D("1E+400"), D("1E-400"), 10**38, "9" * 60)),
    ],
)
def test_strings_and_numbers_count_alike_and_all_else_is_no_value(value: object, quantity: str | None) -> None:
    assert measure(metric("n"), event(n=value)) == (None if quantity is None else D(quantity))


def test_a_missing_value_is_no_value_and_a_float_is_a_fault_of_the_reader() -> None:
    assert measure(metric("n"), event()) is None
    for use in (lambda: measure(metric("n"), event(n=0.5)), lambda: group_of(["n"], event(n=0.5))):
        with pytest.raises(AssertionError, match="never as float"):
            use()


def test_an_event_that_matches_may_bring_nothing() -> None:
    unique = Metric(UUID(int=1), "m", Aggregation.UNIQUE, "n")
    for value, counts, sums in [("1.5", True, True), ("junk", True, False), (True, True, False), (None, False, False)]:
        assert contributes(unique, event(n=value)) is counts
        assert contributes(metric("n"), event(n=value)) is sums
    assert contributes(metric(), event())


def test_a_sum_needs_a_key_and_a_count_takes_none() -> None:
    with pytest.raises(ValueError, match="needs an aggregation key"):
        Metric(UUID(int=1), "m", Aggregation.SUM)
    with pytest.raises(ValueError, match="takes no aggregation key"):
        Metric(UUID(int=1), "m", Aggregation.COUNT, "n")


def test_groups() -> None:
    split = metric(group_keys=(("region", "team"), ("region",), ("plan",)))
    sample = event(region="eu", team=None, plan=D("1.50"), other="x")
    assert group_names(split) == ("plan", "region", "team")
    assert group_of(split, sample) == (("plan", "1.5"), ("region", "eu"), ("team", None))
    assert group_of(["team", "plan", "plan"], event(plan=[1], team=True)) == (("plan", None), ("team", "true"))
    assert group_of([], sample) == ()
    assert group_of(["huge"], event(huge=D("1E+400"))) == (("huge", "1E+400"),)


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ((), "{}"),
        ((("region", "eu"),), '{"region":"eu"}'),
        ((("a", None), ("b", 'ü " \\')), '{"a":null,"b":"ü \\" \\\\"}'),
    ],
)
def test_the_text_of_a_group(group: Group, text: str) -> None:
    assert canonical_group(group) == text
    assert group_from_text(text) == group


def test_hours_of_a_sum_by_group() -> None:
    summed = metric("n", group_keys=(("region",),))
    found = fold(
        summed,
        [
            event(minute=59, region="eu", n="1"),
            event(minute=0, region="eu", n="2"),
            event(minute=60, region="eu", n="4"),
            event(minute=61, region="eu", n="-1"),
            event(minute=200, region="eu", n="8"),
            event(minute=210, region="eu", n="-8"),
            event(minute=0, region="us", n="3"),
            event(minute=0, region="us", n="-3"),
            event(minute=0, region="us", n="x"),
        ],
    )
    hour = timedelta(hours=1)
    assert found == {(("region", "eu"),): (HourQuantity(START, D(3)), HourQuantity(START + hour, D(3)))}


def read(aggregation: Aggregation, *, group_keys: tuple[tuple[str, ...], ...] = ()) -> Metric:
    return Metric(UUID(int=1), "m", aggregation, "n", group_keys=group_keys)


def by_hour(found: HoursByGroup, group: Group = ()) -> dict[int, str]:
    """hour -> quantity"""
    return {(item.hour - START) // timedelta(hours=1): str(item.quantity) for item in found.get(group, ())}


@pytest.mark.parametrize(
    ("aggregation", "values", "hours"),
    [
        pytest.param(
            Aggregation.MAX, [(0, "5"), (10, "9"), (60, "7"), (120, "12"), (121, "junk")], {0: "9", 2: "3"},
            id="only a new high counts",
        ),
        pytest.param(Aggregation.MAX, [(0, "-5"), (60, "-1")], {}, id="a maximum begins at 0"),
        pytest.param(
            Aggregation.UNIQUE, [(0, "a"), (1, "a"), (60, "b"), (61, "a"), (120, "b"), (121, 7), (122, "7"), (123, None)],
            {0: "1", 1: "1", 2: "1"}, id="each value counts once",
        ),
        pytest.param(
            Aggregation.LATEST, [(0, "7"), (60, "9"), (61, "3"), (62, "9"), (120, "10"), (180, "5"), (240, "x")],
            {0: "7", 1: "2", 2: "1", 3: "-5"}, id="the latest value moves both ways",
        ),
        pytest.param(Aggregation.LATEST, [(30, "1"), (10, "2")], {0: "1"}, id="time decides, not the order of ingest"),
        pytest.param(Aggregation.LATEST, [(30, "1"), (30, "2")], {0: "2"}, id="at one instant the last ingested"),
    ],
)  # fmt: skip
def test_hours_of_what_does_not_add_up(
    aggregation: Aggregation, values: list[tuple[int, object]], hours: dict[int, str]
) -> None:
    assert by_hour(fold(read(aggregation), [event(minute=minute, n=value) for minute, value in values])) == hours


def test_groups_come_first_and_are_those_asked_for() -> None:
    sample = [event(region="eu", team="a", n="5"), event(region="eu", team="b", n="4"), event(region="us", n="1")]
    split = read(Aggregation.MAX, group_keys=(("region", "team"),))
    assert by_hour(fold(split, sample, by=("region",)), (("region", "eu"),)) == {0: "5"}
    assert by_hour(fold(split, sample), (("region", "eu"), ("team", "b"))) == {0: "4"}


def test_a_count_folds_what_it_sees() -> None:
    counted = metric(event_types_in=("call",))
    assert by_hour(fold(counted, [event(), event(), event("other"), event(minute=60)])) == {0: "2", 1: "1"}


def test_one_event_alone_is_measured_only_where_events_add_up() -> None:
    with pytest.raises(AssertionError, match="those before it"):
        measure(read(Aggregation.MAX), event(n="1"))


events = st.lists(
    st.builds(
        lambda minute, region, n: event(minute=minute, region=region, n=n),
        st.integers(0, 3000),
        st.sampled_from(["eu", "us", None]),
        st.integers(-5, 5) | st.just("1.25") | st.just("junk"),
    )
)


@given(events, st.integers(0, 30), st.randoms(use_true_random=False))
def test_neither_order_nor_batches_change_the_hours(sample: list[Event], cut: int, random: Random) -> None:
    summed = metric("n", group_keys=(("region",),))
    whole = fold(summed, sample)
    shuffled = sample.copy()
    random.shuffle(shuffled)
    assert fold(summed, shuffled) == whole
    merged: dict[tuple[Group, datetime], Decimal] = {}
    for batch in (sample[:cut], sample[cut:]):
        for group, hours in fold(summed, batch).items():
            for item in hours:
                merged[group, item.hour] = merged.get((group, item.hour), D(0)) + item.quantity
    expected = {(group, item.hour): item.quantity for group, hours in whole.items() for item in hours}
    assert {key: quantity for key, quantity in merged.items() if quantity} == expected


@given(events, st.sampled_from([Aggregation.MAX, Aggregation.UNIQUE]), st.randoms(use_true_random=False))
def test_hours_only_rise_and_no_order_plays_a_role(
    sample: list[Event], aggregation: Aggregation, random: Random
) -> None:
    whole = fold(read(aggregation), sample)
    assert all(item.quantity > 0 for hours in whole.values() for item in hours)
    assert fold(read(aggregation), random.sample(sample, len(sample))) == whole


@given(events)
def test_the_hours_of_the_latest_value_add_up_to_it(sample: list[Event]) -> None:
    [hours] = fold(read(Aggregation.LATEST), sample).values() or [()]
    values = [item for item in sample if item.properties["n"] != "junk"]
    latest = max(enumerate(values), key=lambda pair: (pair[1].timestamp, pair[0]), default=None)
    expected = D(0) if latest is None else D(str(latest[1].properties["n"]))
    assert sum((item.quantity for item in hours), D(0)) == expected


def test_two_parts_of_usage_are_added_hour_by_hour() -> None:
    eu, us = (("region", "eu"),), (("region", "us"),)
    at = [START + timedelta(hours=hour) for hour in range(3)]
    one = {eu: [HourQuantity(at[0], D(1)), HourQuantity(at[2], D(5))], us: [HourQuantity(at[1], D(2))]}
    other = {eu: [HourQuantity(at[1], D(4)), HourQuantity(at[2], D(-3))], us: [HourQuantity(at[1], D(-2))]}
    assert added(one, other) == {
        eu: (HourQuantity(at[0], D(1)), HourQuantity(at[1], D(4)), HourQuantity(at[2], D(2))),
    }


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(-9, 9), st.sampled_from("ab")), max_size=20), st.integers(0, 20)
)
def test_adding_two_parts_is_folding_the_whole(found: list[tuple[int, int, str]], cut: int) -> None:
    summed = metric("n", group_keys=(("region",),))
    events = [event(minute=minute, n=n, region=region) for minute, n, region in found]
    assert added(fold(summed, events[:cut]), fold(summed, events[cut:])) == fold(summed, events)
