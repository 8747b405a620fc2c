"""Which commits and credits a reader asks for: by state, time and what is left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.core.balance_query import BalanceQuery, is_wanted
from app.core.ledger import GrantStatus, Movement, TransferKind
from tests.core.agreements import day
from tests.core.balances import grant

TWO = (("100", "01-01", "02-01"), ("100", "03-01", "04-01"))
ACTIVE, UPCOMING, EXPIRED, VOIDED = (
    GrantStatus.ACTIVE, GrantStatus.UPCOMING, GrantStatus.EXPIRED, GrantStatus.VOIDED,
)  # fmt: skip


def drawn(amount: str, segment: int) -> Movement:
    return Movement(TransferKind.AUTOMATED_INVOICE_DEDUCTION, segment, Decimal(amount), day("02-01"))


@pytest.mark.parametrize(
    ("query", "at", "wanted"),
    [
        ({}, "01-15", True),
        ({}, "02-15", True),
        ({}, "04-01", False),
        ({"statuses": [EXPIRED]}, "04-01", True),
        ({"statuses": [ACTIVE]}, "02-15", False),
        ({"statuses": [UPCOMING]}, "02-15", True),
        ({"covering_at": day("02-01")}, "01-15", False),
        ({"covering_at": day("03-31")}, "01-15", True),
        ({"starting_at": day("03-01")}, "01-15", True),
        ({"starting_at": day("03-02")}, "01-15", False),
        ({"effective_before": day("01-01")}, "01-15", False),
        ({"effective_before": day("01-02")}, "01-15", True),
        ({"exclude_zero": True}, "01-15", False),
        ({"exclude_zero": True}, "02-15", False),
        ({"exclude_zero": True}, "03-15", True),
        ({"covering_at": day("03-31"), "effective_before": day("01-01")}, "01-15", False),
    ],
)
def test_two_segments_of_which_the_first_is_used_up(query: dict[str, Any], at: str, wanted: bool) -> None:
    found = is_wanted(BalanceQuery(**query), grant(1, segments=TWO), [drawn("-100", 0)], at=day(at))
    assert found is wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [({}, False), ({"include_archived": True}, True), ({"statuses": [VOIDED]}, True), ({"statuses": [ACTIVE]}, False)],
)
def test_archived_ones_are_shown_when_asked_for(query: dict[str, Any], wanted: bool) -> None:
    assert is_wanted(BalanceQuery(**query), grant(1), [], at=day("01-15"), is_archived=True) is wanted
