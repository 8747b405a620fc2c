"""The buyers' subscriptions at marketplaces: kept as they were shown last.

Owns what a marketplace changes of the rows; matching them with customers is in `matching.py`. What it shows is observed
here, whichever way it came: a buyer who arrives, a notice, a reading by ourselves. Where it can be asked the last reading
holds; where it cannot, the time in its notices orders them, so duplicates and any order end the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select, update

from app import actor
from app.access import audit
from app.change import note_change, take_change
from app.customers import billing
from app.customers.tables import BillingConfiguration
from app.delivery import registry, states
from app.delivery.calling import CODE, REFERENCE, storable_text
from app.delivery.tables import MarketplaceSubscription, MeteringSlot
from app.store import ids
from connectors.subscriptions import Marketplace, SubscriptionState, SubscriptionView

OBSERVED = "marketplace_subscription.observe"
MAX_FACTS = 20
_ENDED = SubscriptionState.ENDED


async def observe(
    session: AsyncSession, connection: registry.Connection, view: SubscriptionView, *, now: datetime
) -> MarketplaceSubscription | None:
    """Keep how a marketplace shows a subscription; None when the view names none that is known, or can be kept.

    A new one is matched with the billing configuration that names it, if somebody made one already. A view that is older
    than the last one changes nothing; of two of the same instant the end holds. The audit log has each change.
    """
    market = connection.connector
    assert isinstance(market, Marketplace), "only marketplaces have subscriptions"
    row = await _found(session, connection, view) or await _made(session, connection, market, view, now=now)
    if row is None or _is_older(row, view):
        return row
    before = facts_of(row)
    row.refreshed_at, row.seen_at = now, view.as_of or row.seen_at
    row.provider_status = storable_text(view.provider_status, CODE) or "unknown"
    row.agreement = row.agreement or storable_text(view.agreement, REFERENCE) or ""
    for name in ("offer", "plan"):
        setattr(row, name, storable_text(getattr(view, name), REFERENCE) or getattr(row, name))
    row.quantity = storable_text(view.quantity, 32) or row.quantity
    row.buyer = {**row.buyer, **kept_of(view.buyer)}
    _move(row, view, market, now=now)
    if view.as_of is None:
        await _follow_settings(session, row, view.settings)
    if facts_of(row) != before:
        row.updated_at = now
        if row.state == _ENDED and row.billing_configuration_id is not None:
            await _shorten(session, row)
        note_change(session, "marketplace_subscription", row.id, before=before, after=facts_of(row))
        teller = actor.system(connection.name, kind="provider")
        await audit.record(session, teller, action=OBSERVED, now=now, change=take_change(session))
    await session.flush()
    return row


def to_view(row: MarketplaceSubscription) -> SubscriptionView:
    """The row as a view, for the connector."""
    return SubscriptionView(
        reference=row.reference, state=SubscriptionState(row.state), provider_status=row.provider_status,
        settings=row.settings, agreement=row.agreement, offer=row.offer, plan=row.plan, quantity=row.quantity,
    )  # fmt: skip


async def _found(
    session: AsyncSession, connection: registry.Connection, view: SubscriptionView
) -> MarketplaceSubscription | None:
    """By its own id; a notice that names the agreement alone means the one that was seen with it."""
    wanted = select(MarketplaceSubscription).where(MarketplaceSubscription.connection == connection.name)
    if view.reference:
        wanted = wanted.where(MarketplaceSubscription.reference == view.reference)
    elif view.agreement:
        wanted = wanted.where(MarketplaceSubscription.agreement == view.agreement)
    else:
        return None
    wanted = wanted.order_by(col(MarketplaceSubscription.id).desc()).limit(1).with_for_update()
    return (await session.execute(wanted)).scalar_one_or_none()


async def _made(
    session: AsyncSession,
    connection: registry.Connection,
    market: Marketplace,
    view: SubscriptionView,
    *,
    now: datetime,
) -> MarketplaceSubscription | None:
    """A row of a subscription that was not known. Two at once make one."""
    if not view.reference or not view.settings:
        return None
    configuration = await _configuration_of(session, connection, market, view.reference)
    await session.execute(
        insert(MarketplaceSubscription)
        .values(
            id=ids.new_id(), created_at=now, updated_at=now, refreshed_at=now, provider=connection.provider,
            connection=connection.name, reference=view.reference, agreement="", state=SubscriptionState.PENDING,
            provider_status="", settings=dict(view.settings), offer="", plan="", quantity="", buyer={}, contact={},
            customer_id=None if configuration is None else configuration.customer_id,
            billing_configuration_id=None if configuration is None else configuration.id,
        )
        .on_conflict_do_nothing(index_elements=["connection", "reference"])
    )  # fmt: skip
    return await _found(session, connection, view)


async def _configuration_of(
    session: AsyncSession, connection: registry.Connection, market: Marketplace, reference: str
) -> BillingConfiguration | None:
    """The configuration that names the subscription, the newest if there are several."""
    found = await session.execute(
        select(BillingConfiguration)
        .where(BillingConfiguration.connection == connection.name)
        .order_by(col(BillingConfiguration.archived_at).is_not(None), col(BillingConfiguration.id).desc())
    )
    return next((row for row in found.scalars() if market.reference_of(row.settings) == reference), None)


def _is_older(row: MarketplaceSubscription, view: SubscriptionView) -> bool:
    if view.as_of is None or row.seen_at is None:
        return False
    return view.as_of < row.seen_at or (view.as_of == row.seen_at and row.state == _ENDED)


def _move(row: MarketplaceSubscription, view: SubscriptionView, market: Marketplace, *, now: datetime) -> None:
    """To the state that was shown. The first of several notices of an end begins the last call."""
    if view.state is _ENDED and row.state != _ENDED:
        row.ended_at = min(view.ended_at or now, now)
        row.metering_until = row.ended_at + market.last_call
    elif view.state is not _ENDED:
        row.ended_at = row.metering_until = None
    if view.state is SubscriptionState.ACTIVE and row.state != SubscriptionState.ACTIVE:
        row.activated_at = row.activated_at or now
        row.error_code = row.error_message = row.error_hint = None
    row.state = view.state


async def _follow_settings(session: AsyncSession, row: MarketplaceSubscription, settings: Mapping[str, str]) -> None:
    """A plan that was changed at the marketplace is the plan that usage must name from then on."""
    # What a marketplace leaves empty is not known; usage that names no plan would be refused.
    settings = {key: value for key, value in settings.items() if value}
    if not settings or dict(row.settings) == {**row.settings, **settings}:
        return
    row.settings = {**row.settings, **settings}
    if row.billing_configuration_id is not None:
        await billing.change_settings(session, row.billing_configuration_id, settings)


async def _shorten(session: AsyncSession, row: MarketplaceSubscription) -> None:
    """Slots that wait are taken no longer than the last call lasts."""
    await session.execute(
        update(MeteringSlot)
        .where(
            col(MeteringSlot.billing_configuration_id) == row.billing_configuration_id,
            col(MeteringSlot.status).in_([states.SlotStatus.PENDING, states.SlotStatus.SENDING]),
        )
        .values(deadline=func.least(MeteringSlot.deadline, row.metering_until))
    )


def kept_of(facts: Mapping[str, str]) -> dict[str, str]:
    """A few short facts about a person or company, in characters that can be stored."""
    kept = {key: storable_text(value, 200) for key, value in list(facts.items())[:MAX_FACTS]}
    return {key: value for key, value in kept.items() if value}


def facts_of(row: MarketplaceSubscription) -> dict[str, object]:
    """What the audit log keeps; who the buyer is stays out of it."""
    return {
        "reference": row.reference,
        "state": row.state,
        "providerStatus": row.provider_status,
        "plan": row.plan,
        "quantity": row.quantity,
        "customer": None if row.customer_id is None else ids.to_text("customer", row.customer_id),
        "endedAt": None if row.ended_at is None else row.ended_at.isoformat(),
    }
