"""Alerts: when a reading is an alarm, what is told of a change, and what is read of lines and balances."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import alert_readings as read
from app.core.alerts import (
    BALANCES,
    WHOLE,
    AlertState,
    AlertType,
    Change,
    Reading,
    Rule,
    Subject,
    Told,
    event_of,
    judge,
    reading_name,
)
from app.core.grants import GateStatus, Grant, GrantType, Segment
from app.core.ledger import Movement, TransferKind
from app.core.lines import Line, LineType
from app.core.money import fiat
from app.core.period import Period, StatementSchedule
from app.core.terms import Product, ProductType, ProductVersion, Terms

D = Decimal
SPEND, BALANCE = AlertType.SPEND_THRESHOLD_REACHED, AlertType.LOW_REMAINING_COMMIT_BALANCE_REACHED
DAYS = AlertType.LOW_REMAINING_DAYS_FOR_COMMIT_SEGMENT_REACHED
EVALUATING, OK, ALARM = AlertState.EVALUATING, AlertState.OK, AlertState.IN_ALARM
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def walk(
    rule: Rule, values: list[str | None], subject: Subject = WHOLE
) -> list[tuple[AlertState, AlertState, Told | None]]:
    """What changes while a subject goes through these readings, one judgement each."""
    known: dict[Subject, AlertState] = {}
    seen: list[tuple[AlertState, AlertState, Told | None]] = []
    for value in values:
        changes = judge(rule, known, [] if value is None else [Reading(D(value), subject)])
        known |= {change.subject: change.after for change in changes}
        seen += [(change.before, change.after, change.told) for change in changes if change.subject == subject]
        known.setdefault(WHOLE, OK)
    return seen


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        pytest.param(Rule(SPEND, D(100)), ["99.99", "100", "500"], [(EVALUATING, OK, None), (OK, ALARM, Told.REACHED)],
                     id="spend: told at the threshold, once"),
        pytest.param(Rule(SPEND, D(100)), ["100", "0", "100"],
                     [(EVALUATING, ALARM, Told.REACHED), (ALARM, OK, None), (OK, ALARM, Told.REACHED)],
                     id="spend: a new period is silent, and the next crossing is told"),
        pytest.param(Rule(SPEND, D(100), evaluate_on_create=False), ["100", "0", "100"],
                     [(EVALUATING, ALARM, None), (ALARM, OK, None), (OK, ALARM, Told.REACHED)],
                     id="not evaluated on creation: the first alarm is silent"),
        pytest.param(Rule(SPEND, D(100), notify_on_resolve=True), ["100", "0"],
                     [(EVALUATING, ALARM, Told.REACHED), (ALARM, OK, None)], id="spend is never resolved"),
        pytest.param(Rule(SPEND, D(100), hysteresis=D(10)), ["100", "90", "89.99"],
                     [(EVALUATING, ALARM, Told.REACHED), (ALARM, OK, None)], id="spend with hysteresis"),
        pytest.param(Rule(BALANCE, D(20)), [None, "20.01", "20", "0"], [(EVALUATING, OK, None), (OK, ALARM, Told.REACHED)],
                     id="balance: no data is OK, equality is an alarm"),
        pytest.param(Rule(BALANCE, D(20), notify_on_resolve=True), ["20", "20.01", "20"],
                     [(EVALUATING, ALARM, Told.REACHED), (ALARM, OK, Told.RESOLVED), (OK, ALARM, Told.REACHED)],
                     id="balance: resolved is told when asked for"),
        pytest.param(Rule(BALANCE, D(20)), ["20", "21"], [(EVALUATING, ALARM, Told.REACHED), (ALARM, OK, None)],
                     id="balance: and else not"),
        pytest.param(Rule(BALANCE, D(20), hysteresis=D(5), notify_on_resolve=True), ["20", "25", "25.01"],
                     [(EVALUATING, ALARM, Told.REACHED), (ALARM, OK, Told.RESOLVED)], id="balance with hysteresis"),
        pytest.param(Rule(BALANCE, D(0)), ["1", "0"], [(EVALUATING, OK, None), (OK, ALARM, Told.REACHED)], id="nothing left"),
        pytest.param(Rule(DAYS, D(7), notify_on_resolve=True), ["7", None], [(EVALUATING, ALARM, Told.REACHED), (ALARM, OK, None)],
                     id="a segment that is over is no more an alarm, and not resolved either"),
    ],
)  # fmt: skip
def test_states_and_what_is_told(rule: Rule, values: list[str | None], expected: list[object]) -> None:
    assert walk(rule, values) == expected


def test_subjects_alarm_each_by_itself() -> None:
    rule = Rule(SPEND, D(10), evaluate_on_create=False)
    one, two = (("region", "eu"),), (("region", "us"),)
    first = judge(rule, {}, [Reading(D(10), one), Reading(D(9), two)])
    assert first == [
        Change(WHOLE, EVALUATING, OK, None, None, None),
        Change(one, EVALUATING, ALARM, D(10), None, None),
    ]
    later = judge(rule, {WHOLE: OK, one: ALARM}, [Reading(D(10), one), Reading(D(10), two, "inv")])
    assert later == [Change(two, OK, ALARM, D(10), "inv", Told.REACHED)], "one that comes later was OK before"
    assert judge(rule, {WHOLE: OK, one: ALARM, two: ALARM}, []) == [
        Change(one, ALARM, OK, None, None, None), Change(two, ALARM, OK, None, None, None)
    ]  # fmt: skip


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 2), st.booleans())
def test_alarms_and_their_ends_alternate_and_nothing_is_told_twice(
    values: list[int], margin: int, resolve: bool
) -> None:
    rule = Rule(BALANCE, D(2), hysteresis=D(margin), notify_on_resolve=resolve)
    seen = walk(rule, [str(value) for value in values for _ in range(2)])
    afters = [after for _, after, _ in seen]
    assert all(earlier is not later for earlier, later in pairwise(afters))
    assert all((told is Told.REACHED) is (after is ALARM) for _, after, told in seen)
    assert all(told is Told.RESOLVED for before, after, told in seen if resolve and before is ALARM and after is OK)


def test_names_of_events() -> None:
    assert event_of(SPEND) == "alerts.spend_threshold_reached"
    assert event_of(AlertType.LOW_REMAINING_CONTRACT_CREDIT_BALANCE_REACHED, Told.RESOLVED) == (
        "alerts.low_remaining_contract_credit_balance_resolved"
    )
    assert [reading_name(kind) for kind in AlertType] == [
        "currentSpend", "currentUsage", "invoiceTotal", "invoiceTotal",
        "remainingBalance", "remainingBalance", "remainingBalance", "remainingPercentage", "remainingPercentage",
        "remainingDays", "remainingDays", "remainingBalance",
    ]  # fmt: skip
    assert len({event_of(kind, told) for kind in AlertType for told in Told}) == 2 * len(AlertType)
    assert len(BALANCES) == 6


def line(type: LineType, amount: str, unit: str = "USD", **fields: object) -> Line:
    return Line(type, None, None, unit, D(1), D(amount), D(amount), None, None, **fields)  # type: ignore[arg-type]


def test_spend_is_usage_before_balances_in_one_unit() -> None:
    lines = [
        line(LineType.USAGE, "70"), line(LineType.COMPOSITE, "7"), line(LineType.USAGE, "9", in_total=False),
        line(LineType.APPLIED, "-60", applied_to=LineType.USAGE), line(LineType.COMMIT_PURCHASE, "500"),
        line(LineType.SUBSCRIPTION, "30"), line(LineType.USAGE, "450", "TOK"), line(LineType.CPU_CONVERSION, "45"),
    ]  # fmt: skip
    assert (read.spend_of(lines, "USD"), read.spend_of(lines, "TOK"), read.spend_of(lines, "EUR")) == (86, 450, 0)


def test_spend_by_values() -> None:
    lines = [
        line(LineType.USAGE, "5", pricing=(("region", "eu"),), presentation=(("team", "a"),)),
        line(LineType.USAGE, "6", pricing=(("region", "us"),), presentation=(("team", "a"),)),
        line(LineType.USAGE, "7", presentation=(("team", None),)),
        line(LineType.APPLIED, "-5", applied_to=LineType.USAGE, presentation=(("team", "a"),)),
    ]
    assert read.spend_by(lines, "USD", ["team"]) == {(("team", "a"),): D(11)}
    assert read.spend_by(lines, "USD", ["team", "region"]) == {
        (("region", "eu"), ("team", "a")): D(5), (("region", "us"), ("team", "a")): D(6),
    }  # fmt: skip


def test_keys_become_presentation_keys_where_metrics_offer_them() -> None:
    offering, other = UUID(int=1), UUID(int=2)
    tokens = Product(
        UUID(int=3), "Tokens", ProductType.USAGE, offering, pricing_group_key=("region",), presentation_group_key=("x",),
        versions=(ProductVersion(NOW, offering),),
    )  # fmt: skip
    calls = Product(UUID(int=4), "Calls", ProductType.USAGE, other)
    moved = Product(UUID(int=5), "Moved", ProductType.USAGE, offering, versions=(ProductVersion(NOW, other),))
    seats = Product(UUID(int=6), "Seats", ProductType.SUBSCRIPTION, None)
    terms = Terms(
        UUID(int=7), UUID(int=8), fiat("USD"), Period(NOW), StatementSchedule(), timedelta(0),
        products=(tokens, calls, moved, seats), rates=(),
    )  # fmt: skip
    [found] = read.presented_by(terms, ["region", "team"], [offering]).products
    assert found.presentation_group_key == ("team", "x")
    assert found.versions[0].presentation_group_key == ("region", "team")


def grant(*, gate: GateStatus | None = None) -> Grant:
    segments = (
        Segment(0, Period(NOW - timedelta(days=2), NOW + timedelta(days=1)), D(100)),
        Segment(1, Period(NOW + timedelta(days=1), NOW + timedelta(days=2)), D(50)),
    )
    return Grant(UUID(int=1), GrantType.PREPAID, "USD", segments, NOW, gate=gate)


def test_what_is_left_of_active_segments() -> None:
    taken = [Movement(TransferKind.MANUAL, 0, D(-130), NOW), Movement(TransferKind.MANUAL, 1, D(-10), NOW)]
    assert read.left_and_granted(grant(), [], at=NOW) == (100, 100)
    assert read.left_and_granted(grant(), taken, at=NOW) == (0, 100)
    assert read.left_and_granted(grant(), taken, at=NOW + timedelta(days=1)) == (40, 50)
    assert read.left_and_granted(grant(gate=GateStatus.PENDING), [], at=NOW) == (0, 0)
    assert [read.percentage(D(1), D(3)), read.percentage(D(0), D(0))] == [D("33.333333333333"), None]
    assert read.has_begun(grant(), at=NOW)
    assert not read.has_begun(grant(), at=NOW - timedelta(days=3))
    assert not read.has_begun(grant(gate=GateStatus.FAILED), at=NOW)


@pytest.mark.parametrize(
    ("left", "days"),
    [(timedelta(days=7), "7"), (timedelta(days=7, seconds=1), "7.000012"), (timedelta(hours=12), "0.5")],
)
def test_days(left: timedelta, days: str) -> None:
    assert read.days_until(NOW + left, now=NOW) == D(days)
