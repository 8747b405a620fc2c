"""What a printed invoice says: the invoice or draft with its lines, and the names that stand around it.

Owns the reading. How it looks on paper is in `printed.py` and `invoice.typ`, in a spreadsheet in `spreadsheet.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.invoice import InvoiceStatus
from app.core.lines import Line
from app.customers.tables import Customer
from app.grants.tables import GrantRow
from app.invoices import balances, books, finding, numbers, standing
from app.invoices.origins import Origin, origins_of_lines
from app.invoices.tables import Invoice


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """An invoice as its documents tell it. `balance_names` are by id; a draft has no number, issue date and hash.

    `origins` of the lines of a consolidated one are by the statement that they come from.
    """

    id: UUID
    status: InvoiceStatus
    type: str
    number: str | None
    currency: str
    customer_name: str
    contract_name: str | None
    starting_at: datetime
    ending_before: datetime | None
    issued_at: datetime | None
    payment_due_at: datetime | None
    content_hash: str | None
    subtotal: Decimal
    total: Decimal
    lines: Sequence[Line]
    balance_names: Mapping[UUID, str]
    origins: Mapping[UUID, Origin]


async def facts_of(
    session: AsyncSession, identifier: UUID, *, customer_id: UUID | None, now: datetime
) -> DocumentFacts | None:
    """The invoice or draft with this id, or None; `customer_id` is the only one whose invoices the caller may see."""
    row = await session.get(Invoice, identifier)
    if row is not None:
        if customer_id not in (None, row.customer_id):
            return None
        status = InvoiceStatus.VOID if await standing.voids_of(session, [row.id]) else InvoiceStatus.FINALIZED
        lines = await books.lines_of(session, row.id)
        customer, contract = (
            await session.get_one(Customer, row.customer_id),
            await session.get_one(Contract, row.contract_id),
        )
        return DocumentFacts(
            row.id, status, row.type, numbers.number_text(row.number), row.currency, customer.name, contract.name,
            row.starting_at, row.ending_before, row.issued_at, row.payment_due_at, row.content_hash, row.subtotal,
            row.total, lines, await _names(session, lines), await origins_of_lines(session, lines),
        )  # fmt: skip
    statement = (await finding.find_drafts(session, [identifier], now=now, customer_id=customer_id)).get(identifier)
    if statement is None:
        return None
    rated = await balances.Books(session, now=now).rate(statement)
    customer, draft = await session.get_one(Customer, rated.customer_id), rated.draft
    return DocumentFacts(
        rated.id, InvoiceStatus.DRAFT, statement.type, None, draft.unit.code, customer.name, statement.contract.name,
        statement.period.starting_at, statement.period.ending_before, None, None, None, draft.subtotal, draft.subtotal,
        draft.lines, await _names(session, draft.lines),
        await origins_of_lines(
            session, draft.lines, {part.invoice_id: part.contract.id for part in statement.constituents}
        ),
    )  # fmt: skip


async def _names(session: AsyncSession, lines: Sequence[Line]) -> dict[UUID, str]:
    wanted = {line.grant_id for line in lines if line.grant_id is not None}
    rows = await session.execute(select(GrantRow.id, GrantRow.name).where(col(GrantRow.id).in_(wanted)))
    return {identifier: name for identifier, name in rows if name is not None}
