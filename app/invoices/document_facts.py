"""What a printed invoice says: the invoice or draft with its lines, and the names that stand around it.

Owns the reading. A final invoice calls everything as it did when it became final. How it looks on paper is in `printed.py` and `invoice.typ`, in a spreadsheet in `spreadsheet.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.invoice import InvoiceStatus
from app.core.lines import Line
from app.customers.tables import Customer
from app.invoices import balances, books, finding, numbers, standing
from app.invoices.document_names import names_of_balances, names_on
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
        names = await names_on(session, row, lines)
        return DocumentFacts(
            row.id, status, row.type, numbers.number_text(row.number), row.currency, names.customer,
            names.contract, row.starting_at, row.ending_before, row.issued_at, row.payment_due_at,
            row.content_hash, row.subtotal, row.total, lines, names.balances, names.origins,
        )  # fmt: skip
    statement = (await finding.find_drafts(session, [identifier], now=now, customer_id=customer_id)).get(identifier)
    if statement is None:
        return None
    rated = await balances.Books(session, now=now).rate(statement)
    customer, draft = await session.get_one(Customer, rated.customer_id), rated.draft
    return DocumentFacts(
        rated.id, InvoiceStatus.DRAFT, statement.type, None, draft.unit.code, customer.name, statement.contract.name,
        statement.period.starting_at, statement.period.ending_before, None, None, None, draft.subtotal, draft.subtotal,
        draft.lines, await names_of_balances(session, draft.lines),
        await origins_of_lines(
            session, draft.lines, {part.invoice_id: part.contract.id for part in statement.constituents}
        ),
    )  # fmt: skip
