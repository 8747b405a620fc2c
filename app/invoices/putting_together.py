"""What a consolidated invoice says, from its constituents as they are: final ones, and drafts as they would become final.

Owns the way from either to the core, and the form in which the constituents are frozen. A consolidated invoice is rated
from nothing else, so it is computed again from the statements that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.terms import terms_of
from app.core.invoice import Draft, FinalInvoice, finalize, put_together
from app.invoices import books
from app.invoices.drafts import RatedPart, RatedStatement
from app.invoices.statements import Statement
from app.invoices.tables import Invoice, InvoiceConstituent, InvoiceInputs

CONSTITUENTS = "constituents"
"""Under this name among the terms of a consolidated invoice: the id and the content hash of each constituent, in order."""


async def rated_together(
    session: AsyncSession, statement: Statement, drafts: Mapping[UUID, RatedStatement]
) -> RatedStatement:
    """The lines of all constituents, one after the other; `drafts` are those that are not final, by id."""
    finals = await final_parts(session, [part.invoice_id for part in statement.constituents if part.is_final])
    parts: list[tuple[UUID, FinalInvoice]] = []
    rated: list[RatedPart] = []
    for part in statement.constituents:
        if part.is_final:
            row, final = finals[part.invoice_id]
            rated.append(RatedPart(row.id, None, row.content_hash))
        else:
            draft = drafts[part.invoice_id]
            final = finalize(draft.draft)
            rated.append(RatedPart(part.invoice_id, draft, None))
        parts.append((part.invoice_id, final))
    whole = put_together(parts)
    terms = await terms_of(session, statement.contract)
    return RatedStatement(
        statement, Draft(whole.lines, whole.subtotal, whole.unit), (), (), terms, {}, parts=tuple(rated)
    )


async def final_parts(session: AsyncSession, invoice_ids: Sequence[UUID]) -> dict[UUID, tuple[Invoice, FinalInvoice]]:
    """Final invoices by id, with what their rows say."""
    rows = await session.execute(select(Invoice).where(col(Invoice.id).in_(invoice_ids)))
    lines = await books.lines_of_invoices(session, invoice_ids)
    return {row.id: (row, books.final_of(row, lines[row.id])) for row in rows.scalars()}


def final_of(rated: RatedStatement) -> FinalInvoice:
    """An invoice as it becomes final; a consolidated one was rounded part by part."""
    if not rated.parts:
        return finalize(rated.draft)
    draft = rated.draft
    return FinalInvoice(lines=draft.lines, subtotal=draft.subtotal, total=draft.subtotal, unit=draft.unit)


def constituents_to_json(rated: RatedStatement) -> list[list[str]]:
    """The constituents of a consolidated invoice, as they are frozen with it."""
    assert all(part.content_hash is not None for part in rated.parts), "it is made of final invoices"
    return [[str(part.invoice_id), str(part.content_hash)] for part in rated.parts]


def constituents_from_json(terms: Mapping[str, Any]) -> dict[UUID, str] | None:
    """Content hashes by constituent, in order; None for what is no consolidated invoice."""
    return {UUID(key): text for key, text in terms[CONSTITUENTS]} if CONSTITUENTS in terms else None


def constituent_rows(rated: RatedStatement) -> list[InvoiceConstituent]:
    """Which invoices a consolidated one is made of."""
    return [
        InvoiceConstituent(consolidated_id=rated.id, position=position, invoice_id=part.invoice_id)
        for position, part in enumerate(rated.parts)
    ]


async def parts_of_inputs(
    session: AsyncSession, frozen: Sequence[InvoiceInputs]
) -> dict[UUID, tuple[Invoice, FinalInvoice]]:
    """All constituents that frozen inputs name, by id."""
    return await final_parts(session, [key for inputs in frozen for key in constituents_from_json(inputs.terms) or ()])
