"""What a new contract charges beside usage.

Owns the bundle that `service.create_contract` takes; the rules are in `charges.py` and `subscriptions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.charge_rules import NewCharge
from app.contracts.charges import insert_charges
from app.contracts.subscription_rules import NewSubscription
from app.contracts.subscriptions import insert_subscriptions
from app.contracts.tables import Contract


@dataclass(frozen=True, slots=True)
class NewFees:
    """Scheduled charges and subscriptions, in the order given, and whether charges go on usage statements."""

    charges: Sequence[NewCharge] = ()
    subscriptions: Sequence[NewSubscription] = ()
    consolidate: bool = False


async def insert_fees(session: AsyncSession, contract: Contract, fees: NewFees, *, now: datetime) -> dict[str, int]:
    """Check and store them all; returns how many there are of each, for the audit log."""
    charges = await insert_charges(session, contract, fees.charges, path=("input", "scheduledCharges"), now=now)
    subscriptions = await insert_subscriptions(
        session, contract, fees.subscriptions, path=("input", "subscriptions"), now=now
    )
    return {"scheduledCharges": len(charges), "subscriptions": len(subscriptions)}
