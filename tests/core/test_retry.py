"""Waiting before the next attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.core.retry import wait_before

FIRST, CAP = timedelta(seconds=10), timedelta(minutes=10)


@pytest.mark.parametrize(
    ("attempt", "longest_seconds"),
    [(2, 10), (3, 20), (4, 40), (5, 80), (8, 600), (9, 600), (1_000_000, 600)],
)
def test_the_wait_doubles_up_to_the_cap_and_lies_in_its_upper_half(attempt: int, longest_seconds: int) -> None:
    longest = timedelta(seconds=longest_seconds)
    for seed in ("a", "b", "dlv_1"):
        wait = wait_before(attempt, seed=seed, first=FIRST, cap=CAP)
        assert longest / 2 <= wait <= longest
        assert wait == wait_before(attempt, seed=seed, first=FIRST, cap=CAP)


def test_the_first_attempt_does_not_wait() -> None:
    assert wait_before(1, seed="a", first=FIRST, cap=CAP) == timedelta(0)


def test_different_deliveries_come_back_at_different_times() -> None:
    assert len({wait_before(4, seed=str(number), first=FIRST, cap=CAP) for number in range(50)}) == 50


def test_impossible_arguments() -> None:
    with pytest.raises(AssertionError, match="count from 1"):
        wait_before(0, seed="a", first=FIRST, cap=CAP)
    with pytest.raises(AssertionError, match="not above the cap"):
        wait_before(2, seed="a", first=CAP, cap=FIRST)
