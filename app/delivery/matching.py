"""Who a buyer at a marketplace is here: what the buyer says, and what an operator decides.

Owns the match of a subscription with a customer. Leaves what the marketplace shows to `subscriptions.py`; activation is
asked for in the transaction of the match, and done by a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.customers import billing
from app.delivery.subscriptions import facts_of, kept_of
from app.delivery.tables import MarketplaceSubscription
from app.errors import ErrorCode, InvalidState, NotFound
from app.jobs.service import enqueue
from app.providers import ProviderDirectory
from app.store import ids
from connectors.subscriptions import SubscriptionState

FOLLOW_JOB = "marketplaces.follow"


async def link(
    session: AsyncSession,
    directory: ProviderDirectory,
    subscription_id: UUID,
    *,
    customer_id: UUID,
    is_default: bool,
    now: datetime,
) -> MarketplaceSubscription:
    """Say which customer a subscription belongs to: its billing configuration is made, and activation is asked for.

    Repeated with the same customer it changes nothing. Errors: `NotFound`, ILLEGAL_TRANSITION when it belongs to another
    one or has ended, and those of a new billing configuration.
    """
    row = await session.get(MarketplaceSubscription, subscription_id, with_for_update=True)
    if row is None:
        text = ids.to_text("marketplace_subscription", subscription_id)
        raise NotFound("Marketplace subscription", text, path=("input", "id"))
    if row.customer_id == customer_id:
        return row
    if row.customer_id is not None or row.state == SubscriptionState.ENDED:
        why = "has ended" if row.state == SubscriptionState.ENDED else "belongs to another customer"
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION, f"The subscription {why}.", path=("input", "id"), conflicting=row
        )
    before = facts_of(row)
    made = await billing.create_billing_configuration(
        session, directory, customer_id=customer_id, provider=row.provider, connection=row.connection,
        settings=row.settings, is_default=is_default, now=now,
    )  # fmt: skip
    row.customer_id, row.billing_configuration_id, row.updated_at = customer_id, made.id, now
    await session.flush()
    if row.state == SubscriptionState.PENDING:
        await enqueue(session, FOLLOW_JOB, once=FOLLOW_JOB)
    note_change(session, "marketplace_subscription", row.id, before=before, after=facts_of(row))
    return row


async def give_contact(
    session: AsyncSession, subscription_id: UUID, contact: Mapping[str, str], *, now: datetime
) -> bool:
    """Keep who the buyer says to be, for whoever matches it; False when it is matched already, or unknown."""
    row = await session.get(MarketplaceSubscription, subscription_id, with_for_update=True)
    if row is None or row.customer_id is not None:
        return False
    row.contact, row.updated_at = kept_of(contact), now
    return True
