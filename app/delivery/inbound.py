"""What providers tell by themselves: taken in once, and worked through afterwards.

Owns the keeping of notices and the loop over those that wait. A notice is a hint: whoever handles it reads the provider
again and decides on what it finds, so duplicates, any order and lost notices all end the same. The door answers as soon
as the notice is committed; notices of one subject are handled together, by one reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from app.core.retry import wait_before
from app.delivery import calling, registry, tables
from app.jobs.service import enqueue
from app.store import engine, ids, locks
from connectors.base import Notification

log = structlog.get_logger("metrograph.inbound")

HANDLE_JOB = "notices.handle"
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=6)
MAX_ATTEMPTS = 60
"""About two weeks; what a notice hints at is read again by the nightly sweep as well."""
BATCH = 500
"""Notices of one account that are worked through at once."""
SIDE_BY_SIDE = 3
"""Accounts at once: each holds a connection to the database for itself, of which its notices need another."""
KEPT = timedelta(days=90)
"""Longer than any provider repeats a notice (Stripe lists 30 days), so a forgotten one can never come again."""


class Way(StrEnum):
    """How a notice came: the provider called, or we looked through what it keeps."""

    WEBHOOK = "webhook"
    SWEEP = "sweep"


class NoticeState(StrEnum):
    """Where a notice stands."""

    RECEIVED = "RECEIVED"
    HANDLED = "HANDLED"
    IGNORED = "IGNORED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Subject:
    """Notices of one connection that are about the same thing, oldest first; they are handled by one reading."""

    connection: registry.Connection
    notices: Sequence[tables.ProviderNotice] = field(repr=False)

    @property
    def provider_reference(self) -> str | None:
        """The provider's id of what they are about."""
        return self.notices[0].provider_reference


@dataclass(frozen=True, slots=True)
class Place:
    """Where notices are handled."""

    store: engine.Store
    connections: registry.Connections
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Later:
    """Why nothing could be done yet; the notices stay and are looked at again."""

    reason: str
    code: str = "TRANSIENT"


Handled: TypeAlias = NoticeState | Later
Handler: TypeAlias = Callable[[Place, Subject], Awaitable[Handled]]
"""Does what follows from the notices of one subject. It opens its own transactions, calls `close` in the one that makes
the effect, and must be safe to repeat. A state that it returns instead closes them without an effect."""


async def receive(
    session: AsyncSession,
    connection: registry.Connection,
    notice: Notification,
    *,
    way: Way,
    now: datetime,
    body_hash: str | None = None,
) -> bool:
    """Keep a notice and have it handled soon; False when it is known already. The caller's transaction commits both."""
    found = await session.execute(
        insert(tables.ProviderNotice)
        .values(
            id=ids.new_id(), created_at=now, provider=connection.provider, connection=connection.name,
            event_id=notice.event_id, kind=calling.storable_text(notice.kind, 128) or "unknown",
            occurred_at=notice.occurred_at, provider_reference=calling.storable_text(notice.provider_reference, calling.REFERENCE),
            reference=calling.storable_text(notice.reference, calling.CODE), is_foreign=notice.is_foreign,
            payload=dict(notice.payload), body_hash=body_hash, way=way, state=NoticeState.RECEIVED, attempts=0,
            next_attempt_at=now,
        )
        .on_conflict_do_nothing(index_elements=["connection", "event_id"])
        .returning(col(tables.ProviderNotice.id))
    )  # fmt: skip
    if found.scalar_one_or_none() is None:
        return False
    await enqueue(session, HANDLE_JOB, once=HANDLE_JOB)
    return True


async def handle_all(place: Place, handlers: Mapping[str, Handler], *, at_once: bool = False) -> int:
    """Work through the notices that wait, by provider mode (`invoice`, `metering`); returns how many were closed.

    Each account by itself, and by one worker at a time: one that hangs keeps neither the others' notices waiting nor more
    workers.
    """
    places = asyncio.Semaphore(SIDE_BY_SIDE)
    of_account: dict[str, list[Subject]] = {}
    for subject in await _waiting(place, at_once=at_once):
        of_account.setdefault(subject.connection.name, []).append(subject)

    async def in_turn(name: str, subjects: Sequence[Subject]) -> int:
        async with places:
            return await _handle_account(place, handlers, name, subjects)

    return sum(await asyncio.gather(*(in_turn(name, subjects) for name, subjects in of_account.items())))


async def _handle_account(place: Place, handlers: Mapping[str, Handler], name: str, subjects: Sequence[Subject]) -> int:
    done = 0
    async with locks.hold(place.store, f"handle:{name}") as is_ours:
        for subject in subjects if is_ours else ():
            handler = handlers.get(subject.connection.capabilities.mode)
            try:
                outcome = await _ignored() if handler is None else await handler(place, subject)
            except Exception as fault:
                # One subject that cannot be handled must not hold up all others; it is tried again, and seen in the log.
                log.exception("notice not handled", connection=name)
                outcome = Later(f"It could not be handled ({type(fault).__name__})", "FAULT")
            async with place.store.transaction() as session:
                await close(session, subject, outcome, now=place.clock())
            done += 0 if isinstance(outcome, Later) else len(subject.notices)
    return done


async def close(session: AsyncSession, subject: Subject, outcome: Handled, *, now: datetime) -> None:
    """Write what became of the notices of a subject. Closed ones stay as they are."""
    rows = await session.execute(
        select(tables.ProviderNotice)
        .where(
            col(tables.ProviderNotice.id).in_([notice.id for notice in subject.notices]),
            tables.ProviderNotice.state == NoticeState.RECEIVED,
        )
        .order_by(col(tables.ProviderNotice.id))
        .with_for_update()
    )
    for row in rows.scalars():
        row.attempts += 1
        if isinstance(outcome, Later) and row.attempts < MAX_ATTEMPTS:
            wait = wait_before(row.attempts + 1, seed=str(row.id), first=FIRST_WAIT, cap=LONGEST_WAIT)
            row.next_attempt_at = now + wait
            row.error_code, row.error_message = outcome.code, calling.storable_text(outcome.reason, calling.TEXT)
            continue
        is_failed = isinstance(outcome, Later)
        row.state = NoticeState.FAILED if is_failed else outcome
        row.next_attempt_at, row.handled_at = None, now
        if not is_failed:
            row.error_code = row.error_message = None


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop notices that were closed long ago."""
    await session.execute(
        delete(tables.ProviderNotice).where(
            col(tables.ProviderNotice.handled_at) < now - KEPT, col(tables.ProviderNotice.state) != NoticeState.RECEIVED
        )
    )


async def _ignored() -> Handled:
    return NoticeState.IGNORED


async def _waiting(place: Place, *, at_once: bool) -> list[Subject]:
    """What waits now, by subject; of accounts that are configured no more nothing can be read, so they wait."""
    accounts = {connection.name: connection for connection in place.connections.all()}
    statement = select(tables.ProviderNotice).where(tables.ProviderNotice.state == NoticeState.RECEIVED)
    if not at_once:
        statement = statement.where(col(tables.ProviderNotice.next_attempt_at) <= place.clock())
    oldest = statement.order_by(col(tables.ProviderNotice.next_attempt_at), col(tables.ProviderNotice.id)).limit(BATCH)
    rows: list[tables.ProviderNotice] = []
    async with place.store.transaction() as session:
        for name in accounts:
            rows += (await session.scalars(oldest.where(tables.ProviderNotice.connection == name))).all()
    subjects: dict[tuple[str, str], list[tables.ProviderNotice]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        # A notice about nothing that we know of is a subject of its own.
        subjects.setdefault((row.connection, row.provider_reference or f"notice {row.id}"), []).append(row)
    return [Subject(accounts[name], notices) for (name, _), notices in subjects.items()]
