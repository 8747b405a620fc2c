"""Hourly metering at marketplaces: what is owed, less what was sent, in whole units, one frozen slot an hour.

Owns the plan of slots and what becomes of them; what is owed is `owing.py`, which invoices they cover `settlement.py`. A slot's quantity is
decided once, under the customer's lock, and committed before the provider hears of it; a slot without a proven answer
counts as sent, so nothing is billed twice. Money owed less money sent is the only formula: late usage, outages and
remainders ride on the next slot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import and_, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.core.money import canonical, exact
from app.customers.tables import BillingConfiguration
from app.delivery import requests
from app.delivery.calling import Answer, ask
from app.delivery.documents import metering_document
from app.delivery.metering_standing import standing_of
from app.delivery.owing import CURRENCY, owed_through
from app.delivery.registry import Connection, Connections
from app.delivery.settlement import settle
from app.delivery.states import NO_EFFECT, RESOLVED, UNKNOWN_EFFECT, DeliveryStatus, SlotStatus
from app.delivery.tables import ConnectionPause, Delivery, MeteringReceipt, MeteringSlot
from app.failpoints import reached
from app.store.engine import Store
from app.store.ids import to_text
from app.store.locks import hold, lock_customer, lock_named
from connectors.base import Capabilities, Outcome, OutcomeStatus, Terminal, Transient

REFUSAL_PAUSE = timedelta(hours=6)
"""How long a refused amount is not offered again: marketplaces ask not to be tried blindly."""
LATE = ("OUT_OF_WINDOW", "MONTH_CLOSED")
"""Refusals of an hour that has passed; they, and a person's word, say nothing about the next one."""
LAST_SLOT = (
    select(func.max(col(MeteringSlot.hour)))
    .where(MeteringSlot.billing_configuration_id == BillingConfiguration.id)
    .scalar_subquery()
)
"""The last hour of a billing configuration that was used."""


@dataclass(slots=True)
class Sent:
    """How many slots were sent, and how many invoices became delivered by it."""

    slots: int = 0
    delivered: int = 0


async def metered_configurations(session: AsyncSession, connections: Connections) -> list[BillingConfiguration]:
    """The billing configurations whose provider takes usage instead of invoices; whose last slot is the oldest comes first.

    Those of one buyer share its hours, and in a fixed order the first one would take them all. An archived one stays until
    the invoices that are routed to it are covered.
    """
    is_open = select(Delivery.id).where(
        Delivery.billing_configuration_id == BillingConfiguration.id,
        col(Delivery.status).not_in((DeliveryStatus.DELIVERED, DeliveryStatus.SKIPPED, DeliveryStatus.CANCELED)),
    )
    found = await session.execute(
        select(BillingConfiguration)
        .where(or_(col(BillingConfiguration.archived_at).is_(None), is_open.exists()))
        .order_by(LAST_SLOT.asc().nulls_first(), col(BillingConfiguration.id))
    )
    return [row for row in found.scalars() if _metering(connections, row) is not None]


async def plan_slots(
    session: AsyncSession, connections: Connections, configuration_ids: Collection[UUID], *, now: datetime
) -> list[MeteringSlot]:
    """Plan the slots of the last full hour for billing configurations of one customer, which is rated once.

    There is none where nothing is owed, the slot is taken, or a refusal is fresh.
    """
    found = await session.execute(
        select(BillingConfiguration)
        .where(col(BillingConfiguration.id).in_(configuration_ids))
        .order_by(LAST_SLOT.asc().nulls_first(), col(BillingConfiguration.id))
    )
    metered = [(row, place) for row in found.scalars() if (place := _metering(connections, row)) is not None]
    if not metered:
        return []
    customer_id = metered[0][0].customer_id
    assert all(row.customer_id == customer_id for row, _ in metered), "a transaction holds one customer's lock"
    await lock_customer(session, customer_id)
    # Two configurations may name the same buyer at the provider, whose slot takes one quantity only. Always in one
    # order, so that two who plan never wait for each other.
    buyers = {row.id: requests.buyer_of(place.capabilities, row.settings) for row, place in metered}
    for name in sorted({f"slots:{row.connection}:{json.dumps(buyers[row.id], sort_keys=True)}" for row, _ in metered}):
        await lock_named(session, name)
    planned: list[MeteringSlot] = []
    owed: dict[UUID, Decimal] | None = None
    for configuration, connection in metered:
        standing = await standing_of(session, configuration.id, connection, now=now)
        # In a last call there is no time to wait after a refusal.
        since = now - (REFUSAL_PAUSE if standing.until is None else timedelta(0))
        hour = standing.hour
        buyer = buyers[configuration.id]
        if hour is None or await _is_held(session, configuration, connection.dimension, buyer, hour=hour, since=since):
            continue
        owed = owed or await owed_through(
            session, customer_id, list(buyers), requesting=requests.requesting(metered), now=now
        )
        sent = await _sent(session, configuration.id)
        with exact():
            units = (owed[configuration.id] - sent) // connection.unit_price
        if units <= 0:
            continue
        slot = MeteringSlot(
            created_at=now, updated_at=now, customer_id=customer_id, billing_configuration_id=configuration.id,
            provider=configuration.provider, connection=configuration.connection, dimension=connection.dimension,
            hour=hour, quantity=min(units, connection.capabilities.max_quantity or units),
            unit_price=connection.unit_price, currency=CURRENCY, owed=owed[configuration.id],
            record={"customer": buyer}, status=SlotStatus.PENDING,
            deadline=min(filter(None, (closes_at(connection.capabilities, hour), standing.until)), default=None),
        )  # fmt: skip
        session.add(slot)
        await session.flush()
        planned.append(slot)
    return planned


async def send_slots(store: Store, connections: Connections, name: str, *, clock: Callable[[], datetime]) -> Sent:
    """Send the planned slots of one connection, and again those whose answer was lost; settle what they cover.

    While it is paused, only those whose time has passed are retired.
    """
    done = Sent()
    connection = connections.find(name)
    if connection is None or connection.capabilities.mode != "metering":
        return done
    async with hold(store, f"meter:{name}") as is_ours:
        if not is_ours:
            return done
        async with store.transaction() as session:
            late = await _retire_late(session, connection, now=clock())
            waiting = await _open_slots(session, name)
        done.delivered += await _settle_all(store, late, now=clock())
        size = connection.capabilities.batch_size
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            reached("metering.before_intent")
            async with store.transaction() as session:
                if await session.get(ConnectionPause, name) is not None:
                    break
                slots = [await session.get_one(MeteringSlot, slot_id) for slot_id in batch]
                for slot in slots:
                    slot.status, slot.attempts, slot.updated_at = SlotStatus.SENDING, slot.attempts + 1, clock()
                document = metering_document(slots)
            reached("metering.intent_committed")
            answers = await ask(connection, document, f"slots:{document.records[0].reference}")
            reached("metering.called")
            async with store.transaction() as session:
                await _receive(session, batch, answers, now=clock())
            reached("metering.receipt_committed")
            done.slots += len(batch)
            # At once, by whoever got the answer: another worker may have looked for it in vain a moment ago.
            done.delivered += await _settle_all(store, {slot.billing_configuration_id for slot in slots}, now=clock())
            if isinstance(answers, Transient | Terminal):
                break
    return done


async def _settle_all(store: Store, configuration_ids: Iterable[UUID], *, now: datetime) -> int:
    """Settle some configurations, a transaction for each."""
    delivered = 0
    for configuration_id in sorted(configuration_ids):
        async with store.transaction() as session:
            delivered += await settle(session, configuration_id, now=now)
    return delivered


def closes_at(capabilities: Capabilities, hour: datetime) -> datetime | None:
    """From when on a provider takes usage of this hour no more (its window, and its cut-off after the month)."""
    ends: list[datetime] = []
    if capabilities.window is not None:
        ends.append(hour + capabilities.window)
    if capabilities.month_cutoff_hour is not None:
        next_month = (hour.replace(day=1, hour=0) + timedelta(days=32)).replace(day=1)
        ends.append(next_month + timedelta(hours=capabilities.month_cutoff_hour))
    return min(ends, default=None)


def is_past_window(capabilities: Capabilities, hour: datetime, *, now: datetime) -> bool:
    """Whether a provider takes usage of this hour no more."""
    end = closes_at(capabilities, hour)
    return end is not None and now >= end


def _metering(connections: Connections, configuration: BillingConfiguration) -> Connection | None:
    connection = connections.find(configuration.connection)
    return connection if connection is not None and connection.capabilities.mode == "metering" else None


async def _is_held(
    session: AsyncSession,
    configuration: BillingConfiguration,
    dimension: str,
    buyer: Mapping[str, str],
    *,
    hour: datetime,
    since: datetime,
) -> bool:
    """The slot is used, or the provider has refused one since then."""
    is_ours = col(MeteringSlot.billing_configuration_id) == configuration.id
    is_same_buyer = and_(
        col(MeteringSlot.connection) == configuration.connection,
        col(MeteringSlot.record).contains({"customer": buyer}),
    )
    found = await session.execute(
        select(MeteringSlot.id)
        .where(
            or_(
                and_(
                    or_(is_ours, is_same_buyer),
                    col(MeteringSlot.dimension) == dimension,
                    col(MeteringSlot.hour) >= hour,
                ),
                and_(
                    is_ours,
                    # Under other settings, such as the plan before, a refusal says nothing.
                    col(MeteringSlot.record).contains({"customer": buyer}),
                    col(MeteringSlot.status) == SlotStatus.REFUSED,
                    col(MeteringSlot.attempts) > 0,
                    func.coalesce(MeteringSlot.error_code, "").not_in((*LATE, RESOLVED)),
                    col(MeteringSlot.updated_at) > since,
                ),
            ),
        )
        .limit(1)
    )
    return found.scalar_one_or_none() is not None


async def _sent(session: AsyncSession, configuration_id: UUID) -> Decimal:
    """The money in slots that are not proven refused, whatever a unit was worth when they were sent."""
    found = await session.execute(
        select(func.coalesce(func.sum(col(MeteringSlot.quantity) * MeteringSlot.unit_price), 0)).where(
            MeteringSlot.billing_configuration_id == configuration_id, MeteringSlot.status != SlotStatus.REFUSED
        )
    )
    return Decimal(found.scalar_one())


async def _open_slots(session: AsyncSession, name: str) -> list[UUID]:
    found = await session.execute(
        select(MeteringSlot.id)
        .where(MeteringSlot.connection == name, col(MeteringSlot.status).in_([SlotStatus.PENDING, SlotStatus.SENDING]))
        # What was tried least comes first: a batch that fails each time holds up no other.
        .order_by(col(MeteringSlot.attempts), col(MeteringSlot.hour), col(MeteringSlot.id))
    )
    return list(found.scalars())


async def has_open_slots(session: AsyncSession, configurations: Sequence[UUID]) -> bool:
    """Whether some slot of these configurations waits to be sent, or for its answer."""
    found = await session.execute(
        select(MeteringSlot.id)
        .where(
            col(MeteringSlot.billing_configuration_id).in_(configurations),
            col(MeteringSlot.status).in_([SlotStatus.PENDING, SlotStatus.SENDING]),
        )
        .limit(1)
    )
    return found.scalar_one_or_none() is not None


async def _retire_late(session: AsyncSession, connection: Connection, *, now: datetime) -> set[UUID]:
    """Slots past the provider's window: one that was never sent is owed again, one without an answer needs a person.

    Returns the configurations of those slots.
    """
    late: set[UUID] = set()
    for slot_id in await _open_slots(session, connection.name):
        slot = await session.get_one(MeteringSlot, slot_id, with_for_update=True)
        if not is_past_window(connection.capabilities, slot.hour, now=now):
            continue
        late.add(slot.billing_configuration_id)
        slot.updated_at, slot.error_code, slot.error_hint = now, LATE[0], None
        if await _was_never_counted(session, slot, attempts=slot.attempts):
            slot.status = SlotStatus.REFUSED
            slot.error_message = "The hour passed before the slot could be sent; its amount rides on the next one."
        else:
            slot.status = SlotStatus.NEEDS_ATTENTION
            slot.error_message = "The provider's answer was lost and its window has passed."
            slot.error_hint = _look_up(slot)
    return late


async def _receive(session: AsyncSession, batch: Sequence[UUID], answers: Answer, *, now: datetime) -> None:
    """Keep what the provider said about each slot of a batch, and move the slots on."""
    by_reference = {} if isinstance(answers, Transient | Terminal) else {item.reference: item for item in answers}
    for slot_id in batch:
        slot = await session.get_one(MeteringSlot, slot_id, with_for_update=True)
        slot.updated_at = now
        if isinstance(answers, Transient | Terminal):
            is_terminal = isinstance(answers, Terminal)
            slot.error_message = answers.message
            slot.error_code = answers.code if is_terminal else NO_EFFECT if not answers.unknown else UNKNOWN_EFFECT
            slot.error_hint = answers.hint or None if is_terminal else None
            # The slot stays SENDING, and is sent again unchanged.
            session.add(
                MeteringReceipt(
                    created_at=now, slot_id=slot_id, outcome="TERMINAL" if is_terminal else "TRANSIENT",
                    code=slot.error_code, message=slot.error_message or None, hint=slot.error_hint,
                )
            )  # fmt: skip
            continue
        reference = to_text("metering_slot", slot_id)
        left_out = Outcome(
            reference=reference,
            status=OutcomeStatus.UNKNOWN,
            code="NOT_ANSWERED",
            message="The connector told nothing.",
        )
        outcome = by_reference.get(reference, left_out)
        is_first = await _was_never_counted(session, slot, attempts=slot.attempts - 1)
        session.add(_receipt(slot, outcome, now=now))
        _apply(slot, outcome, is_first=is_first)


def _apply(slot: MeteringSlot, outcome: Outcome, *, is_first: bool) -> None:
    """`is_first`: no earlier attempt can have been counted."""
    slot.error_code, slot.error_message = outcome.code, outcome.message
    slot.error_hint = outcome.hint
    match outcome.status:
        case OutcomeStatus.ACCEPTED | OutcomeStatus.DUPLICATE:
            slot.status = SlotStatus.ACCEPTED
            slot.error_code = slot.error_message = slot.error_hint = None
        case OutcomeStatus.REFUSED:
            # After an attempt whose answer was lost, a refusal proves nothing about that attempt: the agreement may have
            # ended, or the window closed, in between. Only a first refusal frees the amount to be sent again.
            slot.status = SlotStatus.REFUSED if is_first else SlotStatus.NEEDS_ATTENTION
            if not is_first:
                slot.error_hint = _look_up(slot)
        case OutcomeStatus.COLLISION:
            slot.status = SlotStatus.NEEDS_ATTENTION
        case OutcomeStatus.UNKNOWN:
            pass  # stays SENDING, and is sent again unchanged


async def _was_never_counted(session: AsyncSession, slot: MeteringSlot, *, attempts: int) -> bool:
    """Whether each of so many attempts has a receipt that proves it left nothing behind; one without a receipt may have."""
    harmless = await session.execute(
        select(func.count(col(MeteringReceipt.id))).where(
            MeteringReceipt.slot_id == slot.id,
            or_(col(MeteringReceipt.outcome) == "TERMINAL", col(MeteringReceipt.code) == NO_EFFECT),
        )
    )
    return harmless.scalar_one() >= attempts


def _look_up(slot: MeteringSlot) -> str:
    return f"Look at the provider whether {canonical(slot.quantity)} units of it were counted, then resolve the slot."


def _receipt(slot: MeteringSlot, outcome: Outcome, *, now: datetime) -> MeteringReceipt:
    return MeteringReceipt(
        created_at=now,
        slot_id=slot.id,
        outcome=outcome.status,
        acknowledged=outcome.acknowledged,
        provider_reference=outcome.provider_reference,
        code=NO_EFFECT if outcome.is_harmless else outcome.code,
        message=outcome.message,
        hint=outcome.hint,
        request_ids=list(outcome.request_ids),
    )
