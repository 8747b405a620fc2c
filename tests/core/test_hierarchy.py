"""Which statements go out together, and how far a shared balance reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.hierarchy import (
    AccessChange,
    ChildAccess,
    Sharing,
    contracts_reached,
    drawing_periods,
    go_together,
    sharing_at,
)
from app.core.period import SINCE_EVER, Period


def day(month: int, number: int, hour: int = 0) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


OCTOBER = Period(day(10, 1), day(11, 1))
LAST_WEEK = Period(day(10, 26), day(11, 1))


@pytest.mark.parametrize(
    ("child", "issued", "together"),
    [
        (OCTOBER, day(11, 2), True),
        (OCTOBER, day(11, 2, 23), True),
        (OCTOBER, day(11, 3), False),
        (OCTOBER, day(11, 1, 23), False),
        (LAST_WEEK, day(11, 2, 1), True),
        (Period(day(9, 28), day(10, 5)), day(11, 2), False),
        (Period(day(10, 28), day(11, 4)), day(11, 2), False),
    ],
)
def test_statements_inside_the_parents_period_and_of_its_day_go_together(
    child: Period, issued: datetime, together: bool
) -> None:
    assert go_together(child, OCTOBER, child_issued=issued, parent_issued=day(11, 2)) is together


def test_a_balance_of_all_children_reaches_as_many_as_there_may_be() -> None:
    named = [UUID(int=1), UUID(int=2)]
    assert contracts_reached(Sharing()) == 1
    assert contracts_reached(Sharing(ChildAccess.CONTRACT_IDS, named)) == 3
    assert contracts_reached(Sharing(ChildAccess.ALL)) == 11
    later = [AccessChange(day(10, 5), Sharing(ChildAccess.CONTRACT_IDS, named)), AccessChange(day(10, 9), Sharing())]
    assert contracts_reached(Sharing(), later) == 3


ALL, NONE, ONE = Sharing(ChildAccess.ALL), Sharing(), Sharing(ChildAccess.CONTRACT_IDS, [UUID(int=1)])


@pytest.mark.parametrize(
    ("first", "changes", "periods"),
    [
        pytest.param(ALL, [], None, id="always"),
        pytest.param(NONE, [], (), id="never"),
        pytest.param(NONE, [(5, ALL)], (Period(day(10, 5)),), id="from then on"),
        pytest.param(ALL, [(5, NONE)], (Period(SINCE_EVER, day(10, 5)),), id="until then"),
        pytest.param(ALL, [(5, ONE), (9, ALL)], None, id="named among all"),
        pytest.param(
            NONE, [(9, NONE), (5, ONE), (20, ALL), (12, ONE)],
            (Period(day(10, 5), day(10, 9)), Period(day(10, 12))), id="in order of time",
        ),
        pytest.param(NONE, [(5, ALL), (5, NONE)], (), id="the later of two at one time"),
        pytest.param(NONE, [(5, Sharing(ChildAccess.CONTRACT_IDS, [UUID(int=2)]))], (), id="another child"),
    ],
)  # fmt: skip
def test_when_a_child_may_draw(
    first: Sharing, changes: list[tuple[int, Sharing]], periods: tuple[Period, ...] | None
) -> None:
    dated = [AccessChange(day(10, number), sharing) for number, sharing in changes]
    assert drawing_periods(first, dated, UUID(int=1)) == periods
    may = {ChildAccess.ALL: True, ChildAccess.NONE: False}
    for number in (1, 5, 8, 9, 11, 12, 25):
        found = sharing_at(first, dated, day(10, number))
        expected = periods is None or any(period.contains(day(10, number)) for period in periods)
        assert may.get(found.access, UUID(int=1) in found.contract_ids) is expected
