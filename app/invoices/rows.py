"""What a rated invoice is stored as: its row, its lines, and what it took from balances.

Owns the mapping of core values to rows. When they are written is left to `service.py`; `books.py` reads them back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.grants import SegmentKey
from app.core.hierarchy import Payer
from app.core.invoice import FinalInvoice, InvoiceHeader, fingerprint
from app.core.ledger import TransferKind
from app.core.lines import Line
from app.core.money import canonical
from app.grants.tables import TransferRow
from app.grants.transfers import draw_rows, invoice_account, transfer
from app.invoices.drafts import RatedStatement
from app.invoices.draws import drawn_at
from app.invoices.tables import Invoice


def invoice_row(rated: RatedStatement, final: FinalInvoice, *, route: UUID | None, now: datetime) -> Invoice:
    """The invoice itself, with the digest of what it says; it has no number yet."""
    statement, contract = rated.statement, rated.statement.contract
    header = InvoiceHeader(
        invoice_id=statement.id,
        customer_id=contract.customer_id,
        contract_id=contract.id,
        invoice_type=statement.type,
        period=statement.period,
        regeneration=statement.regeneration,
        issued_at=statement.due_at,
        ordinal=statement.ordinal,
    )
    terms_days = contract.net_payment_terms_days
    columns = {
        "id": statement.id,
        "created_at": now,
        "number": 0,
        "customer_id": contract.customer_id,
        "contract_id": contract.id,
        "billing_configuration_id": route,
        "type": statement.type,
        "regeneration": statement.regeneration,
        "ordinal": statement.ordinal,
        "starting_at": statement.period.starting_at,
        "ending_before": statement.period.ending_before,
        "issued_at": statement.due_at,
        "due_at": statement.due_at,
        "payment_due_at": None if terms_days is None else statement.due_at + timedelta(days=terms_days),
        "currency": final.unit.code,
        "subtotal": final.subtotal,
        "total": final.total,
        "content_hash": fingerprint(header, final),
        "purchase_of": statement.purchase_of,
        "payer_contract_id": contract.parent_id if contract.payer == Payer.PARENT else None,
    }
    return Invoice.of_columns(columns)


def transfer_rows(rated: RatedStatement, *, now: datetime) -> list[TransferRow]:
    """What it takes from balances, or bills of a commit that was not used up."""
    statement = rated.statement
    if statement.grant_id is not None:
        [line] = rated.draft.lines
        return [
            transfer(
                TransferKind.TRUEUP, SegmentKey(statement.grant_id, 0), -line.amount, other=invoice_account(rated.id),
                at=statement.period.starting_at, now=now, invoice_id=rated.id,
            )
        ]  # fmt: skip
    return draw_rows(
        rated.draws, invoice_id=rated.id, contract_id=rated.contract_id, at=drawn_at(rated.statement), now=now
    )


def line_columns(invoice_id: UUID, position: int, line: Line) -> dict[str, Any]:
    """The row of one of its lines, by column."""
    tier = None
    if line.tier is not None:
        tier = {
            "level": line.tier.level,
            "starting_at": canonical(line.tier.starting_at),
            "size": None if line.tier.size is None else canonical(line.tier.size),
        }
    return {
        "invoice_id": invoice_id,
        "position": position,
        "type": line.type,
        "product_id": line.product_id,
        "product_name": line.product_name,
        "unit": line.unit,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "amount": line.amount,
        "starting_at": line.starting_at,
        "ending_before": line.ending_before,
        "pricing": dict(line.pricing),
        "presentation": dict(line.presentation),
        "tier": tier,
        "rate_id": line.rate_id,
        "override_id": line.override_id,
        "in_total": line.in_total,
        "grant_id": line.grant_id,
        "segment": line.segment,
        "applied_to": line.applied_to,
        "converted_unit": line.converted_unit,
        "subscription_id": line.subscription_id,
        "charge_id": line.charge_id,
        "charged_at": line.charged_at,
        "ordinal": line.ordinal,
        "per_event": line.per_event,
    }
