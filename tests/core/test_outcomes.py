"""Outcomes: sessions of a fixed length, and cases by their latest state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest

from app.core.metering import Event, HourQuantity, contributes, fold, sighted
from app.core.outcomes import (
    LatestState,
    Outcome,
    Sessions,
    Sighting,
    increments,
    outcome_from_json,
    outcome_to_json,
    parse_window,
    window_text,
)
from app.core.terms import Aggregation, Metric

START = datetime(2026, 1, 31, tzinfo=UTC)
DAY = Sessions(("who",), timedelta(hours=24))
CASES = LatestState("case", "state", ("bot", "self"))


def at(text: str) -> datetime:
    """31st 23:50 as "0d23:50", counted from the start."""
    day, _, clock = text.partition("d")
    hours, minutes = clock.split(":")
    return START + timedelta(days=int(day), hours=int(hours), minutes=int(minutes))


@pytest.mark.parametrize(
    ("seen", "begun"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param(["0d10:00"], ["0d10:00"], id="one message"),
        pytest.param(["0d10:00", "0d10:00"], ["0d10:00"], id="two at once"),
        pytest.param(["0d23:50", "1d00:10", "1d23:49", "1d23:50"], ["0d23:50", "1d23:50"], id="over midnight"),
        pytest.param(["0d00:00", "0d23:00", "1d22:00"], ["0d00:00", "1d22:00"], id="fixed, not prolonged by activity"),
        pytest.param(["0d00:00", "1d00:00", "2d00:00"], ["0d00:00", "1d00:00", "2d00:00"], id="one each day"),
    ],
)
def test_a_session_lasts_a_fixed_time_from_its_first_event(seen: list[str], begun: list[str]) -> None:
    assert increments(DAY, [Sighting(at(text)) for text in seen]) == [(at(text), 1) for text in begun]


@pytest.mark.parametrize(
    ("states", "steps"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("+", [1], id="counted"),
        pytest.param("-", [], id="never counted"),
        pytest.param("-+", [0, 1], id="counted later"),
        pytest.param("+++", [1, 0, 0], id="confirmed"),
        pytest.param("+-", [1, -1], id="flips"),
        pytest.param("+-+-+", [1, -1, 1, -1, 1], id="flips and flips back"),
    ],
)
def test_a_case_counts_while_its_latest_state_does(states: str, steps: list[int]) -> None:
    seen = [Sighting(START + timedelta(hours=place), sign == "+") for place, sign in enumerate(states)]
    expected = [(START + timedelta(hours=place), step) for place, step in enumerate(steps) if step]
    assert increments(CASES, seen) == expected


@pytest.mark.parametrize(
    ("text", "window", "shown"),
    [
        ("PT24H", timedelta(hours=24), "PT24H"),
        ("P1D", timedelta(days=1), "PT24H"),
        ("P1DT12H", timedelta(hours=36), "PT36H"),
        ("PT90M", timedelta(minutes=90), "PT1H30M"),
        ("PT61S", timedelta(seconds=61), "PT1M1S"),
        ("PT0S", timedelta(0), "PT0S"),
    ],
)
def test_a_window_is_a_fixed_time(text: str, window: timedelta, shown: str) -> None:
    assert (parse_window(text), window_text(window)) == (window, shown)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "P1M", "P1Y", "PT1.5H", "24H", "-PT1H", "PT1H ", "PT1234567H"])
def test_what_is_no_fixed_time(text: str) -> None:
    with pytest.raises(ValueError, match="PT24H"):
        parse_window(text)


@pytest.mark.parametrize("seconds", [59, 31 * 86_400 + 1])
def test_a_session_lasts_from_a_minute_to_31_days(seconds: int) -> None:
    with pytest.raises(ValueError, match="31 days"):
        Sessions(("who",), timedelta(seconds=seconds))


def test_definitions_name_what_they_need() -> None:
    for keys in ((), ("who", "who")):
        with pytest.raises(ValueError, match="each named once"):
            Sessions(keys, timedelta(hours=1))
    with pytest.raises(ValueError, match="at least one state"):
        LatestState("case", "state", ())
    for aggregation, outcome in (
        (Aggregation.SESSION_COUNT, None), (Aggregation.SESSION_COUNT, CASES), (Aggregation.COUNT_LATEST, DAY),
        (Aggregation.COUNT, DAY),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="does not count"):
            Metric(UUID(int=1), "m", aggregation, outcome=outcome)


@pytest.mark.parametrize("rule", [DAY, Sessions(("who", "channel"), timedelta(minutes=90)), CASES])
def test_the_stored_form_is_read_back(rule: Outcome) -> None:
    assert outcome_from_json(outcome_to_json(rule)) == rule


def metric(rule: Outcome) -> Metric:
    aggregation = Aggregation.SESSION_COUNT if isinstance(rule, Sessions) else Aggregation.COUNT_LATEST
    return Metric(UUID(int=1), "m", aggregation, group_keys=(("team",),), outcome=rule)


def event(hour: int, **properties: object) -> Event:
    return Event("acme", "seen", START + timedelta(hours=hour), properties)


def steps(found: object) -> list[tuple[int, int]]:
    assert isinstance(found, tuple)
    return [(int((item.hour - START) / timedelta(hours=1)), int(item.quantity)) for item in found]


@pytest.mark.parametrize(
    ("rule", "properties", "counts"),
    [
        (DAY, {"who": "ann"}, True),
        (DAY, {"who": 7}, True),
        (DAY, {"who": None}, False),
        (DAY, {"who": ["ann"]}, False),
        (DAY, {}, False),
        (CASES, {"case": "T1", "state": "open"}, True),
        (CASES, {"case": "T1"}, False),
        (CASES, {"state": "bot"}, False),
    ],
)
def test_an_event_names_whom_and_what_it_is_about(rule: Outcome, properties: dict[str, object], counts: bool) -> None:
    assert contributes(metric(rule), event(0, **properties)) is counts
    assert bool(fold(metric(rule), [event(0, **properties)], by=())) is (counts and properties.get("state") != "open")


def test_each_participant_and_each_group_by_itself() -> None:
    seen = [event(0, who="ann", team="a"), event(1, who="bob", team="a"), event(2, who="ann", team="b")]
    found = fold(metric(DAY), seen)
    assert {group: steps(hours) for group, hours in found.items()} == {
        (("team", "a"),): [(0, 1), (1, 1)],
        (("team", "b"),): [(2, 1)],
    }
    together = fold(metric(DAY), seen, by=())
    assert steps(together[()]) == [(0, 1), (1, 1)]


def test_whom_events_are_about() -> None:
    seen = [event(0, who="ann", team="a"), event(1, who="ann"), event(2, who="ann", team="a"), event(3, team="a")]
    assert sighted(metric(DAY), seen, by=("team",)) == {((("team", "a"),), ("ann",)), ((("team", None),), ("ann",))}
    assert sighted(metric(CASES), seen, by=()) == set()


def test_of_one_instant_the_last_sent_holds() -> None:
    seen = [event(0, case="T1", state="bot"), event(0, case="T1", state="human"), event(0, case="T2", state="bot")]
    assert steps(fold(metric(CASES), seen, by=())[()]) == [(0, 1)]


def test_what_was_before_a_statement_shapes_it_and_is_not_counted() -> None:
    sessions = [event(23, who="ann"), event(34, who="ann"), event(47, who="ann")]
    since = START + timedelta(hours=24)
    assert steps(fold(metric(DAY), sessions, by=(), since=since)[()]) == [(47, 1)]
    carried = {(): {("ann",): Sighting(sessions[0].timestamp)}}
    assert fold(metric(DAY), sessions[1:], by=(), since=since, carried=carried) == fold(
        metric(DAY), sessions, by=(), since=since
    )
    cases = [event(0, case="T1", state="bot"), event(1, case="T3", state="open"), event(30, case="T1", state="human")]
    cases += [event(31, case="T3", state="human"), event(32, case="T4", state="self")]
    assert steps(fold(metric(CASES), cases, by=(), since=since)[()]) == [(30, -1), (32, 1)]


@pytest.mark.parametrize("rule", [DAY, Sessions(("who",), timedelta(hours=5)), CASES])
@pytest.mark.parametrize("seed", range(20))
def test_statements_add_up_to_the_whole_whatever_came_first(rule: Outcome, seed: int) -> None:
    random = Random(seed)
    seen = [
        event(random.randrange(200), who=random.choice("abc"), case=random.choice("abcd"), state=random.choice(["bot", "human"]))
        for _ in range(random.randrange(60))
    ]  # fmt: skip
    # Cases of one instant are told by the order of ingest; here each event has an hour of its own.
    seen = list({item.timestamp: item for item in seen}.values())
    whole = fold(metric(rule), seen, by=())
    shuffled = random.sample(seen, len(seen))
    assert fold(metric(rule), shuffled, by=()) == whole
    cut = START + timedelta(hours=random.randrange(200))
    early = fold(metric(rule), [item for item in shuffled if item.timestamp < cut], by=())
    late = fold(metric(rule), shuffled, by=(), since=cut)
    together: tuple[HourQuantity, ...] = (*early.get((), ()), *late.get((), ()))
    assert together == whole.get((), ())
    assert all(item.quantity == int(item.quantity) for item in together)
    assert sum((item.quantity for item in together), Decimal(0)) >= 0
