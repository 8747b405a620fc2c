"""What a recurring commit or credit may say.

Owns the refusals of semantics 5.9, each with its code. A definition is checked as the child that a whole period of it
would make, so that nothing is found wrong years later, in a run that finalizes.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from app.checks import Path, interval_of, within
from app.contracts.new_recurring import NewRecurringGrant, RecurringAmount
from app.contracts.tables import Contract
from app.core.currencies import MINOR_DIGITS
from app.core.fees import ScheduledItem
from app.core.grants import GrantType
from app.core.money import ZERO, bounded, exact
from app.core.period import HOUR, Frequency
from app.errors import ErrorCode, InvalidInput
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule, check_grant

MAX_DURATION = 120


def check_recurring(entry: NewRecurringGrant, contract: Contract, *, path: Path) -> NewGrant:
    """Refuse a definition that breaks a rule; gives the child of a whole period, whose references are still to be found.

    Errors: INVALID, NOT_SUPPORTED for half years, INVALID_INTERVAL for what would never make a child, and those of
    `check_grant`.
    """
    child, price = entry.child, entry.invoice_amount
    if child.type is GrantType.POSTPAID or (child.type is GrantType.CREDIT and price is not None):
        raise InvalidInput(
            ErrorCode.INVALID,
            "What recurs is a PREPAID commit, or a CREDIT that nobody pays for.",
            path=(*path, "kind"),
        )
    if entry.frequency is Frequency.SEMI_ANNUAL:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            "A balance recurs WEEKLY, MONTHLY, QUARTERLY or ANNUAL, not SEMI_ANNUAL.",
            path=(*path, "frequency"),
        )
    within(entry.duration, low=1, high=MAX_DURATION, path=(*path, "duration"))
    start, _ = checked_interval(entry.starting_at, entry.ending_before, contract, path=path)
    access = amount_of(entry.access_amount, path=(*path, "accessAmount"))
    payment = None
    if price is not None:
        amount_of(price, path=(*path, "invoiceAmount"))
        if (entry.invoice_unit or child.unit) not in MINOR_DIGITS:
            raise InvalidInput(
                ErrorCode.INVALID if entry.invoice_unit else ErrorCode.REQUIRED,
                f"{(entry.invoice_unit or child.unit)[:40]!r} is no currency; name the one in which it is paid.",
                path=(*path, "invoiceAmount", "currency"),
            )
        payment = PaymentSchedule((ScheduledItem(start, price.unit_price, price.quantity),), entry.invoice_unit)
    specimen = NewGrant(
        type=child.type, segments=[NewSegment(access, start, start + HOUR)], product_id=child.product_id,
        name=child.name, description=child.description, unit=child.unit, priority=child.priority, scope=child.scope,
        rate_type=child.rate_type, rollover_fraction=child.rollover_fraction, payment=payment,
    )  # fmt: skip
    check_grant(specimen, of_customer=False, path=path)
    return specimen


def checked_interval(
    starting_at: datetime | None, ending_before: datetime | None, contract: Contract, *, path: Path
) -> tuple[datetime, datetime | None]:
    """From when to when children are made: full hours, some of them inside the contract."""
    start, end = interval_of(starting_at or contract.starting_at, ending_before, path=path)
    assert start is not None, "a contract has a start"
    if contract.ending_before is not None and start >= contract.ending_before:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The contract ends at {contract.ending_before.isoformat()}; nothing would begin after that.",
            path=(*path, "startingAt"),
        )
    if end is not None and end <= contract.starting_at:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The contract begins at {contract.starting_at.isoformat()}; nothing would begin before that.",
            path=(*path, "endingBefore"),
        )
    return start, end


def amount_of(amount: RecurringAmount, *, path: Path) -> Decimal:
    """What a whole period brings or costs: 0 or more, of a size that can be kept."""
    for name, value in (("unitPrice", amount.unit_price), ("quantity", amount.quantity)):
        if value < ZERO:
            raise InvalidInput(ErrorCode.INVALID, f"{name} is {value}; write 0 or more.", path=(*path, name))
    try:
        with exact():
            return bounded(amount.unit_price * amount.quantity)
    except ValueError as error:
        raise InvalidInput(ErrorCode.INVALID, f"unitPrice times quantity: {error}.", path=path) from error
