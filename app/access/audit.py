"""The audit log: written with the change, sealed afterwards, verifiable from outside.

Owns entries, the sealer and the chain. Entries are written unsealed, because a sequence taken inside the change's
transaction would make all writers wait for each other; one sealer numbers what has been committed, without gaps, and
links each entry to the one before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.tables import AuditEntry
from app.actor import Actor
from app.change import Change
from app.store.bulk import insert_rows
from app.store.ids import new_id
from app.store.locks import lock_named

GENESIS = "0" * 64
BATCH = 1_000
SEAL = frozenset({"sequence", "hash", "sealed_at"})
_COLUMNS = AuditEntry.__table__.c  # type: ignore[attr-defined]


async def record(
    session: AsyncSession,
    actor: Actor,
    *,
    action: str,
    now: datetime,
    code: str | None = None,
    change: Change | None = None,
) -> AuditEntry:
    """Write the entry of one mutation in its own transaction. `code` tells why it was refused; None when it was not."""
    entry = AuditEntry(**_columns(actor, action=action, now=now, code=code, change=change))
    session.add(entry)
    await session.flush()
    return entry


async def record_many(
    session: AsyncSession, actor: Actor, *, action: str, now: datetime, changes: Sequence[Change]
) -> None:
    """Write an entry for each change of many objects in one transaction. The session does not notice these entries."""
    await insert_rows(
        session,
        AuditEntry,
        [{"id": new_id(), **_columns(actor, action=action, now=now, code=None, change=item)} for item in changes],
    )


def _columns(actor: Actor, *, action: str, now: datetime, code: str | None, change: Change | None) -> dict[str, Any]:
    return {
        "created_at": now,
        "actor_kind": actor.kind,
        "actor_name": actor.name,
        "key_id": actor.key_id,
        "ip_address": actor.ip_address,
        "user_agent": _printable(actor.user_agent, 400),
        "request_id": _printable(actor.request_id, 100),
        "action": action,
        "outcome": "ok" if code is None else "refused",
        "code": code,
        "object_kind": change.kind if change else None,
        "object_id": change.identifier if change else None,
        "before": _json(change.before) if change else None,
        "after": _json(change.after) if change else None,
    }


async def seal(session: AsyncSession, *, now: datetime, at_most: int = BATCH) -> int:
    """Number and chain entries that are committed and not sealed yet, oldest first; returns how many."""
    await lock_named(session, "audit")
    sequence, previous = await head(session)
    unsealed = select(*_COLUMNS).where(_COLUMNS.sequence.is_(None)).order_by(_COLUMNS.id).limit(at_most)
    rows = (await session.execute(unsealed)).mappings().all()
    for row in rows:
        sequence += 1
        previous = link(previous, sequence, row)
        await session.execute(
            update(AuditEntry.__table__)  # type: ignore[attr-defined]
            .where(_COLUMNS.id == row["id"])
            .values(sequence=sequence, hash=previous, sealed_at=now)
        )
    return len(rows)


async def head(session: AsyncSession) -> tuple[int, str]:
    """Sequence and hash of the last sealed entry; kept elsewhere, it proves later that nothing was cut off."""
    last = select(_COLUMNS.sequence, _COLUMNS.hash).where(_COLUMNS.sequence.is_not(None))
    found = (await session.execute(last.order_by(_COLUMNS.sequence.desc()).limit(1))).one_or_none()
    return (0, GENESIS) if found is None else (found.sequence, found.hash)


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a check of the chain found. `problem` is None when it is whole."""

    entries: int
    head: str
    problem: str | None


async def verify_chain(session: AsyncSession, *, expected: tuple[int, str] | None = None) -> ChainReport:
    """Recompute every link. `expected` is a head that was kept elsewhere: the chain must still contain it."""
    sequence, previous = 0, GENESIS
    while True:
        page = select(*_COLUMNS).where(_COLUMNS.sequence > sequence).order_by(_COLUMNS.sequence).limit(BATCH)
        rows = (await session.execute(page)).mappings().all()
        for row in rows:
            if row["sequence"] != sequence + 1:
                return ChainReport(sequence, previous, f"entry {sequence + 1} is missing")
            sequence += 1
            previous = link(previous, sequence, row)
            if previous != row["hash"]:
                return ChainReport(sequence, previous, f"entry {sequence} was altered")
            if expected is not None and sequence == expected[0] and previous != expected[1]:
                return ChainReport(sequence, previous, f"entry {sequence} is not the one that was witnessed")
        if len(rows) < BATCH:
            break
    if expected is not None and expected[0] > sequence:
        return ChainReport(sequence, previous, f"entries after {sequence} are missing")
    return ChainReport(sequence, previous, None)


def link(previous: str, sequence: int, row: Any) -> str:
    """The hash of an entry: over the hash before it, its number, and every column but the seal."""
    content = {name: _plain(value) for name, value in row.items() if name not in SEAL}
    text = json.dumps([previous, sequence, content], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | dict | list | None) else str(value)


def _json(value: Any) -> Any:
    """Plain JSON values: exact decimals and instants as text, in the form in which they will be read back."""
    return None if value is None else json.loads(json.dumps(dict(value), default=str))


def _printable(text: str | None, length: int) -> str | None:
    """Headers come from anybody: control characters are left out, and what is too long is cut."""
    return None if text is None else "".join(character for character in text if character.isprintable())[:length]
