"""Balances, ledgers and states of commits and credits, as an accountant would check them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.grants import GateStatus, Grant
from app.core.ledger import (
    GrantStatus,
    LedgerEntry,
    Movement,
    TransferKind,
    balance_at,
    ledger,
    remaining,
    status_at,
    true_up_line,
)
from app.core.lines import Line, LineType
from app.core.money import canonical
from tests.core.agreements import day
from tests.core.balances import CREDIT, POSTPAID, PREPAID, grant

D = Decimal
YEAR = (("10000", "01-01", "12-31"),)
DRAW, MANUAL = TransferKind.AUTOMATED_INVOICE_DEDUCTION, TransferKind.MANUAL
CREDITED = TransferKind.CREDITED


def moved(amount: str, kind: TransferKind = DRAW, at: str = "02-01", segment: int = 0, **parts: bool) -> Movement:
    return Movement(kind, segment, D(amount), day(at), **parts)


@pytest.mark.parametrize(
    ("segments", "movements", "at", "balance"),
    [
        pytest.param(YEAR, [moved("-6300", is_draft=True)], "01-10", "3700", id="a draft counts"),
        pytest.param(YEAR, [moved("-6300"), moved("-1000", MANUAL, "02-15")], "01-10", "2700", id="a future entry counts"),
        pytest.param(YEAR, [moved("-6300"), moved("-5000", MANUAL, "01-01")], "01-10", "0", id="never below zero"),
        pytest.param(
            (("10000", "01-01", "12-31"), ("2000", "01-01", "12-31")),
            [moved("-6300"), moved("-5000", MANUAL, "01-01")], "01-10", "2000", id="the floor is that of a segment",
        ),
        pytest.param((("100", "01-01", "01-10"),), [moved("-63")], "01-10", "0", id="ended"),
        pytest.param((("100", "01-02", "01-10"),), [moved("500", MANUAL, "01-02")], "01-01", "0", id="not begun"),
        pytest.param((("200", "01-01", "12-31"), ("100", "01-10T13:00:00", "12-31")), [], "01-10T12:00:00", "200", id="in an hour"),
        pytest.param((("200", "01-01", "12-31"), ("100", "01-10T13:00:00", "12-31")), [], "01-10T13:00:00", "300", id="now"),
    ],
)  # fmt: skip
def test_the_balance(
    segments: tuple[tuple[str, str, str], ...], movements: list[Movement], at: str, balance: str
) -> None:
    assert balance_at(grant(1, segments=segments), movements, at=day(at)) == D(balance)


def spelled(entries: list[LedgerEntry]) -> list[str]:
    return [
        f"{entry.at:%m-%d} {entry.type}/{entry.segment} {canonical(entry.amount)} = {canonical(entry.balance)}"
        + (" draft" if entry.is_draft else "")
        for entry in entries
    ]


@pytest.mark.parametrize(
    ("of", "movements", "now", "entries"),
    [
        pytest.param(
            grant(1, CREDIT, segments=(("100", "09-01", "10-01"),)), [moved("-63", at="10-01")], "10-02",
            ["09-01 CREDIT_SEGMENT_START/0 100 = 100", "10-01 CREDIT_AUTOMATED_INVOICE_DEDUCTION/0 -63 = 37",
             "10-01 CREDIT_EXPIRATION/0 -37 = 0"], id="a credit of 100 of which 63 are used",
        ),
        pytest.param(
            grant(1, PREPAID, segments=(("1000", "01-10", "01-20"),)), [moved("500", MANUAL, "01-10")], "01-09",
            ["01-10 PREPAID_COMMIT_MANUAL/0 500 = 500"], id="a segment that has not begun",
        ),
        pytest.param(
            grant(1, PREPAID, segments=(("1000", "01-10", "01-20"),)), [moved("500", MANUAL, "01-10")], "01-20",
            ["01-10 PREPAID_COMMIT_SEGMENT_START/0 1000 = 1000", "01-10 PREPAID_COMMIT_MANUAL/0 500 = 1500",
             "01-20 PREPAID_COMMIT_EXPIRATION/0 -1500 = 0"], id="what was given by hand expires too",
        ),
        pytest.param(
            grant(1, CREDIT, segments=(("100", "01-01", "02-01"),)), [moved("-60"), moved("60", CREDITED, "02-06")], "02-06",
            ["01-01 CREDIT_SEGMENT_START/0 100 = 100", "02-01 CREDIT_AUTOMATED_INVOICE_DEDUCTION/0 -60 = 40",
             "02-01 CREDIT_EXPIRATION/0 -100 = -60", "02-06 CREDIT_CREDITED/0 60 = 0"], id="expired again after a void",
        ),
        pytest.param(
            grant(1, POSTPAID, segments=(("400", "01-01", "12-31"),)), [moved("-100", is_draft=True)], "01-15",
            ["01-01 POSTPAID_COMMIT_INITIAL_BALANCE/0 400 = 400",
             "02-01 POSTPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION/0 -100 = 300 draft"], id="a commit and a draft",
        ),
        pytest.param(
            grant(1, CREDIT, segments=(("50", "01-01", "01-11"), ("50", "01-21", "01-31"))),
            [moved("-30"), moved("-50", segment=1)], "02-02",
            ["01-01 CREDIT_SEGMENT_START/0 50 = 50", "01-11 CREDIT_EXPIRATION/0 -20 = 30",
             "01-21 CREDIT_SEGMENT_START/1 50 = 50", "02-01 CREDIT_AUTOMATED_INVOICE_DEDUCTION/0 -30 = 0",
             "02-01 CREDIT_AUTOMATED_INVOICE_DEDUCTION/1 -50 = 0"], id="two segments are two pots",
        ),
        pytest.param(
            grant(1, CREDIT, segments=(("50", "01-01", "01-11"),)), [moved("-60", MANUAL, "01-01")], "02-02",
            ["01-01 CREDIT_SEGMENT_START/0 50 = 50", "01-01 CREDIT_MANUAL/0 -60 = -10"], id="nothing left to expire",
        ),
    ],
)  # fmt: skip
def test_the_ledger(of: Grant, movements: list[Movement], now: str, entries: list[str]) -> None:
    assert spelled(ledger(of, movements, now=day(now))) == entries


@pytest.mark.parametrize(
    ("at", "gate", "is_archived", "status"),
    [
        ("01-01", None, False, GrantStatus.UPCOMING),
        ("01-02", None, False, GrantStatus.ACTIVE),
        ("01-10", None, False, GrantStatus.UPCOMING),
        ("01-20", None, False, GrantStatus.ACTIVE),
        ("01-30", None, False, GrantStatus.EXPIRED),
        ("01-02", GateStatus.PENDING, False, GrantStatus.PENDING),
        ("01-30", GateStatus.PENDING, False, GrantStatus.PENDING),
        ("01-02", GateStatus.PAID, False, GrantStatus.ACTIVE),
        ("01-30", GateStatus.PAID, False, GrantStatus.EXPIRED),
        ("01-02", GateStatus.FAILED, False, GrantStatus.VOIDED),
        ("01-02", None, True, GrantStatus.VOIDED),
        ("01-30", GateStatus.PENDING, True, GrantStatus.VOIDED),
    ],
)
def test_the_status(at: str, gate: GateStatus | None, is_archived: bool, status: GrantStatus) -> None:
    two = replace(grant(1, segments=(("1", "01-02", "01-10"), ("1", "01-20", "01-30"))), gate=gate)
    assert status_at(two, at=day(at), is_archived=is_archived) is status


@pytest.mark.parametrize(
    ("gate", "balance"),
    [(None, "60"), (GateStatus.PENDING, "0"), (GateStatus.FAILED, "0"), (GateStatus.PAID, "60")],
)
def test_nothing_can_be_used_before_it_is_paid(gate: GateStatus | None, balance: str) -> None:
    """A commit of 100, of which an entry by hand took 40."""
    of = replace(grant(1, segments=(("100", "01-01", "02-01"),)), gate=gate)
    assert balance_at(of, [moved("-40", MANUAL, "01-02")], at=day("01-10")) == D(balance)


@given(st.lists(st.tuples(st.sampled_from(TransferKind), st.decimals(-500, 500, places=3)), max_size=10))
def test_a_ledger_adds_up_to_what_is_left(moves: list[tuple[TransferKind, Decimal]]) -> None:
    """Before the end the entries come to what remains; after it to nothing, or to what was taken too much."""
    of = grant(1, segments=(("1000", "01-01", "02-01"),))
    movements = [Movement(kind, 0, amount, day("01-15"), invoice_id=UUID(int=3)) for kind, amount in moves]
    left = remaining(of.segments[0], movements)
    before = ledger(of, movements, now=day("01-20"))
    assert sum((entry.amount for entry in before), D(0)) == left == before[-1].balance
    after = ledger(of, movements, now=day("02-01"))
    assert sum((entry.amount for entry in after), D(0)) == min(left, D(0))


@pytest.mark.parametrize(("unit", "missing"), [("USD", "250.5"), ("EUR", "0.000000000001")])
def test_the_line_of_what_is_missing(unit: str, missing: str) -> None:
    """One commit of no product and no time, in the unit of the commit; whoever asks, it is the commit that it names."""
    of = grant(1, POSTPAID, unit=unit)
    assert true_up_line(of, D(missing)) == Line(
        type=LineType.TRUEUP, product_id=None, product_name=None, unit=unit, quantity=D(1), unit_price=D(missing),
        amount=D(missing), starting_at=None, ending_before=None, grant_id=of.id,
    )  # fmt: skip
