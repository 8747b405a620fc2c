"""Usage filters: the one in force when something happened decides whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.filters import Filters, filter_at, share_usage, stretches, taken, takes
from app.core.metering import Event, HourQuantity, fold
from app.core.period import HOUR, Period
from app.core.quantities import UsageKey
from app.core.rating import rate_statement
from app.core.terms import Aggregation, Metric, UsageFilter
from tests.core.agreements import JANUARY, A, day, entry, flat, terms, used

D = Decimal
EU_THEN_US = (UsageFilter(day("01-01"), "region", ("eu",)), UsageFilter(day("01-16"), "region", ("us", "ca")))
LATER = (UsageFilter(day("01-16"), "region", ("eu",)),)


def event(moment: str, **properties: object) -> Event:
    return Event("acme", "call", day(moment), properties)


@pytest.mark.parametrize(
    ("filters", "moment", "properties", "is_taken"),
    [
        ((), "01-10T01:00:00", {"region": "us"}, True),
        (EU_THEN_US, "01-10T01:00:00", {"region": "eu"}, True),
        (EU_THEN_US, "01-10T01:00:00", {"region": "us"}, False),
        (EU_THEN_US, "01-15T23:59:59", {"region": "eu"}, True),
        (EU_THEN_US, "01-16T00:00:00", {"region": "eu"}, False),
        (EU_THEN_US, "01-16T00:00:00", {"region": "ca"}, True),
        (EU_THEN_US, "01-16T00:00:00", {}, False),
        (EU_THEN_US, "01-16T00:00:00", {"region": None}, False),
        (LATER, "01-15T23:59:59", {"region": "us"}, True),
        (LATER, "01-16T00:00:00", {"region": "us"}, False),
        ((UsageFilter(day("01-01"), "tier", ("1.5",)),), "01-02T00:00:00", {"tier": D("1.50")}, True),
    ],
)
def test_the_filter_in_force_at_the_time_decides(
    filters: Filters, moment: str, properties: dict[str, object], is_taken: bool
) -> None:
    assert takes(filters, event(moment, **properties)) is is_taken


def test_before_the_first_filter_there_is_none() -> None:
    assert filter_at(LATER, day("01-15")) is None
    assert filter_at(LATER, day("02-15")) == LATER[0]
    with pytest.raises(ValueError, match="at least one value"):
        UsageFilter(day("01-01"), "region", ())


def test_a_period_in_stretches() -> None:
    assert stretches((), JANUARY) == ((JANUARY, None),)
    assert stretches(EU_THEN_US, JANUARY) == (
        (Period(day("01-01"), day("01-16")), EU_THEN_US[0]),
        (Period(day("01-16"), day("02-01")), EU_THEN_US[1]),
    )
    assert stretches(LATER, JANUARY)[0] == (Period(day("01-01"), day("01-16")), None)
    assert stretches(EU_THEN_US, Period(day("02-01"), None)) == ((Period(day("02-01"), None), EU_THEN_US[1]),)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((), (), True),
        (EU_THEN_US, (), True),
        (EU_THEN_US, EU_THEN_US, True),
        ((EU_THEN_US[0],), (replace(EU_THEN_US[1], starting_at=day("01-01")),), False),
        ((EU_THEN_US[0],), (UsageFilter(day("01-01"), "cloud", ("aws",)),), True),
        ((EU_THEN_US[0],), (UsageFilter(day("01-01"), "region", ("us", "eu")),), True),
        # Apart until the 16th, when the one or the other changes; and from a filter's later start on.
        (EU_THEN_US, (UsageFilter(day("01-01"), "region", ("us",)),), True),
        ((UsageFilter(day("01-01"), "region", ("us",)),), EU_THEN_US, True),
        ((UsageFilter(day("01-01"), "region", ("jp",)),), EU_THEN_US, False),
        ((UsageFilter(day("01-01"), "region", ("us",)),), LATER, True),
        # What only meets after the common period does not count.
        ((UsageFilter(day("01-01"), "region", ("us",)),), (EU_THEN_US[0], replace(EU_THEN_US[1], starting_at=day("02-01"))), False),
    ],
)  # fmt: skip
def test_which_contracts_could_take_the_same_usage(one: Filters, other: Filters, shared: bool) -> None:
    assert share_usage(one, other, JANUARY) is shared


def test_a_statement_is_split_where_the_filter_changes() -> None:
    agreed = replace(terms(entry(1, flat("1"))), usage_filters=EU_THEN_US)
    lines = rate_statement(agreed, JANUARY, {UsageKey(A): used(d10="5", d20="7")}).lines
    assert [(line.starting_at, line.ending_before, line.quantity) for line in lines] == [
        (day("01-01"), day("01-16"), D(5)),
        (day("01-16"), day("02-01"), D(7)),
    ]


regions = st.sampled_from(["eu", "us", "ca", None])
events = st.lists(
    st.builds(
        lambda hour, region, n: Event("acme", "call", day("01-01") + hour * HOUR, {"region": region, "n": str(n)}),
        st.integers(0, 31 * 24 - 1), regions, st.integers(-5, 50),
    ),
    max_size=20,
)  # fmt: skip
filter_lists = st.lists(
    st.builds(
        lambda hour, values: UsageFilter(day("01-01") + hour * HOUR, "region", tuple(sorted(values))),
        st.integers(0, 31 * 24), st.sets(st.sampled_from(["eu", "us", "ca"]), min_size=1),
    ),
    max_size=4, unique_by=lambda item: item.starting_at,
).map(lambda found: sorted(found, key=lambda item: item.starting_at))  # fmt: skip


@given(events, filter_lists)
def test_filtering_hours_is_filtering_events(found: list[Event], filters: Sequence[UsageFilter]) -> None:
    metric = Metric(UUID(int=1), "m", Aggregation.SUM, "n", group_keys=(("region",),))
    hours = taken(filters, fold(metric, found))
    assert hours == fold(metric, [item for item in found if takes(filters, item)])
    assert all(isinstance(item, HourQuantity) for group in hours.values() for item in group)


@given(events, filter_lists, filter_lists)
def test_filters_that_keep_two_contracts_apart_give_no_event_to_both(
    found: list[Event], one: Sequence[UsageFilter], other: Sequence[UsageFilter]
) -> None:
    if not share_usage(one, other, JANUARY):
        assert not any(takes(one, item) and takes(other, item) for item in found)
