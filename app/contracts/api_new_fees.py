"""What a contract charges beside usage, as callers send it.

Owns the bundle of scheduled charges and subscriptions.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.checks import Path
from app.contracts.api_charge_inputs import ScheduledChargeInput, new_charges
from app.contracts.api_subscription_inputs import SubscriptionInput, new_subscriptions
from app.contracts.new_fees import NewFees

__all__ = ["ScheduledChargeInput", "SubscriptionInput", "new_fees"]


def new_fees(
    charges: Sequence[ScheduledChargeInput],
    subscriptions: Sequence[SubscriptionInput],
    *,
    consolidate: bool,
    path: Path,
) -> NewFees:
    """The bundle as the service takes it; `path` is that of the object which holds the two lists."""
    return NewFees(
        new_charges(charges, path=(*path, "scheduledCharges")),
        new_subscriptions(subscriptions, path=(*path, "subscriptions")),
        consolidate,
    )
