"""Consolidated invoices: which statements of a parent and its children go out together, and the open ones of them.

Owns the rule of semantics 4.10 as far as it hangs on what is stored. A statement joins while it is final and counts, is
in no consolidated invoice, and was not sent by itself; what they say together is worked out in the core.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.hierarchy import Consolidation, UsageStatements, go_together
from app.core.invoice import InvoiceType
from app.core.period import Period
from app.delivery.tables import Delivery
from app.invoices import final, moved_dates, open_periods
from app.invoices.frozen_items import IMPORTED
from app.invoices.statements import Constituent, Statement, consolidated_statement, usage_statement
from app.invoices.tables import IS_VOID, Invoice, InvoiceConstituent, InvoiceInputs


@dataclass(frozen=True, slots=True)
class _Part:
    constituent: Constituent
    period: Period
    issued_at: datetime


async def open_consolidated(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> list[Statement]:
    """The consolidated invoices that these contracts may still make as parents; `now` is until when statements begin.

    One is due with the last of its constituents, which are all issued on one day. Where no statement of a child goes
    with one of the parent, there is none.
    """
    parents = [contract for contract in contracts if contract.consolidation == Consolidation.CONCATENATE]
    if not parents:
        return []
    children = await _children(session, [parent.id for parent in parents])
    if not children:
        return []
    family = [*parents, *children]
    parts = await _final_parts(session, family)
    for contract_id, found in (await _open_parts(session, family, now=now)).items():
        parts.setdefault(contract_id, []).extend(found)
    made = await _made(session, [parent.id for parent in parents])
    open_ones: list[Statement] = []
    for parent in parents:
        of_children = [part for child in children if child.parent_id == parent.id for part in parts.get(child.id, ())]
        for own in parts.get(parent.id, ()):
            if (parent.id, own.period.starting_at) in made:
                continue
            joined = [part for part in of_children if _joins(part, own)]
            if joined:
                due = max(part.issued_at for part in (own, *joined))
                constituents = [part.constituent for part in (own, *sorted(joined, key=_order))]
                open_ones.append(consolidated_statement(parent, own.period, constituents, due=due))
    return open_ones


async def held_back(session: AsyncSession, invoices: Iterable[Invoice], *, now: datetime) -> set[UUID]:
    """Those of the invoices that wait to go out with others."""
    contract_ids = {invoice.contract_id for invoice in invoices if invoice.type == InvoiceType.USAGE}
    rows = await session.execute(select(Contract).where(col(Contract.id).in_(contract_ids)))
    involved = rows.scalars().all()
    parents = await session.execute(
        select(Contract).where(
            col(Contract.id).in_({row.parent_id or row.id for row in involved}),
            Contract.consolidation == Consolidation.CONCATENATE,
            col(Contract.archived_at).is_(None),
        )
    )
    open_ones = await open_consolidated(session, parents.scalars().all(), now=now)
    return {part.invoice_id for statement in open_ones for part in statement.constituents}


async def parents_that_consolidate(session: AsyncSession, contracts: Sequence[Contract]) -> list[Contract]:
    """The contracts with whose statements those of some contracts may go out: their parents, or themselves; by id."""
    consolidated = [one.parent_id for one in contracts if one.usage_statements == UsageStatements.CONSOLIDATE]
    parents = {one.id: one for one in contracts if one.usage_statements != UsageStatements.CONSOLIDATE}
    if consolidated:
        rows = await session.execute(select(Contract).where(col(Contract.id).in_(consolidated)))
        parents |= {row.id: row for row in rows.scalars()}
    return [
        parent
        for _, parent in sorted(parents.items())
        if parent.consolidation == Consolidation.CONCATENATE and parent.archived_at is None
    ]


def _joins(child: _Part, parent: _Part) -> bool:
    return go_together(child.period, parent.period, child_issued=child.issued_at, parent_issued=parent.issued_at)


def _order(part: _Part) -> tuple[object, ...]:
    contract = part.constituent.contract
    return contract.priority, contract.starting_at, contract.id, part.period.starting_at, part.constituent.invoice_id


async def _children(session: AsyncSession, parent_ids: Collection[UUID]) -> Sequence[Contract]:
    """Children whose statements go out with the parent's; what is final of archived ones is owed still."""
    rows = await session.execute(
        select(Contract)
        .where(col(Contract.parent_id).in_(parent_ids), Contract.usage_statements == UsageStatements.CONSOLIDATE)
        .order_by(col(Contract.id))
    )
    return rows.scalars().all()


async def _final_parts(session: AsyncSession, family: Sequence[Contract]) -> dict[UUID, list[_Part]]:
    by_id = {contract.id: contract for contract in family}
    is_sent = select(Delivery.id).where(Delivery.invoice_id == Invoice.id).exists()
    is_part = select(InvoiceConstituent.position).where(InvoiceConstituent.invoice_id == Invoice.id).exists()
    # Somebody was paid already for what was imported.
    is_imported = (
        select(InvoiceInputs.invoice_id)
        .where(InvoiceInputs.invoice_id == Invoice.id, col(InvoiceInputs.terms)[IMPORTED].is_not(None))
        .exists()
    )
    rows = await session.execute(
        select(Invoice)
        .where(
            col(Invoice.contract_id).in_(by_id), Invoice.type == InvoiceType.USAGE, ~IS_VOID, ~is_sent, ~is_part,
            ~is_imported,
        )
        .order_by(col(Invoice.starting_at), col(Invoice.id))
    )  # fmt: skip
    found: dict[UUID, list[_Part]] = {}
    for row in rows.scalars():
        part = Constituent(row.id, by_id[row.contract_id], is_final=True)
        period = Period(row.starting_at.astimezone(UTC), row.ending_before and row.ending_before.astimezone(UTC))
        found.setdefault(row.contract_id, []).append(_Part(part, period, row.issued_at.astimezone(UTC)))
    return found


async def _open_parts(session: AsyncSession, family: Sequence[Contract], *, now: datetime) -> dict[UUID, list[_Part]]:
    running = [contract for contract in family if contract.archived_at is None]
    ids = [contract.id for contract in running]
    done, moved = await final.final_of_contracts(session, ids), await moved_dates.moved_dates(session, ids)
    found: dict[UUID, list[_Part]] = {}
    for contract in running:
        for period in open_periods.open_periods(contract, done.get(contract.id, final.Final()), now=now):
            statement = usage_statement(contract, period)
            due = moved[statement.id][1] if statement.id in moved else statement.due_at
            part = Constituent(statement.id, contract, is_final=False)
            found.setdefault(contract.id, []).append(_Part(part, period, due))
    return found


async def _made(session: AsyncSession, parent_ids: Collection[UUID]) -> set[tuple[UUID, datetime]]:
    rows = await session.execute(
        select(Invoice.contract_id, Invoice.starting_at).where(
            col(Invoice.contract_id).in_(parent_ids), Invoice.type == InvoiceType.USAGE_CONSOLIDATED
        )
    )
    return {(contract_id, starting_at.astimezone(UTC)) for contract_id, starting_at in rows}
