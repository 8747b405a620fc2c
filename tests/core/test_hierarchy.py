"""Which statements go out together, and how far a shared balance reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.hierarchy import ChildAccess, Sharing, contracts_reached, go_together
from app.core.period import Period


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
