"""What every change of a contract leaves behind: one record, whoever asked for it and by whatever way.

Owns the record. The session itself notices what a transaction writes to the rows of `term_rows.py`, so that no service
can forget to tell; the door that knows who asked has the record written in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import event, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.actor import Actor
from app.change import Change
from app.contracts import tables
from app.contracts.row_values import INNER, columns_of, plain
from app.contracts.term_rows import PARENTS, TERMS, is_agreed, kind_of, parent_of
from app.grants.shown import KINDS
from app.grants.tables import GrantRow

_KEY = "metrograph.contract_terms"
CUSTOM_FIELDS = "custom_fields"
_CLASSES = {kind: row_class for row_class, kind in TERMS.items()}


@dataclass(slots=True)
class _Written:
    """A row that a transaction wrote. `before` has the columns that changed as they were; None for a new row."""

    row: Any
    before: dict[str, Any] | None


def _notice(session: Session, _context: object, _instances: object) -> None:
    """Remember what this flush is about to write to the terms of contracts."""
    assert not any(type(row) in TERMS for row in session.deleted), "terms are never deleted"
    written: dict[UUID, _Written] = session.info.setdefault(_KEY, {})
    for row in session.new:
        if type(row) in TERMS and is_agreed(row):
            written[row.id] = _Written(row, None)
    for row in session.dirty:
        if type(row) in TERMS:
            found = written.setdefault(row.id, _Written(row, {}))
            if found.before is not None:
                found.before = _changed(session, row) | found.before


event.listen(Session, "before_flush", _notice)


def _changed(session: Session, row: Any) -> dict[str, Any]:
    """The columns of a stored row that differ from what is stored, as they are there."""
    found: dict[str, Any] = {}
    for name, column in columns_of(type(row)).items():
        history = inspect(row).attrs[name].history
        if history.added and not history.deleted:
            # The attribute was set without having been loaded, so only the database knows.
            stored = select(column).where(columns_of(type(row))["id"] == row.id)
            found[name] = session.connection().execute(stored).scalar_one()
        elif history.added:
            found[name] = history.deleted[0]
    return found


async def keep_changes(
    session: AsyncSession,
    actor: Actor,
    *,
    action: str,
    now: datetime,
    noted: Change | None = None,
    contract_id: UUID | None = None,
    uniqueness_key: str | None = None,
    amends_from: datetime | None = None,
) -> list[tables.ContractEditRow]:
    """Write one record for each contract whose terms were written since the last call; a new contract has none.

    Of balances of a customer as a whole only an edit of `contract_id` tells, which always leaves a record. `noted` is
    what the audit log is told; it has the custom fields, which are no rows of their own.
    """
    await session.flush()
    entries = await _by_contract(session, _taken(session), edited=contract_id)
    if contract_id is not None:
        entries.setdefault(contract_id, [])
    for owner, entry in await _custom_fields(session, noted):
        entries.setdefault(owner, []).append(entry)
    records = [
        tables.ContractEditRow(
            created_at=now, contract_id=owner, actor_kind=actor.kind, actor_name=actor.name[:200], action=action,
            changes=changes, uniqueness_key=uniqueness_key if owner == contract_id else None,
            amends_from=amends_from if owner == contract_id else None,
        )
        for owner, changes in sorted(entries.items())
    ]  # fmt: skip
    session.add_all(records)
    await session.flush()
    return records


def forget_changes(session: AsyncSession) -> None:
    """Forget what was noticed of a change that was undone."""
    session.info.pop(_KEY, None)


def _taken(session: AsyncSession) -> list[_Written]:
    written: dict[UUID, _Written] = session.info.pop(_KEY, {})
    order = list(TERMS)
    return sorted(written.values(), key=lambda item: (order.index(type(item.row)), item.row.id))


async def _by_contract(
    session: AsyncSession, written: Iterable[_Written], *, edited: UUID | None
) -> dict[UUID, list[dict[str, Any]]]:
    """Contract -> what changed of it, kind by kind. What recurring terms and renewals made by themselves is left out."""
    left_out: set[UUID] = set()
    found: dict[UUID, list[dict[str, Any]]] = {}
    for item in written:
        row, is_new = item.row, item.before is None
        parent = await parent_of(session, row)
        made = isinstance(row, GrantRow) and (row.recurring_id is not None or row.rolled_from_id is not None)
        # A new contract is no change of one, and terms of what is left out are left out with it.
        if is_new and (made or isinstance(row, tables.Contract) or (parent is not None and parent.id in left_out)):
            left_out.add(row.id)
            continue
        owner = row.id if isinstance(row, tables.Contract) else (parent or row).contract_id or edited
        entry = _entry(item, parent)
        if owner is not None and owner not in left_out and entry is not None:
            found.setdefault(owner, []).append(entry)
    return found


def _entry(item: _Written, parent: Any) -> dict[str, Any] | None:
    """What the record says of one row; None when it became what it was."""
    row, columns = item.row, columns_of(type(item.row))
    after = {name: plain(column, getattr(row, name)) for name, column in columns.items()}
    entry: dict[str, Any] = {"kind": kind_of(row), "id": row.id.hex}
    if parent is not None:
        entry |= {"of": kind_of(parent), "ofId": parent.id.hex}
    if item.before is None:
        own = {*INNER, PARENTS[type(row)][1] if parent is not None else ""}
        made = {name: value for name, value in after.items() if name not in own and value not in (None, [])}
        return entry | {"before": None, "after": made}
    before = {name: plain(columns[name], value) for name, value in item.before.items()}
    before = {name: value for name, value in before.items() if value != after[name]}
    return entry | {"before": before, "after": {name: after[name] for name in before}} if before else None


async def _custom_fields(session: AsyncSession, noted: Change | None) -> list[tuple[UUID, dict[str, Any]]]:
    """The contract whose custom fields, or those of a part of it, the audit log is told of, and the entry."""
    if noted is None or noted.identifier is None or "customFields" not in (noted.before or {}):
        return []
    row_class = GrantRow if noted.kind in KINDS.values() else _CLASSES.get(noted.kind)
    if row_class is None:
        return []
    row: Any = await session.get_one(row_class, noted.identifier)
    owner: UUID | None = row.id if row_class is tables.Contract else row.contract_id
    if owner is None:
        return []
    values = {name: dict((part or {}).get("customFields", {})) for name, part in _sides(noted).items()}
    return [(owner, {"kind": CUSTOM_FIELDS, "id": None, "of": noted.kind, "ofId": noted.identifier.hex, **values})]


def _sides(noted: Change) -> dict[str, Mapping[str, Any] | None]:
    return {"before": noted.before, "after": noted.after}
