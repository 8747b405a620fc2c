"""Usage by window and group: what a statement over each window alone would measure."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.metering import Event, fold
from app.core.outcomes import LatestState, Sessions
from app.core.period import HOUR, Period
from app.core.terms import Aggregation, Metric
from app.core.windows import (
    UsageEntry,
    UsageQuery,
    UsageWindow,
    entries_of,
    groups_of,
    window_start,
    windowed,
    windows,
)
from tests.core.agreements import JANUARY, day

D = Decimal
CUT = Period(day("01-01T22:00:00"), day("01-03T02:00:00"))
EU, US = (("region", "eu"),), (("region", "us"),)


OUTCOMES = {
    Aggregation.SESSION_COUNT: Sessions(("n",), timedelta(hours=24)),
    Aggregation.COUNT_LATEST: LatestState("region", "n", ("5", "7")),
}


def metric(aggregation: Aggregation) -> Metric:
    key = "n" if aggregation.has_key else None
    return Metric(UUID(int=1), "m", aggregation, key, group_keys=(("region",),), outcome=OUTCOMES.get(aggregation))


def event(moment: str, n: str | None, region: str | None = "eu") -> Event:
    return Event("acme", "call", day(moment), {"n": n, "region": region})


SAMPLE = [
    event("01-01T22:10:00", "5"), event("01-01T22:20:00", "3"), event("01-01T23:00:00", "5", "us"),
    event("01-02T01:00:00", "-2"), event("01-02T05:00:00", "7", "us"), event("01-03T01:00:00", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("aggregation", "by_day", "whole"),
    [
        (Aggregation.COUNT, ["3", "2", "1"], "6"),
        (Aggregation.SUM, ["13", "5"], "18"),
        (Aggregation.MAX, ["5", "7"], "7"),
        # 5 and 3 on the first day, -2 and 7 on the second; 5 was there twice.
        (Aggregation.UNIQUE, ["2", "2"], "4"),
        (Aggregation.LATEST, ["5", "7"], "7"),
        # 5 and 3 come by on the first day, -2 and 7 on the second.
        (Aggregation.SESSION_COUNT, ["2", "2"], "4"),
        # On both days us is in a state that counts, and eu in none.
        (Aggregation.COUNT_LATEST, ["1", "1"], "1"),
    ],
)
def test_each_window_by_itself(aggregation: Aggregation, by_day: list[str], whole: str) -> None:
    days = windowed(metric(aggregation), SAMPLE, UsageQuery(CUT, UsageWindow.DAY))
    assert [str(value) for value in days.values()] == by_day
    assert windowed(metric(aggregation), SAMPLE, UsageQuery(CUT, UsageWindow.NONE)) == {(CUT.starting_at, ()): D(whole)}


def test_a_highest_value_is_never_below_nothing() -> None:
    lone = windowed(metric(Aggregation.MAX), [SAMPLE[3]], UsageQuery(CUT, UsageWindow.HOUR))
    assert lone == {(day("01-02T01:00:00"), ()): D(0)}


def test_windows_of_a_period_that_begins_and_ends_in_mid_day() -> None:
    assert windows(CUT, UsageWindow.NONE) == (CUT,)
    days = windows(CUT, UsageWindow.DAY)
    assert [part.starting_at for part in days] == [CUT.starting_at, day("01-02"), day("01-03")]
    assert days[-1].ending_before == CUT.ending_before
    hours = windows(CUT, UsageWindow.HOUR)
    assert len(hours) == 28 == UsageQuery(CUT, UsageWindow.HOUR).window_count
    for size in UsageWindow:
        for part in windows(CUT, size):
            assert window_start(part.starting_at, CUT, size) == part.starting_at


def test_groups_that_were_found() -> None:
    query = UsageQuery(CUT, UsageWindow.NONE, ("region",))
    values = windowed(metric(Aggregation.SUM), [*SAMPLE, event("01-02T00:00:00", "1", None)], query)
    groups = groups_of(query, values)
    assert groups == [EU, US, (("region", None),)]
    assert entries_of(query, groups, values) == tuple(
        UsageEntry(CUT, group, D(value)) for group, value in zip(groups, ("6", "12", "1"), strict=True)
    )
    assert entries_of(query, [US], values) == (UsageEntry(CUT, US, D(12)),)


def test_a_group_that_was_named_is_answered_in_every_window() -> None:
    query = UsageQuery(CUT, UsageWindow.DAY, ("region",), {"region": ("us", "jp")})
    values = windowed(metric(Aggregation.SUM), SAMPLE, query)
    groups = groups_of(query, values)
    assert groups == [(("region", "jp"),), US]
    assert [entry.value for entry in entries_of(query, groups, values)] == [None, D(5), None, D(7), None, None]


def test_values_of_a_property_by_which_usage_is_not_split() -> None:
    query = UsageQuery(CUT, UsageWindow.NONE, only={"region": ("us",)})
    assert not query.names_groups
    assert windowed(metric(Aggregation.SUM), SAMPLE, query) == {(CUT.starting_at, ()): D(12)}


events = st.lists(
    st.builds(
        lambda hour, n, region: Event("acme", "call", day("01-01") + hour * HOUR, {"n": str(n), "region": region}),
        st.integers(0, 31 * 24 - 1), st.integers(-9, 99), st.sampled_from(["eu", "us", None]),
    ),
    max_size=25,
)  # fmt: skip


@given(events, st.sampled_from(list(UsageWindow)), st.sampled_from([(), ("region",)]))
def test_the_windows_of_a_sum_add_up_to_what_a_statement_measures(
    found: list[Event], size: UsageWindow, by: tuple[str, ...]
) -> None:
    summed = metric(Aggregation.SUM)
    values = windowed(summed, found, UsageQuery(JANUARY, size, by))
    hours = fold(summed, found, by=by)
    for group in {group for _, group in values} | set(hours):
        total = sum((value for (_, one), value in values.items() if one == group), D(0))
        assert total == sum((item.quantity for item in hours.get(group, ())), D(0))


# A query has a meaning of its own, which its own tests hold the windows to.
folded = st.sampled_from([item for item in Aggregation if item is not Aggregation.SQL])


@given(events, folded, st.sampled_from(list(UsageWindow)))
def test_a_window_is_a_statement_of_its_own(found: list[Event], aggregation: Aggregation, size: UsageWindow) -> None:
    values = windowed(metric(aggregation), found, UsageQuery(JANUARY, size))
    for part in windows(JANUARY, size):
        inside = [item for item in found if part.contains(item.timestamp)]
        measured = sum((item.quantity for item in fold(metric(aggregation), inside, by=()).get((), ())), D(0))
        assert values.get((part.starting_at, ()), D(0)) == measured
