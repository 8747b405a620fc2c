"""Threshold billing: when a contract buys its next commit, and how much of it.

Owns the arithmetic of semantics 4.11. What has been spent and what is left of balances comes in; the purchase is made by
the invoices slice.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from app.core.lines import Line, LineType
from app.core.money import ZERO, Unit, exact, round_total


class ThresholdKind(StrEnum):
    """What is watched: what is still to be billed of the current statement, or what is left of prepaid balances."""

    SPEND = "SPEND"
    BALANCE = "BALANCE"


SPENT = frozenset({LineType.USAGE, LineType.COMPOSITE, LineType.CPU_CONVERSION})
"""What grows with usage. Fees, minimums, fixed charges and purchases have dates of their own."""


def unbilled_spend(lines: Iterable[Line], unit: Unit) -> Decimal:
    """What a statement asks for in its currency for usage, after all balances; 0 or more.

    What counts towards a postpaid commit is paid by a balance here, though it is due: else the commit that is bought
    would take its place.
    """
    with exact():
        spent = sum((line.amount for line in lines if _is_spent(line) and line.unit == unit.code), ZERO)
    return max(ZERO, spent)


def _is_spent(line: Line) -> bool:
    return line.type in SPENT or (line.type is LineType.APPLIED and line.applied_to in SPENT)


def spend_to_bill(spend: Decimal, *, threshold: Decimal, unit: Unit) -> Decimal | None:
    """The amount of the commit to buy, in whole smallest units; None while the spend is below the threshold.

    Rounded half up, as the invoice for it would be: what is bought and what is paid are one amount.
    """
    return round_total(spend, unit) or None if spend >= threshold else None


def top_up(balance: Decimal, *, threshold: Decimal, recharge_to: Decimal) -> Decimal | None:
    """What brings a balance back to `recharge_to`; None while it is above the threshold."""
    with exact():
        return recharge_to - balance if balance <= threshold else None
