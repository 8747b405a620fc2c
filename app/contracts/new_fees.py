"""What a contract charges beside usage.

Owns the bundle of what is added; the rules are in `charges.py` and `subscriptions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts.charge_rules import NewCharge
from app.contracts.charges import insert_charges
from app.contracts.subscription_rules import NewSubscription
from app.contracts.subscriptions import insert_subscriptions
from app.contracts.tables import Contract, ScheduledChargeRow, SubscriptionRow


@dataclass(frozen=True, slots=True)
class NewFees:
    """Scheduled charges and subscriptions, in the order given; whether a new contract's charges go on usage statements."""

    charges: Sequence[NewCharge] = ()
    subscriptions: Sequence[NewSubscription] = ()
    consolidate: bool = False


async def insert_fees(
    session: AsyncSession, contract: Contract, fees: NewFees, *, path: Path, now: datetime
) -> tuple[list[ScheduledChargeRow], list[SubscriptionRow]]:
    """Check and store them all; `path` is that of the object which holds the two lists."""
    charges = await insert_charges(session, contract, fees.charges, path=(*path, "scheduledCharges"), now=now)
    subscriptions = await insert_subscriptions(
        session, contract, fees.subscriptions, path=(*path, "subscriptions"), now=now
    )
    return charges, subscriptions
