"""The neutral document that a provider is sent for a finalized invoice.

Owns the mapping from rows to `connectors.base` values. The rounded total is shared over the exact lines by largest
remainder, because a provider adds the lines up again and must arrive at our total.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.grants import PaymentGate
from app.core.lines import Line, LineType
from app.core.money import ZERO, allocate, canonical, fiat
from app.core.per_event import EventPart
from app.customers.tables import BillingConfiguration
from app.delivery import document_fields, gated
from app.delivery.tables import MeteringSlot
from app.invoices import books, numbers, origins
from app.invoices.tables import Invoice
from app.store.ids import to_text
from connectors.base import DocumentLine, InvoiceDocument, MeteringDocument, UsageRecord

# One that was skipped as too small would be paid by nobody, and its commit wait for ever; Stripe puts it on the balance.
COLLECTED_AT_ONCE = {"collectionMethod": "charge_automatically", "skipZero": "false"}


async def invoice_document(
    session: AsyncSession, invoice: Invoice, configuration: BillingConfiguration
) -> InvoiceDocument:
    """The document of an invoice, for one customer's side of a provider account."""
    lines = await books.lines_of(session, invoice.id)
    found = await origins.origins_of_lines(session, lines)
    return InvoiceDocument(
        reference=to_text("invoice", invoice.id),
        number=numbers.number_text(invoice.number),
        contract=to_text("contract", invoice.contract_id),
        customer=configuration.settings,
        currency=invoice.currency,
        total=invoice.total,
        lines=_lines(
            invoice,
            lines,
            await document_fields.fields_of_products(session, invoice),
            {key: origin.heading for key, origin in found.items()},
        ),
        issued_at=invoice.issued_at,
        service_starting_at=None if invoice.ending_before is None else invoice.starting_at,
        service_ending_before=invoice.ending_before,
        date=invoice.starting_at if invoice.ending_before is None else None,
        options=await _options(session, invoice),
        custom_fields=await document_fields.fields_of_invoice(session, invoice),
    )


async def _options(session: AsyncSession, invoice: Invoice) -> dict[str, str]:
    """What a commit waits for is charged at once, however other invoices of the customer are collected."""
    gates = await gated.gates_of(session, [invoice.id])
    return COLLECTED_AT_ONCE if gates.get(invoice.id) is PaymentGate.STRIPE else {}


def metering_document(slots: Sequence[MeteringSlot]) -> MeteringDocument:
    """The frozen records of some slots, as one document."""
    return MeteringDocument(
        tuple(
            UsageRecord(
                reference=to_text("metering_slot", slot.id),
                customer=slot.record["customer"],
                dimension=slot.dimension,
                hour=slot.hour,
                quantity=slot.quantity,
            )
            for slot in slots
        )
    )


def _lines(
    invoice: Invoice,
    lines: Sequence[Line],
    fields: Mapping[UUID, Mapping[str, str]],
    headings: Mapping[UUID, str],
) -> tuple[DocumentLine, ...]:
    counted = [line for line in lines if line.in_total and line.type is not LineType.ROUNDING]
    if not counted:
        return (
            DocumentLine(
                description="No usage in this period",
                amount=ZERO,
                starting_at=invoice.starting_at,
                ending_before=invoice.ending_before,
            ),
        )
    shares = allocate(invoice.total, [line.amount for line in counted], places=fiat(invoice.currency).places)
    assert sum(shares, ZERO) == invoice.total, "what is sent adds up to the invoice"
    return tuple(
        _line(line, share, fields.get(line.product_id, {}) if line.product_id else {}, headings)
        for line, share in zip(counted, shares, strict=True)
    )


def _line(line: Line, amount: Decimal, fields: Mapping[str, str], headings: Mapping[UUID, str]) -> DocumentLine:
    heading = "" if line.origin is None else f"{headings[line.origin.invoice_id]}: "
    return DocumentLine(
        description=heading + description_of(line),
        amount=amount,
        quantity=line.quantity,
        unit_price=line.unit_price,
        starting_at=line.starting_at,
        ending_before=line.ending_before,
        metadata={} if line.product_id is None else {"product": to_text("product", line.product_id)},
        custom_fields=fields,
    )


def description_of(line: Line) -> str:
    """`Tokens (model=large, region=eu), tier 2: above 1000`: what the line is, in one sentence."""
    groups = dict((*line.pricing, *line.presentation))
    values = ", ".join(f"{name}={value if value is not None else '-'}" for name, value in sorted(groups.items()))
    words = (line.product_name or line.type) + (f" ({values})" if values else "")
    if line.per_event is not None and line.per_event is not EventPart.BETWEEN:
        return f"{words}, events at the {line.per_event.lower()}"
    if line.tier is None:
        return words
    return f"{words}, tier {line.tier.level}: above {canonical(line.tier.starting_at)}"
