"""Whether a billing configuration is metered now, as its marketplace subscription stands, and in which hour.

Owns what the state of a subscription means for metering. Leaves the state itself to `subscriptions.py`. An agreement
that has ended is called a last time: what is owed goes out at once, in an hour that is still free, as long as the
marketplace takes it. A configuration of which no subscription is known is metered as it always was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.period import HOUR, floor_hour
from app.delivery.registry import Connection
from app.delivery.tables import MarketplaceSubscription
from connectors.subscriptions import Marketplace, SubscriptionState

NOT_METERED = {
    SubscriptionState.PENDING: (
        "SUBSCRIPTION_PENDING",
        "The buyer's subscription is not active yet.",
        "Link it to the customer, or look why its activation failed.",
    ),
    SubscriptionState.SUSPENDED: (
        "SUBSCRIPTION_SUSPENDED",
        "The marketplace has suspended the buyer's subscription; it takes no usage.",
        "Nothing is lost while it may come back; metering goes on by itself then.",
    ),
    SubscriptionState.ENDED: (
        "AGREEMENT_ENDED",
        "The buyer's agreement has ended, and the marketplace takes usage no more.",
        "Settle what is left with the buyer directly, and end the contract.",
    ),
}
"""Code, words and hint of what keeps a configuration from being metered."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`hour` is the slot that may be used; None while nothing is taken. `until` is the end of a last call."""

    hour: datetime | None
    until: datetime | None = None


async def standing_of(
    session: AsyncSession, configuration_id: UUID, connection: Connection, *, now: datetime
) -> Standing:
    """The slot that may carry what is owed now: usually the last full hour.

    In a last call it is the hour that runs, since the last full one is used as a rule; where a marketplace takes no hours
    after the end, the hour of the end.
    """
    row = await subscription_of(session, configuration_id)
    usual = floor_hour(now) - HOUR
    if row is None or row.state == SubscriptionState.ACTIVE:
        return Standing(usual)
    if row.state != SubscriptionState.ENDED or row.metering_until is None or now >= row.metering_until:
        return Standing(None)
    assert row.ended_at is not None, "what has ended has ended at some time"
    market = connection.connector
    later = isinstance(market, Marketplace) and market.takes_hours_after_end
    return Standing(floor_hour(now if later else min(row.ended_at, now)), row.metering_until)


async def why_not_metered(
    session: AsyncSession, configuration_id: UUID, *, now: datetime
) -> tuple[str, str, str] | None:
    """Why the marketplace takes nothing for this configuration; None when it does."""
    row = await subscription_of(session, configuration_id)
    if row is None or row.state == SubscriptionState.ACTIVE:
        return None
    if row.state == SubscriptionState.ENDED and row.metering_until is not None and now < row.metering_until:
        return None
    return NOT_METERED[SubscriptionState(row.state)]


async def subscription_of(session: AsyncSession, configuration_id: UUID) -> MarketplaceSubscription | None:
    """The subscription that a configuration bills, the newest one if a buyer came back."""
    found = await session.execute(
        select(MarketplaceSubscription)
        .where(MarketplaceSubscription.billing_configuration_id == configuration_id)
        .order_by(col(MarketplaceSubscription.id).desc())
        .limit(1)
    )
    return found.scalar_one_or_none()
