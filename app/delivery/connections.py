"""Provider accounts as they stand: paused or not, what waits, since when, and what needs somebody.

Owns the pause. A paused account is sent nothing: no invoice, no usage, no void, no activation; what is under way gets its
answer. Nothing is lost by it: deliveries wait, usage is planned hour by hour and alarmed as its window runs out, and what
a marketplace takes no more rides on the next slot. Reading goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.change import note_change
from app.checks import text_of
from app.delivery.actions import SYNC_JOB
from app.delivery.registry import Connection, Connections
from app.delivery.states import DeliveryStatus, SlotStatus
from app.delivery.tables import ConnectionPause, Delivery, MeteringSlot
from app.errors import ErrorCode, InvalidState, NotFound
from app.jobs.service import enqueue
from app.providers import ProviderDirectory

MAX_REASON = 500
UNSENT = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.FAILED)
WAITING = (*UNSENT, DeliveryStatus.NEEDS_ATTENTION)
UNSENT_SLOTS = (SlotStatus.PENDING, SlotStatus.SENDING)
WAITING_SLOTS = (*UNSENT_SLOTS, SlotStatus.NEEDS_ATTENTION)


@dataclass(frozen=True, slots=True)
class Standing:
    """One account. Counts are by state, of what is not closed; `oldest_unsent` is when the first of it was opened."""

    connection: Connection
    pause: ConnectionPause | None = None
    deliveries: Mapping[str, int] = field(default_factory=dict[str, int])
    slots: Mapping[str, int] = field(default_factory=dict[str, int])
    oldest_unsent: datetime | None = None

    @property
    def needs_attention(self) -> int:
        """How much of it waits for a person."""
        return self.deliveries.get(DeliveryStatus.NEEDS_ATTENTION, 0) + self.slots.get(SlotStatus.NEEDS_ATTENTION, 0)


async def paused(session: AsyncSession) -> set[str]:
    """The names of the accounts to which nothing is sent now."""
    return set(await session.scalars(select(ConnectionPause.connection)))


async def pause(
    session: AsyncSession, directory: ProviderDirectory, name: str, *, reason: str, now: datetime
) -> Connection:
    """Send an account nothing until it is resumed. Errors: `NotFound`, REQUIRED, ILLEGAL_TRANSITION when it is paused."""
    connection = account(directory, name)
    reason = text_of(reason.strip(), path=("reason",), longest=MAX_REASON)
    found = await session.get(ConnectionPause, name, with_for_update=True)
    if found is not None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            f"{name} is paused since {found.paused_at.astimezone(UTC):%Y-%m-%dT%H:%MZ}; resume it first.",
            path=("name",),
        )
    session.add(ConnectionPause(connection=name, paused_at=now, reason=reason))
    await session.flush()
    note_change(
        session, "provider_account", before={"name": name, "isPaused": False},
        after={"name": name, "isPaused": True, "reason": reason},
    )  # fmt: skip
    return connection


async def resume(session: AsyncSession, directory: ProviderDirectory, name: str) -> Connection:
    """Send an account again what waited; it is enqueued at once. Errors: `NotFound`, ILLEGAL_TRANSITION when it runs."""
    connection = account(directory, name)
    found = await session.get(ConnectionPause, name, with_for_update=True)
    if found is None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION, f"{name} is not paused; nothing is held back there.", path=("name",)
        )
    await session.delete(found)
    await enqueue(session, SYNC_JOB, {"provider": connection.provider}, once=f"{SYNC_JOB}:{connection.provider}")
    await session.flush()
    note_change(
        session, "provider_account", before={"name": name, "isPaused": True, "reason": found.reason},
        after={"name": name, "isPaused": False},
    )  # fmt: skip
    return connection


def account(directory: ProviderDirectory, name: str) -> Connection:
    """The account of that name. Errors: `NotFound`."""
    found = directory.find(name) if isinstance(directory, Connections) else None
    if found is None:
        raise NotFound("Provider account", name[:128], path=("name",))
    return found


async def standings(session: AsyncSession, directory: ProviderDirectory) -> list[Standing]:
    """Every account that is configured, by name."""
    accounts = directory.all() if isinstance(directory, Connections) else []
    pauses = {row.connection: row for row in (await session.scalars(select(ConnectionPause))).all()}
    deliveries: dict[str, dict[str, int]] = {}
    slots: dict[str, dict[str, int]] = {}
    oldest: dict[str, datetime] = {}

    def seen(name: str, first: datetime) -> None:
        first = first.astimezone(UTC)
        oldest[name] = min(first, oldest.get(name, first))

    # What is closed grows without end and is not counted; the rest has indexes of its own.
    of_deliveries = await session.execute(
        select(Delivery.connection, Delivery.status, func.count(col(Delivery.id)), func.min(Delivery.created_at))
        .where(col(Delivery.status).in_(WAITING))
        .group_by(Delivery.connection, Delivery.status)
    )
    for name, status, count, first in of_deliveries:
        deliveries.setdefault(name, {})[status] = count
        if status in UNSENT:
            seen(name, first)
    of_slots = await session.execute(
        select(MeteringSlot.connection, MeteringSlot.status, func.count(col(MeteringSlot.id)), func.min(MeteringSlot.created_at))
        .where(col(MeteringSlot.status).in_(WAITING_SLOTS))
        .group_by(MeteringSlot.connection, MeteringSlot.status)
    )  # fmt: skip
    for name, status, count, first in of_slots:
        slots.setdefault(name, {})[status] = count
        if status in UNSENT_SLOTS:
            seen(name, first)
    return [
        Standing(
            item, pauses.get(item.name), deliveries.get(item.name, {}), slots.get(item.name, {}), oldest.get(item.name)
        )
        for item in accounts
    ]
