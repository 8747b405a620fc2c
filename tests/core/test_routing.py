"""Which billing configuration covers what, as an accountant reads a contract: period by period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.core.period import HOUR, Frequency, Period, StatementDay, StatementSchedule
from app.core.routing import Choice, EffectiveAt, change_bound, choice_at, choices_from, segments

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)
CURRENT, NEXT = EffectiveAt.START_OF_CURRENT_PERIOD, EffectiveAt.START_OF_NEXT_PERIOD
MONTHLY = StatementSchedule()
WHOLE = Period(datetime(2026, 1, 10, tzinfo=UTC))


def day(month: int, number: int = 1, hour: int = 0) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


CHOICES = [Choice(day(1, 10), A), Choice(day(5), C), Choice(day(3), B), Choice(day(3), None)]


@pytest.mark.parametrize(
    ("at", "configuration"),
    [
        (day(1, 1), A),  # Before the contract: what is dated too early goes the first way.
        (day(1, 10), A),
        (day(3) - HOUR, A),
        (day(3), None),  # The later of two of one bound holds.
        (day(5) - HOUR, None),
        (day(5), C),
        (day(12), C),
    ],
)
def test_an_invoice_follows_the_choice_that_covers_its_start(at: datetime, configuration: UUID | None) -> None:
    assert choice_at(CHOICES, at).configuration_id == configuration
    assert choices_from(CHOICES, at)[0] == choice_at(CHOICES, at)


def test_segments_meet_and_end_with_the_contract() -> None:
    shown = [(period, item.configuration_id) for period, item in segments(CHOICES, contract=WHOLE)]
    assert shown == [
        (Period(day(1, 10), day(3)), A),
        (Period(day(3), day(5)), None),
        (Period(day(5)), C),
    ]
    ended = Period(day(1, 10), day(4))
    assert [period for period, _ in segments(CHOICES, contract=ended)] == [
        Period(day(1, 10), day(3)),
        Period(day(3), day(4)),
    ]


@pytest.mark.parametrize(
    ("effective", "now", "contract", "bound"),
    [
        (CURRENT, day(2, 15), WHOLE, day(2)),
        (NEXT, day(2, 15), WHOLE, day(3)),
        (CURRENT, day(1, 20), WHOLE, day(1, 10)),
        (NEXT, day(2), WHOLE, day(3)),
        (CURRENT, day(1, 1), WHOLE, day(1, 10)),  # Not begun: all of it is still to come.
        (NEXT, day(1, 1), WHOLE, day(1, 10)),
        (NEXT, day(2, 15), Period(day(1, 10), day(2, 20)), None),
        (NEXT, day(2, 15), Period(day(1, 10), day(3)), None),
        (NEXT, day(2, 15), Period(day(1, 10), day(3, 1, 1)), day(3)),
        (CURRENT, day(4), Period(day(1, 10), day(3)), None),
    ],
)
def test_changes_begin_with_a_statement_period(
    effective: EffectiveAt, now: datetime, contract: Period, bound: datetime | None
) -> None:
    assert change_bound(effective, MONTHLY, contract=contract, now=now) == bound
    # Where no invoices are generated the bounds are the same.
    silent = StatementSchedule(generate_from=day(12))
    assert change_bound(effective, silent, contract=contract, now=now) == bound


@given(
    anchored=some.integers(-10_000, 10_000),
    frequency=some.sampled_from([Frequency.WEEKLY, Frequency.MONTHLY, Frequency.QUARTERLY, Frequency.ANNUAL]),
    hours=some.lists(some.integers(0, 20_000), min_size=1, max_size=12),
)
def test_every_instant_of_a_contract_is_in_one_segment(anchored: int, frequency: Frequency, hours: list[int]) -> None:
    schedule = StatementSchedule(frequency, StatementDay.CUSTOM_DATE, WHOLE.starting_at + anchored * HOUR)
    choices = [Choice(WHOLE.starting_at, None)]
    for number, hour in enumerate(hours):
        now = WHOLE.starting_at + timedelta(hours=hour)
        current, coming = (change_bound(item, schedule, contract=WHOLE, now=now) for item in EffectiveAt)
        assert current is not None
        assert coming is not None
        assert current <= now < coming
        choices.append(Choice((current, coming)[number % 2], UUID(int=number)))
    stretches = segments(choices, contract=WHOLE)
    for hour in hours:
        at = WHOLE.starting_at + timedelta(hours=hour)
        [found] = [item for period, item in stretches if period.contains(at)]
        assert found == choice_at(choices, at)
