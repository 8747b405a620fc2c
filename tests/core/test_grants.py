"""Which balance pays first, and what each may pay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from app.core.grants import Grant, Segment, burn_order, may_pay
from app.core.period import Period
from app.core.terms import Specifier
from tests.core.agreements import CALLS, DATA, A, B, day
from tests.core.balances import CREDIT, POSTPAID, PREPAID, grant, pots

D = Decimal
EU = (("region", "eu"),)


def ends(end: str, start: str = "01-01") -> tuple[tuple[str, str, str], ...]:
    return (("100", start, end),)


FULL = grant(1, PREPAID)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(grant(2, PREPAID, is_rollover=True, priority=D(9)), grant(1, PREPAID, priority=D(1)), id="rollover first"),
        pytest.param(grant(2, POSTPAID, is_rollover=True), grant(1, PREPAID, is_rollover=True), id="postpaid rollover before prepaid rollover"),
        pytest.param(grant(2, PREPAID, is_rollover=True, priority=D(1)), grant(1, CREDIT, is_rollover=True), id="rollovers by priority"),
        pytest.param(grant(2, PREPAID, is_rollover=True, segments=ends("06-01")), grant(1, PREPAID, is_rollover=True), id="rollovers by end"),
        pytest.param(grant(2, CREDIT, priority=D(100)), grant(1, POSTPAID, priority=D(1)), id="priority cannot lift postpaid"),
        pytest.param(grant(2, POSTPAID, priority=D(1)), grant(1, CREDIT, priority=D(0), is_refund=True), id="refunds last"),
        pytest.param(grant(2, CREDIT, priority=D("0.5")), grant(1, PREPAID, priority=D(1), is_free=True), id="lower priority number"),
        pytest.param(grant(2, PREPAID, is_free=True), grant(1, PREPAID, product_ids=(A,)), id="free before paid"),
        pytest.param(grant(2, PREPAID, product_ids=(A,)), grant(1, PREPAID, product_ids=(A, B)), id="fewer products"),
        pytest.param(grant(2, PREPAID, product_ids=(A, B)), grant(1, PREPAID), id="some products before all"),
        pytest.param(grant(2, PREPAID, product_ids=(A,)), grant(1, PREPAID, tags=("core",)), id="tags count the card's products"),
        pytest.param(
            grant(2, PREPAID, specifiers=(Specifier(product_id=A),)),
            grant(1, PREPAID, specifiers=(Specifier(product_id=A), Specifier(pricing=EU))), id="fewer specifiers by group values",
        ),
        pytest.param(grant(2, PREPAID, segments=ends("03-01")), grant(1, PREPAID, segments=ends("04-01")), id="earlier end"),
        pytest.param(grant(2, PREPAID, segments=ends("04-01", "01-01")), grant(1, PREPAID, segments=ends("04-01", "02-01")), id="earlier start"),
        pytest.param(grant(2, PREPAID), grant(1, PREPAID, contract_count=2), id="fewer contracts"),
        pytest.param(grant(2, PREPAID, contract_count=5), grant(1, PREPAID, contract_count=None), id="some contracts before all"),
        pytest.param(replace(grant(2, PREPAID), created_at=datetime(2024, 1, 1, tzinfo=UTC)), grant(1, PREPAID), id="older first"),
        pytest.param(grant(1, PREPAID), grant(2, PREPAID), id="by id at last"),
    ],
)  # fmt: skip
def test_the_burn_order(first: Grant, second: Grant) -> None:
    products = (replace(CALLS, tags=("core",)), replace(DATA, tags=("core",)))
    for given in ((first, second), (second, first)):
        assert [pot.grant.id for pot in burn_order(pots(*given), products)] == [first.id, second.id]


def test_segments_of_one_grant_go_by_number_where_their_dates_are_equal() -> None:
    two = grant(1, segments=(("1", "01-01", "02-01"), ("2", "01-01", "02-01")))
    assert [pot.segment.number for pot in burn_order(list(reversed(pots(two))), ())] == [0, 1]


@pytest.mark.parametrize(
    ("restriction", "pays_calls", "pays_data", "pays_conversions"),
    [
        ({}, True, True, True),
        ({"product_ids": (A,)}, True, False, False),
        ({"tags": ("other",)}, False, True, False),
        ({"product_ids": (A,), "tags": ("other",)}, True, True, False),
        ({"specifiers": (Specifier(tags=("core", "other")),)}, False, True, False),
        ({"specifiers": (Specifier(product_id=A, pricing=EU), Specifier(product_id=B))}, True, True, False),
        ({"specifiers": (Specifier(presentation=(("team", "x"),)),)}, False, True, False),
        ({"specifiers": (Specifier(pricing=(("region", "us"),)),)}, False, False, False),
    ],
)
def test_what_a_grant_may_pay(
    restriction: dict[str, tuple[object, ...]], pays_calls: bool, pays_data: bool, pays_conversions: bool
) -> None:
    """Calls are of region eu and tagged core; data are of team x and tagged core and other."""
    found = grant(1, **restriction)
    assert may_pay(found, replace(CALLS, tags=("core",)), EU) is pays_calls
    assert may_pay(found, replace(DATA, tags=("core", "other")), (), (("team", "x"),)) is pays_data
    assert may_pay(found, None) is pays_conversions


def test_segments_have_an_end_and_no_negative_amount() -> None:
    with pytest.raises(ValueError, match="has an end"):
        Segment(0, Period(day("01-01")), D(1))
    with pytest.raises(ValueError, match="0 or more"):
        Segment(0, Period(day("01-01"), day("02-01")), D(-1))


def test_a_pot_is_named_by_grant_and_segment() -> None:
    [pot] = pots(FULL)
    assert pot.key == (UUID(int=1001), 0)
