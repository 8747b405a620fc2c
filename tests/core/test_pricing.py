"""Which rate applies when: replacement, resumption, fallback, and where a statement is cut."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.period import HOUR, SINCE_EVER, Period
from app.core.phases import phases
from app.core.pricing import change_instants, entry_at, rate_book
from app.core.rates import Flat
from app.core.terms import Group, RateEntry

CALLS, DATA = UUID(int=1), UUID(int=2)
EU: Group = (("region", "eu"),)
US: Group = (("region", "us"),)


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-{text}").replace(tzinfo=UTC)


def entry(
    added: int, price: int, start: str | None = None, end: str | None = None, group: Group = (), product: UUID = CALLS
) -> RateEntry:
    period = Period(SINCE_EVER if start is None else day(start), None if end is None else day(end))
    return RateEntry(UUID(int=added), product, Flat(Decimal(price)), period, True, group, added)


def price_at(entries: list[RateEntry], text: str, group: Group = ()) -> int | None:
    found = entry_at(rate_book(entries), product_id=CALLS, pricing=group, at=day(text))
    if found is None:
        return None
    assert isinstance(found.rate, Flat)
    return int(found.rate.price)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # prices on 5, 15 and 25 January
        ([entry(1, 1)], [1, 1, 1]),
        ([entry(1, 1, "01-10")], [None, 1, 1]),
        ([entry(1, 1), entry(2, 3, "01-10")], [1, 3, 3]),
        ([entry(1, 1), entry(2, 3, "01-10", "01-20")], [1, 3, 1]),
        ([entry(1, 3, "01-10", "01-20"), entry(2, 1)], [1, 1, 1]),
        ([entry(1, 1), entry(2, 3, "01-10"), entry(3, 5, "01-10", "01-20")], [1, 5, 3]),
        ([entry(1, 1, None, "01-20")], [1, 1, None]),
        ([entry(1, 1, product=DATA)], [None, None, None]),
    ],
)
def test_a_later_rate_replaces_on_its_own_interval_and_the_earlier_resumes(
    entries: list[RateEntry], expected: list[int | None]
) -> None:
    assert [price_at(entries, f"01-{number:02}") for number in (5, 15, 25)] == expected
    assert [price_at(entries[::-1], f"01-{number:02}") for number in (5, 15, 25)] == expected


def test_a_rate_begins_and_ends_to_the_second() -> None:
    entries = [entry(1, 1), entry(2, 3, "01-10", "01-20")]
    assert price_at(entries, "01-09T23:59:59") == 1
    assert price_at(entries, "01-10T00:00:00") == 3
    assert price_at(entries, "01-19T23:59:59") == 3
    assert price_at(entries, "01-20T00:00:00") == 1


def test_group_values_are_looked_up_exactly_and_fall_back_to_the_rate_without_values() -> None:
    entries = [entry(1, 1), entry(2, 2, "01-10", "01-20", EU), entry(3, 9, group=(("plan", "pro"), ("region", "eu")))]
    assert [price_at(entries, text, EU) for text in ("01-05", "01-15", "01-25")] == [1, 2, 1]
    assert price_at(entries, "01-15", US) == 1
    assert price_at(entries, "01-15", (("region", None),)) == 1
    assert price_at(entries[1:], "01-15", US) is None
    assert price_at(entries, "01-15", (("plan", "pro"), ("region", "eu"))) == 9


def test_group_values_of_a_rate_are_sorted() -> None:
    with pytest.raises(ValueError, match="sorted by name"):
        entry(1, 1, group=(("region", "eu"), ("plan", "pro")))


def test_changes_are_all_bounds_of_all_entries() -> None:
    entries = [entry(1, 1), entry(2, 3, "01-10", "01-20"), entry(3, 1, "01-10", product=DATA), entry(4, 7)]
    assert change_instants(entries) == (SINCE_EVER, day("01-10"), day("01-20"))


JANUARY = Period(day("01-01"), day("02-01"))


@pytest.mark.parametrize(
    ("changes", "bounds"),
    [
        ([], "01-01 02-01"),
        (["01-10"], "01-01 01-10 02-01"),
        (["01-20", "01-10", "01-10"], "01-01 01-10 01-20 02-01"),
        (["01-01", "02-01", "03-01"], "01-01 02-01"),
    ],
)
def test_phases(changes: list[str], bounds: str) -> None:
    expected = [day(text) for text in bounds.split()]
    found = phases(JANUARY, [SINCE_EVER, *(day(text) for text in changes)])
    assert [phase.starting_at for phase in found] == expected[:-1]
    assert [phase.ending_before for phase in found] == expected[1:]


def test_phases_are_hours() -> None:
    with pytest.raises(AssertionError, match="full hours"):
        phases(JANUARY, [day("01-10T00:30:00")])
    with pytest.raises(AssertionError, match="has an end"):
        phases(Period(day("01-01")), [])


@given(st.lists(st.integers(-100, 900)), st.randoms(use_true_random=False))
def test_phases_tile_the_period(numbers: list[int], random: Random) -> None:
    changes = [JANUARY.starting_at + number * HOUR for number in numbers]
    found = phases(JANUARY, changes)
    bounds = [found[0].starting_at, *(phase.ending_before for phase in found)]
    assert bounds[0] == JANUARY.starting_at
    assert bounds[-1] == JANUARY.ending_before
    assert [phase.starting_at for phase in found] == bounds[:-1]
    random.shuffle(changes)
    assert phases(JANUARY, changes) == found
