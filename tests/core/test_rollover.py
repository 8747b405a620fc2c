"""What of an old contract's balances comes along, as an accountant would check it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.balance_sheet import BalanceSheet, balance_sheet
from app.core.grants import Grant, Segment
from app.core.ledger import GrantStatus, Movement, TransferKind, balance_at, ledger, status_at
from app.core.money import canonical
from app.core.period import Period
from app.core.rollover import may_roll, rolled, rollover_access
from tests.core.agreements import day
from tests.core.balances import CREDIT, POSTPAID, PREPAID, grant

D = Decimal
DRAW, MANUAL, ROLLOVER = TransferKind.AUTOMATED_INVOICE_DEDUCTION, TransferKind.MANUAL, TransferKind.ROLLOVER
AMOUNTS = st.decimals(0, 10**9, places=2)


def segment(amount: str = "100000", start: str = "01-01", end: str = "12-31") -> Segment:
    return Segment(0, Period(day(start), day(end)), D(amount))


def moved(amount: Decimal | str, kind: TransferKind = DRAW, at: str = "06-01", number: int = 0) -> Movement:
    return Movement(kind, number, D(amount), day(at))


@pytest.mark.parametrize(
    ("movements", "fraction", "expected"),
    [
        pytest.param([moved("-30000")], "0.5", "50000", id="the fraction of the original caps"),
        pytest.param([moved("-90000")], "0.5", "10000", id="what is left caps"),
        pytest.param([], "1", "100000", id="all"),
        pytest.param([], "0", "0", id="nothing"),
        pytest.param([moved("-100000"), moved("-5", MANUAL)], "1", "0", id="never below zero"),
        pytest.param([moved("20000", MANUAL)], "1", "100000", id="an entry by hand raises what is left, not the cap"),
        pytest.param([moved("-100000", number=1)], "1", "100000", id="another segment's draws do not matter"),
    ],
)
def test_how_much_rolls(movements: list[Movement], fraction: str, expected: str) -> None:
    assert rolled(segment(), movements, fraction=D(fraction)) == D(expected)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param("01-01", "12-31", True, id="running"),
        pytest.param("01-01", "06-01", True, id="ends with the old contract"),
        pytest.param("01-01", "05-31", False, id="ended before"),
        pytest.param("06-01", "12-31", False, id="begins with the new contract"),
        pytest.param("07-01", "12-31", False, id="begins later"),
    ],
)
def test_which_segments_roll(start: str, end: str, expected: bool) -> None:
    assert may_roll(segment("1", start, end), at=day("06-01")) is expected


def test_when_it_may_be_used() -> None:
    """As long as the new contract; when that is open-ended, as long as the old segment was."""
    old = segment("1", "01-01", "01-31")
    assert rollover_access(old, contract=Period(day("06-01"), day("12-31"))) == Period(day("06-01"), day("12-31"))
    assert rollover_access(old, contract=Period(day("06-01"))) == Period(
        day("06-01"), day("06-01") + timedelta(days=30)
    )


def followed(*segments: tuple[str, str, str], at: str = "06-01") -> Grant:
    return grant(1, PREPAID, segments=segments, closes_at=day(at))


def test_a_followed_balance_is_over_at_the_transition() -> None:
    """70,000 left: 50,000 roll, and 20,000 expire at the transition, not at the end of the segment."""
    old = followed(("100000", "01-01", "12-31"), ("5", "07-01", "12-31"))
    movements = [moved("-30000"), moved("-50000", ROLLOVER)]
    entries = ledger(old, movements, now=day("06-01"))
    assert [(item.type.removeprefix("PREPAID_COMMIT_"), canonical(item.amount)) for item in entries] == [
        ("SEGMENT_START", "100000"), ("AUTOMATED_INVOICE_DEDUCTION", "-30000"), ("ROLLOVER", "-50000"),
        ("EXPIRATION", "-20000"),
    ]  # fmt: skip
    assert entries[-1].at == day("06-01")
    assert entries[-1].balance == 0
    for at, status, left in (("05-31", GrantStatus.ACTIVE, 20000), ("06-01", GrantStatus.EXPIRED, 0)):
        assert (status_at(old, at=day(at)), balance_at(old, movements, at=day(at))) == (status, left)


def test_a_segment_that_ends_before_the_transition_is_not_touched() -> None:
    old = followed(("10", "01-01", "02-01"))
    assert old.access(old.segments[0]) == old.segments[0].period
    dropped = followed(("10", "07-01", "12-31"))
    assert (status_at(dropped, at=day("03-01")), ledger(dropped, [], now=day("12-31"))) == (GrantStatus.EXPIRED, [])


@given(
    amount=AMOUNTS,
    drawn=st.decimals(0, 1, places=4),
    entry=st.decimals(-(10**9), 10**9, places=2),
    fraction=st.decimals(0, 1, places=6),
    kind=st.sampled_from([PREPAID, POSTPAID, CREDIT]),
)
def test_what_was_granted_is_drawn_rolled_over_expired_or_taken(
    amount: Decimal, drawn: Decimal, entry: Decimal, fraction: Decimal, kind: object
) -> None:
    """However much is left: the book of the old segment closes at zero, unless somebody took more than there was."""
    old = grant(1, kind, segments=[(str(amount), "01-01", "12-31")], closes_at=day("06-01"))  # type: ignore[arg-type]
    [part] = old.segments
    movements = [moved(-(amount * drawn)), moved(entry, MANUAL)]
    over = rolled(part, movements, fraction=fraction)
    assert 0 <= over <= fraction * amount
    movements.append(moved(-over, ROLLOVER))
    last = ledger(old, movements, now=day("06-01"))[-1].balance
    assert last == min(amount - amount * drawn + entry, D(0))
    for now in ("01-01", "03-01", "06-01"):
        sheet = balance_sheet(old, movements, now=day(now))
        assert sheet.is_balanced
        assert (sheet.granted, sheet.taken, sheet.rolled_over) == (amount + entry, amount * drawn, over)


def test_a_sheet_tells_where_everything_is() -> None:
    """100 drawn by 30 and 50 rolled; 5 in a segment that is dropped; 1 too much taken by hand from a third."""
    old = followed(("100", "01-01", "12-31"), ("5", "07-01", "12-31"), ("2", "01-01", "02-01"))
    movements = [moved("-30"), moved("-50", ROLLOVER), moved("-3", MANUAL, number=2)]
    running = balance_sheet(old, movements, now=day("03-01"))
    assert running == BalanceSheet(D(104), D(30), D(50), D(5), D(19))
    over = balance_sheet(old, movements, now=day("06-01"))
    assert over == BalanceSheet(D(104), D(30), D(50), D(25), D(-1))
    assert (running.is_balanced, over.is_balanced) == (True, True)
    assert not BalanceSheet(D(104), D(30), D(50), D(25), D(0)).is_balanced
