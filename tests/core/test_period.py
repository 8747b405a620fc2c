"""Dates as a contract manager reads them: hours, month ends, quarters, first and last statements."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.period import (
    HOUR,
    Frequency,
    Period,
    StatementDay,
    StatementSchedule,
    ceil_hour,
    first_whole_period_start,
    floor_hour,
    is_hour,
    statement_period_at,
    statement_periods,
    step,
    uncovered,
)

FAR = datetime(2200, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(start: str, end: str | None = None) -> Period:
    return Period(at(start), None if end is None else at(end))


def shown(periods: Iterator[Period]) -> list[str]:
    return [
        f"{p.starting_at:%Y-%m-%d}..{'' if p.ending_before is None else format(p.ending_before, '%Y-%m-%d')}"
        for p in periods
    ]


def test_a_period_has_its_start_and_not_its_end() -> None:
    january = span("2025-01-01", "2025-02-01")
    assert january.contains(at("2025-01-01"))
    assert january.contains(at("2025-01-31T23:59:59"))
    assert not january.contains(at("2025-02-01"))
    assert not january.contains(at("2024-12-31T23:59:59"))
    assert span("2025-01-01").contains(FAR)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (("2025-01-01", "2025-02-01"), ("2025-01-15", None), ("2025-01-15", "2025-02-01")),
        (("2025-01-01", None), ("2025-01-15", None), ("2025-01-15", None)),
        (("2025-01-01", "2025-02-01"), ("2025-01-10", "2025-01-20"), ("2025-01-10", "2025-01-20")),
        (("2025-01-01", "2025-02-01"), ("2025-02-01", "2025-03-01"), None),
        (("2025-01-01", "2025-02-01"), ("2025-05-01", None), None),
    ],
)
def test_intersection(one: tuple[str, str], other: tuple[str, str], both: tuple[str, str] | None) -> None:
    expected = None if both is None else span(*both)
    assert span(*one).intersect(span(*other)) == expected
    assert span(*other).intersect(span(*one)) == expected


def test_a_period_refuses_what_is_no_stretch_of_utc_time() -> None:
    start = at("2025-01-01")
    with pytest.raises(ValueError, match="must lie after"):
        Period(start, start)
    with pytest.raises(ValueError, match="must lie after"):
        Period(start, start - HOUR, allow_empty=True)
    with pytest.raises(ValueError, match="UTC"):
        Period(start.replace(tzinfo=None))
    with pytest.raises(ValueError, match="UTC"):
        Period(start, at("2025-02-01").astimezone(timezone(HOUR)))


def test_nothing_may_be_asked_for_by_name() -> None:
    start = at("2025-01-01")
    assert not Period(start, start, allow_empty=True).contains(start)


def test_hours() -> None:
    assert floor_hour(at("2025-01-01T10:59:59.999999")) == at("2025-01-01T10:00:00")
    assert ceil_hour(at("2025-01-01T23:00:00.000001")) == at("2025-01-02T00:00:00")
    assert ceil_hour(at("2025-01-01T10:00:00")) == at("2025-01-01T10:00:00")
    assert is_hour(at("2025-01-01T10:00:00"))
    assert not is_hour(at("2025-01-01T10:30:00"))
    with pytest.raises(ValueError, match="UTC"):
        is_hour(datetime(2025, 1, 1, tzinfo=timezone(timedelta(minutes=30))))


@pytest.mark.parametrize(
    ("anchor", "frequency", "steps"),
    [
        ("2024-01-31", Frequency.MONTHLY, "2024-01-31 2024-02-29 2024-03-31 2024-04-30 2024-05-31"),
        ("2025-01-29", Frequency.MONTHLY, "2025-01-29 2025-02-28 2025-03-29 2025-04-29"),
        ("2024-02-29", Frequency.ANNUAL, "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29"),
        ("2024-11-30", Frequency.QUARTERLY, "2024-11-30 2025-02-28 2025-05-30 2025-08-30"),
        ("2024-08-31", Frequency.SEMI_ANNUAL, "2024-08-31 2025-02-28 2025-08-31"),
        ("2024-12-25", Frequency.WEEKLY, "2024-12-25 2025-01-01 2025-01-08"),
        ("2024-12-15", Frequency.MONTHLY, "2024-12-15 2025-01-15 2025-02-15"),
    ],
)
def test_steps_return_to_the_anchor_day(anchor: str, frequency: Frequency, steps: str) -> None:
    expected = [at(day) for day in steps.split()]
    assert [step(at(anchor), frequency, count) for count in range(len(expected))] == expected


def test_steps_go_back_as_well_and_keep_the_time() -> None:
    assert step(at("2025-03-31T05:00:00"), Frequency.MONTHLY, -1) == at("2025-02-28T05:00:00")
    assert step(at("2025-01-10"), Frequency.WEEKLY, -2) == at("2024-12-27")


SCHEDULES = [
    # name, frequency, day, anchor, contract, statements
    ("default", "MONTHLY", "FIRST_OF_MONTH", None, ("2024-12-10", "2025-02-20"),
     "2024-12-10..2025-01-01 2025-01-01..2025-02-01 2025-02-01..2025-02-20"),
    ("month of one day", "MONTHLY", "FIRST_OF_MONTH", None, ("2025-01-31", "2025-03-01"),
     "2025-01-31..2025-02-01 2025-02-01..2025-03-01"),
    ("contract start", "MONTHLY", "CONTRACT_START", None, ("2024-01-31", "2024-05-31"),
     "2024-01-31..2024-02-29 2024-02-29..2024-03-31 2024-03-31..2024-04-30 2024-04-30..2024-05-31"),
    ("anchor before the start", "MONTHLY", "CUSTOM_DATE", "2024-09-10", ("2024-09-15", "2024-11-12"),
     "2024-09-15..2024-10-10 2024-10-10..2024-11-10 2024-11-10..2024-11-12"),
    ("anchor after the start", "MONTHLY", "CUSTOM_DATE", "2024-12-31", ("2024-09-15", "2024-12-01"),
     "2024-09-15..2024-09-30 2024-09-30..2024-10-31 2024-10-31..2024-11-30 2024-11-30..2024-12-01"),
    ("anchor on the start", "QUARTERLY", "CUSTOM_DATE", "2025-01-15", ("2025-01-15", "2025-07-15"),
     "2025-01-15..2025-04-15 2025-04-15..2025-07-15"),
    ("calendar quarters", "QUARTERLY", "FIRST_OF_MONTH", None, ("2025-02-12", "2025-11-01"),
     "2025-02-12..2025-04-01 2025-04-01..2025-07-01 2025-07-01..2025-10-01 2025-10-01..2025-11-01"),
    ("last calendar quarter", "QUARTERLY", "FIRST_OF_MONTH", None, ("2024-12-31", "2025-01-02"),
     "2024-12-31..2025-01-01 2025-01-01..2025-01-02"),
    ("year of the start month", "ANNUAL", "FIRST_OF_MONTH", None, ("2025-02-12", "2027-02-01"),
     "2025-02-12..2026-02-01 2026-02-01..2027-02-01"),
    ("year from a leap day", "ANNUAL", "CONTRACT_START", None, ("2024-02-29", "2028-02-29"),
     "2024-02-29..2025-02-28 2025-02-28..2026-02-28 2026-02-28..2027-02-28 2027-02-28..2028-02-29"),
    ("weeks from the weekday of the start", "WEEKLY", "FIRST_OF_MONTH", None, ("2025-02-12", "2025-02-27"),
     "2025-02-12..2025-02-19 2025-02-19..2025-02-26 2025-02-26..2025-02-27"),
    ("weeks on a date", "WEEKLY", "CUSTOM_DATE", "2025-01-06", ("2025-02-12", "2025-02-20"),
     "2025-02-12..2025-02-17 2025-02-17..2025-02-20"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "frequency", "day", "anchor", "contract", "statements"), SCHEDULES)
def test_statements_of_a_contract(
    name: str, frequency: str, day: str, anchor: str | None, contract: tuple[str, str], statements: str
) -> None:
    schedule = StatementSchedule(Frequency(frequency), StatementDay(day), None if anchor is None else at(anchor))
    periods = statement_periods(schedule, contract=span(*contract), begun_by=FAR)
    assert shown(periods) == statements.split(), name


def test_weeks_of_a_contract_that_begins_in_mid_day_begin_at_midnight() -> None:
    weekly = StatementSchedule(Frequency.WEEKLY)
    periods = list(statement_periods(weekly, contract=span("2025-02-12T05:00:00"), begun_by=at("2025-02-19")))
    assert periods == [span("2025-02-12T05:00:00", "2025-02-19"), span("2025-02-19", "2025-02-26")]


def test_only_statements_that_have_begun() -> None:
    contract = span("2025-01-01")
    assert shown(statement_periods(StatementSchedule(), contract=contract, begun_by=at("2024-12-31"))) == []
    assert shown(statement_periods(StatementSchedule(), contract=contract, begun_by=at("2025-02-01"))) == [
        "2025-01-01..2025-02-01",
        "2025-02-01..2025-03-01",
    ]


@pytest.mark.parametrize(
    ("generate_from", "first"),
    [
        ("2024-01-01", "2024-01-20..2024-02-01"),
        ("2024-02-01", "2024-02-01..2024-03-01"),
        ("2024-02-15", "2024-02-01..2024-03-01"),
        ("2024-12-31", "2024-12-01..2025-01-01"),
    ],
)
def test_statements_that_end_before_generation_begins_are_left_out(generate_from: str, first: str) -> None:
    schedule = StatementSchedule(generate_from=at(generate_from))
    periods = statement_periods(schedule, contract=span("2024-01-20"), begun_by=FAR)
    assert shown(islice(periods, 1)) == [first]


def test_no_statement_at_all_when_generation_begins_after_the_contract() -> None:
    contract = span("2024-01-20", "2024-06-10")
    for generate_from in ("2024-06-10", "2024-06-20", "2025-01-01"):
        schedule = StatementSchedule(generate_from=at(generate_from))
        assert shown(statement_periods(schedule, contract=contract, begun_by=FAR)) == []
        assert statement_period_at(schedule, contract=contract, at=at("2024-06-05")) is None


def test_the_statement_of_an_instant() -> None:
    contract = span("2024-09-15", "2025-03-05")
    schedule = StatementSchedule(generate_from=at("2024-11-10"))
    for instant, expected in [
        ("2024-09-14T23:00:00", None),
        ("2024-09-20", None),
        ("2024-10-31T23:59:59", None),
        ("2024-11-05", ("2024-11-01", "2024-12-01")),
        ("2025-02-28", ("2025-02-01", "2025-03-01")),
        ("2025-03-04T23:00:00", ("2025-03-01", "2025-03-05")),
        ("2025-03-05", None),
    ]:
        found = statement_period_at(schedule, contract=contract, at=at(instant))
        assert found == (None if expected is None else span(*expected)), instant


@pytest.mark.parametrize(
    ("start", "schedule", "whole"),
    [
        ("2026-11-17", StatementSchedule(), "2026-12-01"),
        ("2026-12-01", StatementSchedule(), "2026-12-01"),
        ("2026-11-17", StatementSchedule(Frequency.QUARTERLY), "2027-01-01"),
        ("2026-11-17", StatementSchedule(Frequency.MONTHLY, StatementDay.CONTRACT_START), "2026-11-17"),
        ("2026-11-17", StatementSchedule(Frequency.MONTHLY, StatementDay.CUSTOM_DATE, at("2026-01-31")), "2026-11-30"),
        ("2026-11-17T12:00", StatementSchedule(Frequency.WEEKLY), "2026-11-24"),
    ],
)
def test_where_the_first_whole_statement_begins(start: str, schedule: StatementSchedule, whole: str) -> None:
    found = first_whole_period_start(schedule, contract=Period(at(start)))
    assert found == at(whole)
    assert statement_period_at(schedule, contract=Period(at(start)), at=found).starting_at == found  # type: ignore[union-attr]


def test_schedules_that_are_refused() -> None:
    with pytest.raises(ValueError, match="not SEMI_ANNUAL"):
        StatementSchedule(Frequency.SEMI_ANNUAL)
    with pytest.raises(ValueError, match="anchor goes with CUSTOM_DATE"):
        StatementSchedule(day=StatementDay.CUSTOM_DATE)
    with pytest.raises(ValueError, match="anchor goes with CUSTOM_DATE"):
        StatementSchedule(anchor=at("2025-01-01"))
    with pytest.raises(ValueError, match="full hour"):
        StatementSchedule(day=StatementDay.CUSTOM_DATE, anchor=at("2025-01-01T00:30:00"))
    with pytest.raises(ValueError, match="UTC"):
        StatementSchedule(generate_from=datetime(2025, 1, 1))  # noqa: DTZ001 - the point of the test
    for contract in (span("2025-01-01T00:30:00"), span("2025-01-01", "2025-02-01T00:00:01")):
        with pytest.raises(ValueError, match="full hour"):
            next(statement_periods(StatementSchedule(), contract=contract, begun_by=FAR))


hours = st.integers(0, 24 * 365 * 12).map(lambda n: datetime(2019, 1, 1, tzinfo=UTC) + n * HOUR)
frequencies = st.sampled_from([f for f in Frequency if f is not Frequency.SEMI_ANNUAL])


@st.composite
def schedules(draw: st.DrawFn) -> StatementSchedule:
    day = draw(st.sampled_from(StatementDay))
    return StatementSchedule(draw(frequencies), day, draw(hours) if day is StatementDay.CUSTOM_DATE else None)


@given(schedules(), hours, hours, hours)
def test_statements_tile_the_contract(schedule: StatementSchedule, one: datetime, two: datetime, at: datetime) -> None:
    contract = Period(min(one, two), max(one, two) + HOUR)
    periods = list(statement_periods(schedule, contract=contract, begun_by=FAR))
    assert periods[0].starting_at == contract.starting_at
    assert periods[-1].ending_before == contract.ending_before
    assert all(before.ending_before == after.starting_at for before, after in pairwise(periods))
    found = statement_period_at(schedule, contract=contract, at=at)
    assert [period for period in periods if period.contains(at)] == ([] if found is None else [found])


@given(hours, st.sampled_from(Frequency), st.integers(-200, 200))
def test_steps_grow(anchor: datetime, frequency: Frequency, count: int) -> None:
    assert step(anchor, frequency, count) < step(anchor, frequency, count + 1)
    assert step(anchor, frequency, 0) == anchor


@pytest.mark.parametrize(
    ("covered", "left"),
    [
        ([], ["2025-01-01..2025-02-01"]),
        ([span("2025-01-01", "2025-02-01")], []),
        ([span("2025-01-01", "2025-01-20")], ["2025-01-20..2025-02-01"]),
        ([span("2025-01-20", "2025-02-10"), span("2024-12-01", "2025-01-05")], ["2025-01-05..2025-01-20"]),
        ([span("2024-12-01", "2025-01-01"), span("2025-02-01", "2025-03-01")], ["2025-01-01..2025-02-01"]),
        ([span("2025-01-10", "2025-01-12")], ["2025-01-01..2025-01-10", "2025-01-12..2025-02-01"]),
    ],
)
def test_what_final_statements_leave_of_a_period(covered: list[Period], left: list[str]) -> None:
    assert shown(uncovered(span("2025-01-01", "2025-02-01"), covered)) == left
