"""Proves finalized invoices against themselves: the stored rows still have the content that was hashed.

Owns the way back from rows to core values. Recomputing from the frozen inputs is another proof, made elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.invoice import FinalInvoice, InvoiceHeader, InvoiceType, fingerprint
from app.core.lines import Line, LineOrigin, LineTier, LineType
from app.core.money import fiat
from app.core.per_event import EventPart
from app.core.period import Period
from app.invoices.tables import Invoice, InvoiceConstituent, InvoiceLine
from app.store.ids import to_text


async def changed_invoices(session: AsyncSession) -> tuple[int, list[str]]:
    """How many invoices were looked at, and the ids of those whose rows do not give their hash any more."""
    checked, changed = 0, list[str]()
    stream = await session.stream_scalars(select(Invoice).order_by(col(Invoice.id)).execution_options(yield_per=500))
    async for invoice in stream:
        checked += 1
        if fingerprint(header_of(invoice), await final_invoice(session, invoice)) != invoice.content_hash:
            changed.append(to_text("invoice", invoice.id))
    return checked, changed


def header_of(invoice: Invoice) -> InvoiceHeader:
    """What an invoice is, from its row."""
    return InvoiceHeader(
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        contract_id=invoice.contract_id,
        invoice_type=InvoiceType(invoice.type),
        period=period_of(invoice),
        regeneration=invoice.regeneration,
        issued_at=invoice.issued_at.astimezone(UTC),
        ordinal=invoice.ordinal,
    )


def period_of(invoice: Invoice) -> Period:
    """The statement period of an invoice; of a scheduled one the date, without end."""
    end = invoice.ending_before
    return Period(invoice.starting_at.astimezone(UTC), None if end is None else end.astimezone(UTC))


async def final_invoice(session: AsyncSession, invoice: Invoice) -> FinalInvoice:
    """What an invoice says, from the rows of its lines or of those of its constituents."""
    return final_of(invoice, await lines_of(session, invoice.id))


def final_of(invoice: Invoice, lines: Sequence[Line]) -> FinalInvoice:
    """What an invoice says: its row, with these lines."""
    return FinalInvoice(
        lines=tuple(lines),
        subtotal=invoice.subtotal,
        total=invoice.total,
        unit=fiat(invoice.currency),
    )


async def lines_of(session: AsyncSession, invoice_id: UUID) -> list[Line]:
    """The lines of a final invoice, in order."""
    return (await lines_of_invoices(session, [invoice_id]))[invoice_id]


async def lines_of_invoices(session: AsyncSession, invoice_ids: Collection[UUID]) -> dict[UUID, list[Line]]:
    """The lines of each final invoice, in order; a consolidated one repeats those of its constituents."""
    parts = await session.execute(
        select(InvoiceConstituent)
        .where(col(InvoiceConstituent.consolidated_id).in_(invoice_ids))
        .order_by(col(InvoiceConstituent.consolidated_id), col(InvoiceConstituent.position))
    )
    constituents = parts.scalars().all()
    rows = await session.execute(
        select(InvoiceLine)
        .where(col(InvoiceLine.invoice_id).in_({*invoice_ids, *(part.invoice_id for part in constituents)}))
        .order_by(col(InvoiceLine.invoice_id), col(InvoiceLine.position))
    )
    own: dict[UUID, list[Line]] = {}
    for row in rows.scalars():
        own.setdefault(row.invoice_id, []).append(line_of(row))
    found = {invoice_id: own.get(invoice_id, []) for invoice_id in invoice_ids}
    for part in constituents:
        found[part.consolidated_id] = [
            *found[part.consolidated_id],
            *(
                line._replace(origin=LineOrigin(part.invoice_id, position))
                for position, line in enumerate(own.get(part.invoice_id, ()))
            ),
        ]
    return found


def line_of(row: InvoiceLine) -> Line:
    """A line as the core made it."""
    tier = None
    if row.tier is not None:
        size = row.tier["size"]
        start = Decimal(row.tier["starting_at"])
        tier = LineTier(row.tier["level"], start, None if size is None else Decimal(size))
    return Line(
        type=LineType(row.type),
        product_id=row.product_id,
        product_name=row.product_name,
        unit=row.unit,
        quantity=row.quantity,
        unit_price=row.unit_price,
        amount=row.amount,
        starting_at=row.starting_at,
        ending_before=row.ending_before,
        pricing=tuple(sorted(row.pricing.items())),
        presentation=tuple(sorted(row.presentation.items())),
        tier=tier,
        rate_id=row.rate_id,
        override_id=row.override_id,
        in_total=row.in_total,
        grant_id=row.grant_id,
        segment=row.segment,
        applied_to=None if row.applied_to is None else LineType(row.applied_to),
        converted_unit=row.converted_unit,
        per_event=None if row.per_event is None else EventPart(row.per_event),
        subscription_id=row.subscription_id,
        charge_id=row.charge_id,
        charged_at=row.charged_at,
        ordinal=row.ordinal,
    )
