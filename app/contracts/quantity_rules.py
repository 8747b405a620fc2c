"""What an update of a subscription's quantity may say.

Owns the refusals, each with its code. The history itself is read in `core.subscriptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from app.checks import at_most, hour_of
from app.contracts.tables import Contract
from app.core.fees import BilledItem, QuantityUpdate, Subscription
from app.core.period import Period
from app.core.subscriptions import quantity_steps
from app.errors import ErrorCode, InvalidInput, InvalidState

MAX_UPDATES = 5_000


def checked_update(
    subscription: Subscription,
    contract: Contract,
    billed: Sequence[BilledItem],
    *,
    starting_at: datetime,
    quantity: Decimal | None,
    delta: Decimal | None,
) -> QuantityUpdate:
    """An update on a full hour within the subscription, behind no final fee, after which no quantity is negative."""
    at_most(range(len(subscription.updates) + 1), MAX_UPDATES, path=("input", "quantityUpdates"))
    _check_change(quantity, delta)
    start = hour_of(starting_at, path=("input", "startingAt"))
    check_instant(subscription, contract, billed, start)
    update = QuantityUpdate(start, quantity, delta)
    try:
        quantity_steps(subscription.initial_quantity, (*subscription.updates, update))
    except ValueError as error:
        raise InvalidInput(
            ErrorCode.QUANTITY_NEGATIVE, f"The update is not acceptable: {error}.", path=("input",)
        ) from error
    return update


def _check_change(quantity: Decimal | None, delta: Decimal | None) -> None:
    if (quantity is None) is (delta is None):
        raise InvalidInput(ErrorCode.REQUIRED, "Give a quantity or a delta, one of the two.", path=("input",))
    if quantity is not None and quantity < 0:
        raise InvalidInput(
            ErrorCode.QUANTITY_NEGATIVE, f"quantity is {quantity}; write 0 or more.", path=("input", "quantity")
        )
    if delta == 0:
        raise InvalidInput(ErrorCode.INVALID, "A delta of 0 changes nothing.", path=("input", "delta"))


def check_instant(subscription: Subscription, contract: Contract, billed: Sequence[BilledItem], at: datetime) -> None:
    """A change lies within the subscription and the contract, and behind no final fee."""
    within = subscription.period.intersect(Period(contract.starting_at, contract.ending_before))
    if within is None or not within.contains(at):
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"{at.isoformat()} lies outside the subscription, which begins at "
            f"{subscription.period.starting_at.isoformat()}.",
            path=("input", "startingAt"),
        )
    final = [item.key.at for item in billed if item.key.source_id == subscription.id]
    if final and at < max(final):
        raise InvalidState(
            ErrorCode.ALREADY_FINALIZED,
            f"The fee from {max(final).isoformat()} on is final; write that instant or a later one.",
            path=("input", "startingAt"),
        )
