"""What follows when a marketplace tells of a buyer, and what we ask it by ourselves.

Owns the handler of notices, the arrival of buyers, activation, the daily reading, and the last call. A provider call
never happens inside a transaction; every step may be repeated, since the marketplace or the row tells what was done.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog
from sqlmodel import and_, col, or_, select

from app.delivery import metering
from app.delivery.calling import CODE, TEXT, storable_text
from app.delivery.inbound import Handled, Later, NoticeState, Place, Subject, close
from app.delivery.registry import Connection
from app.delivery.subscriptions import observe, to_view
from app.delivery.tables import ConnectionPause, MarketplaceSubscription, ProviderNotice
from app.failpoints import reached
from connectors.base import Terminal, Transient
from connectors.subscriptions import Marketplace, SubscriptionState, SubscriptionView

log = structlog.get_logger("metrograph.marketplaces")

REFRESH = timedelta(hours=20)
"""What is older is read again by the hourly sweep, so each subscription is read once a day."""
FLUSHES, PAUSE_SECONDS = 6, 0.5
"""How often usage is sent before an operation is answered; a marketplace gives ten seconds."""
LIMIT = 200
"""Subscriptions of an account that one sweep asks about; the oldest reading first."""


async def arrive(place: Place, connection: Connection, token: str) -> MarketplaceSubscription:
    """A buyer comes with a token: find out who it is and keep it. Errors are the connector's `Terminal` and `Transient`."""
    market = connection.connector
    assert isinstance(market, Marketplace), "the route is for marketplaces"
    view = await market.resolve(token)
    async with place.store.transaction() as session:
        row = await observe(session, connection, view, now=place.clock())
    assert row is not None, "who arrives has a subscription"
    return row


async def follow(place: Place, subject: Subject) -> Handled:
    """Do what notices about one subscription ask for, oldest first.

    One that cannot be looked at now keeps none after it waiting, such as the end of an agreement, of which the last call is short.
    """
    market = subject.connection.connector
    if not isinstance(market, Marketplace):
        return NoticeState.IGNORED
    concerned = False
    later: Later | None = None
    done: list[ProviderNotice] = []
    for notice in subject.notices:
        try:
            view = await _answered(place, subject.connection, market, notice.payload) if notice.payload else None
        except (Transient, Terminal) as failure:
            later = later or Later(failure.message, failure.code if isinstance(failure, Terminal) else "TRANSIENT")
            continue
        reached("marketplaces.looked")
        concerned |= view is not None and await _observed(place, subject.connection, view)
        done.append(notice)
    state = NoticeState.HANDLED if concerned else NoticeState.IGNORED
    if later is None:
        return state
    async with place.store.transaction() as session:
        await close(session, Subject(subject.connection, done), state, now=place.clock())
    return later


async def follow_all(place: Place) -> int:
    """Activate what was linked, and read again what was not read for a day; returns how many were asked about.

    At a paused account nothing is activated.
    """
    async with place.store.transaction() as session:
        now = place.clock()
        waits = and_(
            MarketplaceSubscription.state == SubscriptionState.PENDING,
            col(MarketplaceSubscription.billing_configuration_id).is_not(None),
            col(MarketplaceSubscription.connection).not_in(select(ConnectionPause.connection)),
        )
        is_old = and_(
            MarketplaceSubscription.state != SubscriptionState.ENDED,
            col(MarketplaceSubscription.refreshed_at) < now - REFRESH,
        )
        due: list[tuple[UUID, str]] = []
        # Each account by itself: of one that was removed, or does not answer, the same ones come first each time.
        for account in place.connections.all():
            found = await session.execute(
                select(MarketplaceSubscription.id, MarketplaceSubscription.connection)
                .where(or_(waits, is_old), MarketplaceSubscription.connection == account.name)
                .order_by(col(MarketplaceSubscription.refreshed_at), col(MarketplaceSubscription.id))
                .limit(LIMIT)
            )
            due += [(row[0], row[1]) for row in found]
    for subscription_id, name in due:
        connection = place.connections.find(name)
        if connection is not None and isinstance(connection.connector, Marketplace):
            await _followed(place, connection, connection.connector, subscription_id)
    return len(due)


async def _answered(
    place: Place, connection: Connection, market: Marketplace, payload: dict[str, str]
) -> SubscriptionView | None:
    """What a notice is about, after its operation was confirmed. Usage under the old plan goes out before that.

    Afterwards the marketplace refuses usage that names the old plan, late hours too.
    """
    view = await market.look(payload)
    if view is None or not view.waits_for_answer:
        return view
    if await _observed(place, connection, view):
        for _ in range(FLUSHES):
            if await _flush(place, connection, view):
                break
            # Somebody else is sending for this connection.
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            # Silence is acceptance, so nothing is lost by waiting until the usage has gone.
            raise Transient("Usage under the old plan is still on its way.")
    await market.answer(payload)
    reached("marketplaces.answered")
    return await market.look(payload)


async def _observed(place: Place, connection: Connection, view: SubscriptionView) -> bool:
    """Keep a view, and send what is owed at once when it is the end; False when it is of no subscription of ours."""
    async with place.store.transaction() as session:
        row = await observe(session, connection, view, now=place.clock())
        has_ended = row is not None and row.state == SubscriptionState.ENDED
    if has_ended:
        await _flush(place, connection, view)
    return row is not None


async def _flush(place: Place, connection: Connection, view: SubscriptionView) -> bool:
    """Plan and send what a subscription owes, without waiting for the hour; False while some of it has no answer."""
    async with place.store.transaction() as session:
        found = await session.execute(
            select(MarketplaceSubscription.billing_configuration_id).where(
                MarketplaceSubscription.connection == connection.name,
                or_(
                    MarketplaceSubscription.reference == view.reference,
                    and_(MarketplaceSubscription.agreement == view.agreement, MarketplaceSubscription.agreement != ""),
                ),
                col(MarketplaceSubscription.billing_configuration_id).is_not(None),
            )
        )
        configurations = [row[0] for row in found]
    for configuration_id in configurations:
        async with place.store.transaction() as session:
            await metering.plan_slots(session, place.connections, [configuration_id], now=place.clock())
    if configurations:
        await metering.send_slots(place.store, place.connections, connection.name, clock=place.clock)
    async with place.store.transaction() as session:
        return not await metering.has_open_slots(session, configurations)


async def _followed(place: Place, connection: Connection, market: Marketplace, subscription_id: UUID) -> None:
    """Ask about one subscription, or begin its billing; what goes wrong is kept with it and tried again."""
    async with place.store.transaction() as session:
        row = await session.get_one(MarketplaceSubscription, subscription_id)
        shown = to_view(row)
        is_waiting = row.state == SubscriptionState.PENDING and row.billing_configuration_id is not None
    failure: Transient | Terminal | None = None
    view: SubscriptionView | None = None
    try:
        if is_waiting:
            view = await market.activate(shown)
            reached("marketplaces.activated")
        else:
            view = await market.refresh(shown.reference, shown.settings)
    except (Transient, Terminal) as error:
        failure = error
    if view is not None:
        await _observed(place, connection, view)
        return
    async with place.store.transaction() as session:
        row = await session.get_one(MarketplaceSubscription, subscription_id, with_for_update=True)
        # Without an answer it is asked again by the next sweep; where nothing can be asked, tomorrow.
        row.refreshed_at = place.clock() if failure is None else row.refreshed_at
        if failure is not None:
            log.warning("subscription not read", connection=connection.name, reason=failure.message)
            row.error_code, row.error_hint = "TRANSIENT", None
            row.error_message = storable_text(failure.message, TEXT)
            if isinstance(failure, Terminal):
                row.error_code, row.error_hint = storable_text(failure.code, CODE), storable_text(failure.hint, TEXT)
