"""Threshold billing: what counts as spent, when a commit is bought, and for how much."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.lines import Line, LineType
from app.core.money import fiat
from app.core.thresholds import spend_to_bill, top_up, unbilled_spend

D = Decimal
USD, JPY = fiat("USD"), fiat("JPY")


def line(type: LineType, amount: str, unit: str = "USD", *, in_total: bool = True) -> Line:
    return Line(type, None, None, unit, D(1), D(amount), D(amount), None, None, in_total=in_total)


def paid(amount: str, *, of: LineType = LineType.USAGE, in_total: bool = True) -> Line:
    return line(LineType.APPLIED, amount, in_total=in_total)._replace(applied_to=of)


@pytest.mark.parametrize(
    ("lines", "spend"),
    [
        pytest.param([], "0", id="nothing"),
        pytest.param([line(LineType.USAGE, "70"), line(LineType.COMPOSITE, "7")], "77", id="usage and its composite"),
        pytest.param([line(LineType.USAGE, "70"), paid("-60")], "10", id="after prepaid balances"),
        pytest.param(
            [line(LineType.USAGE, "70"), paid("-60", in_total=False)], "10",
            id="what counts towards a postpaid commit is due, and nothing is bought for it",
        ),
        pytest.param(
            [line(LineType.SUBSCRIPTION, "30"), line(LineType.USAGE, "8"), paid("-30", of=LineType.SUBSCRIPTION)], "8",
            id="a fee is not usage, and neither is what pays it",
        ),
        pytest.param([line(LineType.MINIMUM, "90"), paid("-5", of=LineType.MINIMUM)], "0", id="a minimum"),
        pytest.param(
            [line(LineType.SCHEDULED, "500"), line(LineType.COMMIT_PURCHASE, "500"), line(LineType.TRUEUP, "5")], "0",
            id="fixed charges have dates of their own",
        ),
        pytest.param(
            [line(LineType.USAGE, "450", "TOK", in_total=False), line(LineType.CPU_CONVERSION, "45")], "45",
            id="custom units count as what they are converted to",
        ),
        pytest.param([line(LineType.USAGE, "-4")], "0", id="a statement below zero"),
    ],
)  # fmt: skip
def test_what_is_spent(lines: list[Line], spend: str) -> None:
    assert unbilled_spend(lines, USD) == D(spend)


@pytest.mark.parametrize(
    ("spend", "unit", "amount"),
    [
        ("99.99", USD, None),
        ("100", USD, "100"),
        ("100.004", USD, "100.00"),
        ("100.005", USD, "100.01"),
        ("1234.5", JPY, "1235"),
    ],
)
def test_spend_is_billed_when_it_reaches_the_threshold(spend: str, unit: object, amount: str | None) -> None:
    found = spend_to_bill(D(spend), threshold=D(100), unit=unit)  # type: ignore[arg-type]
    assert found == (None if amount is None else D(amount))


def test_what_rounds_to_nothing_is_not_bought() -> None:
    assert spend_to_bill(D("0.004"), threshold=D("0.001"), unit=USD) is None


@pytest.mark.parametrize(("balance", "amount"), [("50.01", None), ("50", "450"), ("49.5", "450.5"), ("0", "500")])
def test_a_balance_is_topped_up_at_the_threshold(balance: str, amount: str | None) -> None:
    """Tokens: threshold 50, back to 500."""
    found = top_up(D(balance), threshold=D(50), recharge_to=D(500))
    assert found == (None if amount is None else D(amount))


@given(st.decimals(0, 1000, places=6), st.decimals(0, 100, places=2), st.decimals("0.01", 900, places=2))
def test_after_a_top_up_none_is_due(balance: Decimal, threshold: Decimal, above: Decimal) -> None:
    target = threshold + above
    bought = top_up(balance, threshold=threshold, recharge_to=target)
    if bought is not None:
        assert balance + bought == target
        assert top_up(balance + bought, threshold=threshold, recharge_to=target) is None
