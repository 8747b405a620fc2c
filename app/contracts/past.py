"""The terms of a contract as they were known at an instant of the past.

Owns their way back: today's rows, with every change since then undone, the latest first. Nothing else is kept of the
past, so the history and the past cannot disagree; `metrograph check` compares it with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts import history, tables
from app.contracts.row_values import columns_of, parsed, plain
from app.contracts.term_rows import rows_of
from app.custom_fields.service import custom_fields_of
from app.grants.tables import GrantRow, SegmentRow
from app.store.base import Row

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class PastTerms:
    """Rows as they were at an instant, apart from the database; of each kind in the order of their making."""

    at: datetime
    contract: tables.Contract
    rows: Mapping[type[Row], Sequence[Any]]
    custom_fields: Mapping[str, str]

    def of(self, row_class: type[R]) -> Sequence[R]:
        """The rows of one kind."""
        return self.rows.get(row_class, ())


async def terms_at(session: AsyncSession, contract: tables.Contract, at: datetime) -> PastTerms | None:
    """What was agreed as it was known at an instant, changes of that instant included; None before it was made."""
    if at < contract.created_at:
        return None
    found: dict[UUID, tuple[type[Row], dict[str, Any]]] = {}
    for row in await rows_of(session, contract):
        if row.created_at <= at and all(owner in found for owner in _owners(row)):
            found[row.id] = type(row), {name: getattr(row, name) for name in columns_of(type(row))}
    custom_fields = (await custom_fields_of(session, [contract.id]))[contract.id]
    later = await session.scalars(
        select(tables.ContractEditRow)
        .where(tables.ContractEditRow.contract_id == contract.id, tables.ContractEditRow.created_at > at)
        .order_by(col(tables.ContractEditRow.id).desc())
    )
    for record in later.all():
        for entry in record.changes:
            if entry["kind"] == history.CUSTOM_FIELDS:
                custom_fields = entry["before"] if entry["ofId"] == contract.id.hex else custom_fields
            elif (identifier := UUID(entry["id"])) in found and entry["before"] is not None:
                row_class, values = found[identifier]
                columns = columns_of(row_class)
                values |= {
                    name: parsed(columns[name], value) for name, value in entry["before"].items() if name in columns
                }
    rows: dict[type[Row], list[Any]] = {}
    for identifier in sorted(found):
        row_class, values = found[identifier]
        rows.setdefault(row_class, []).append(row_class(**values))
    [past] = rows[tables.Contract]
    return PastTerms(at, past, rows, custom_fields)


def _owners(row: Row) -> list[UUID]:
    """The rows before which this one cannot have been known: a child is dated back to where its period begins, also when what
    made it was agreed on later."""
    if isinstance(row, GrantRow) and row.recurring_id is not None:
        return [row.recurring_id]
    return [row.grant_id] if isinstance(row, SegmentRow) else []


async def misremembered(session: AsyncSession) -> tuple[int, list[str]]:
    """How many changes the histories of contracts tell, and the contracts whose terms do not follow from theirs.

    What the last change made of a column is what the row says, and what each made of it is what the next one found.
    """
    checked, wrong = 0, []
    owners = await session.scalars(select(tables.ContractEditRow.contract_id).distinct())
    for contract_id in sorted(owners.all()):
        contract = await session.get_one(tables.Contract, contract_id)
        known = {
            row.id.hex: {name: plain(column, getattr(row, name)) for name, column in columns_of(type(row)).items()}
            for row in await rows_of(session, contract)
        }
        told = list(await _told(session, contract_id))
        checked += len(told)
        if any(not _follows(known.get(entry["id"]), entry) for entry in told):
            wrong.append(contract_id.hex)
    return checked, wrong


async def _told(session: AsyncSession, contract_id: UUID) -> Iterator[Mapping[str, Any]]:
    """What the history tells of rows that have a past, the latest first."""
    records = await session.scalars(
        select(tables.ContractEditRow)
        .where(tables.ContractEditRow.contract_id == contract_id)
        .order_by(col(tables.ContractEditRow.id).desc())
    )
    passed_over = (history.CUSTOM_FIELDS, "transfer")
    return (entry for record in records.all() for entry in record.changes if entry["kind"] not in passed_over)


def _follows(known: dict[str, Any] | None, entry: Mapping[str, Any]) -> bool:
    """Whether a row has what a change made of it; it is carried back to before the change."""
    if known is None:
        # Balances of a customer as a whole stand in the history of the contract whose edit changed them.
        return entry["kind"] in ("commit", "credit", "segment")
    agrees = all(known.get(name) == value for name, value in entry["after"].items() if name in known)
    known |= entry["before"] or {}
    return agrees
