"""Finalization: a draft becomes a fact, in one transaction.

Owns the writing of invoices: the customer's lock, a last rating, lines and inputs frozen, a number without gaps, and
the delivery enqueued. A second finalizer finds the invoice and changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.change import note_change
from app.contracts.frozen import terms_to_json
from app.contracts.tables import Contract
from app.core.invoice import (
    FinalInvoice,
    InvoiceHeader,
    InvoiceStatus,
    InvoiceTrigger,
    finalize,
    fingerprint,
    next_status,
)
from app.core.lines import Line
from app.core.metering import HourQuantity
from app.core.money import canonical
from app.core.rating import Unrated, UsageKey
from app.customers.tables import BillingConfiguration
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound

# Lines name the grants that they were paid from; the mapper must know that table before a line is stored.
from app.grants import tables as _grants  # noqa: F401
from app.invoices.drafts import RatedStatement, rate
from app.invoices.finding import find_draft
from app.invoices.open import Statement, open_statements
from app.invoices.tables import Invoice, InvoiceInputs, InvoiceLine
from app.jobs.service import enqueue
from app.store.ids import to_text
from app.store.locks import lock_customer
from app.usage.service import EVENTS

DELIVERIES_JOB = "delivery.open"


@dataclass(frozen=True, slots=True)
class Finalized:
    """An invoice that is final, and whether this call made it so."""

    invoice: Invoice
    is_new: bool


async def finalize_invoice(session: AsyncSession, identifier: UUID, *, now: datetime) -> Finalized:
    """Finalize one invoice by its id, if it is due by now.

    Errors: `NotFound`, `InvalidState` NOT_DUE. An invoice that is final already is returned as it is.
    """
    existing = await session.get(Invoice, identifier)
    if existing is not None:
        return Finalized(existing, is_new=False)
    statement = await find_draft(session, identifier, now=now)
    if statement is None:
        raise NotFound("Invoice", to_text("invoice", identifier), path=("id",))
    if statement.due_at > now:
        raise InvalidState(
            ErrorCode.NOT_DUE,
            f"{_dated(statement)} and is final from {statement.due_at:%Y-%m-%dT%H:%MZ} on.",
            path=("id",),
        )
    return await finalize_statement(session, statement, now=now)


def _dated(statement: Statement) -> str:
    if statement.period.ending_before is None:
        return f"The invoice is dated {statement.period.starting_at:%Y-%m-%dT%H:%MZ}"
    return f"The statement ends at {statement.period.ending_before:%Y-%m-%dT%H:%MZ}, has a grace period"


async def finalize_due(session: AsyncSession, contract_id: UUID, *, as_of: datetime, now: datetime) -> list[Finalized]:
    """Finalize every statement of a contract that is due by `as_of`, oldest first.

    Errors: NOT_DUE when `as_of` lies in the future, since usage up to it may still arrive.
    """
    if as_of > now:
        raise InvalidInput(ErrorCode.NOT_DUE, f"asOf {as_of.isoformat()} lies after now; nothing is due then yet.")
    contract = await session.get_one(Contract, contract_id)
    await lock_customer(session, contract.customer_id)
    await session.refresh(contract)
    due = [item for item in await open_statements(session, [contract], now=as_of) if item.due_at <= as_of]
    return [Finalized(invoice, is_new=True) for invoice in await _finalize(session, due, now=now)]


async def finalize_statement(session: AsyncSession, statement: Statement, *, now: datetime) -> Finalized:
    """Make one statement final. Holds the customer's lock to the end of the transaction."""
    await lock_customer(session, statement.contract.customer_id)
    existing = await session.get(Invoice, statement.id)
    if existing is not None:
        return Finalized(existing, is_new=False)
    # The contract may have been changed or archived while the lock was waited for, and its charges placed elsewhere.
    await session.refresh(statement.contract)
    still_open = await open_statements(session, [statement.contract], now=now)
    found = next((item for item in still_open if item.id == statement.id), None)
    if found is None:
        raise NotFound("Invoice", to_text("invoice", statement.id), path=("id",))
    [invoice] = await _finalize(session, [found], now=now)
    note_change(
        session, "invoice", invoice.id, before={"status": InvoiceStatus.DRAFT}, after=finalized_summary(invoice)
    )
    return Finalized(invoice, is_new=True)


def finalized_summary(invoice: Invoice) -> dict[str, Any]:
    """What the audit log says of an invoice that became final."""
    return {"status": InvoiceStatus.FINALIZED, "number": invoice.number, "total": canonical(invoice.total)}


async def _finalize(session: AsyncSession, statements: Sequence[Statement], *, now: datetime) -> list[Invoice]:
    """Rate, round, freeze, number. The caller holds the customer's lock, and none of the statements is final yet."""
    assert next_status(InvoiceStatus.DRAFT, InvoiceTrigger.FINALIZE) is InvoiceStatus.FINALIZED
    rated = [await rate(session, statement) for statement in statements]
    finals = [finalize(item.draft) for item in rated]
    watermark = await EVENTS.watermark(session)
    inputs = [_inputs_row(item, ingest_batch=watermark) for item in rated]
    routes = [await route_of(session, statement.contract) for statement in statements]
    # Numbers come last: their counter stays locked to the end of the transaction, for everybody.
    first = await _take_numbers(session, len(statements))
    invoices = [
        _invoice_row(item, final, route=route, number=first + place, now=now)
        for place, (item, final, route) in enumerate(zip(rated, finals, routes, strict=True))
    ]
    session.add_all(invoices)
    await session.flush()
    for invoice, final in zip(invoices, finals, strict=True):
        session.add_all(_line_row(invoice.id, position, line) for position, line in enumerate(final.lines))
    session.add_all(inputs)
    if any(route is not None for route in routes):
        await enqueue(session, DELIVERIES_JOB, once=DELIVERIES_JOB)
    await session.flush()
    return invoices


async def route_of(session: AsyncSession, contract: Contract) -> UUID | None:
    """The billing configuration that a contract's invoices go to: its own choice, else the customer's default."""
    if contract.billing_configuration_id is not None:
        return contract.billing_configuration_id
    default = await session.execute(
        select(BillingConfiguration.id).where(
            BillingConfiguration.customer_id == contract.customer_id,
            col(BillingConfiguration.is_default),
            col(BillingConfiguration.archived_at).is_(None),
        )
    )
    return default.scalar_one_or_none()


def _invoice_row(
    rated: RatedStatement, final: FinalInvoice, *, route: UUID | None, number: int, now: datetime
) -> Invoice:
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
    return Invoice(
        id=statement.id,
        created_at=now,
        number=number,
        customer_id=contract.customer_id,
        contract_id=contract.id,
        billing_configuration_id=route,
        type=statement.type,
        regeneration=statement.regeneration,
        ordinal=statement.ordinal,
        starting_at=statement.period.starting_at,
        ending_before=statement.period.ending_before,
        issued_at=statement.due_at,
        due_at=statement.due_at,
        payment_due_at=None if terms_days is None else statement.due_at + timedelta(days=terms_days),
        currency=final.unit.code,
        subtotal=final.subtotal,
        total=final.total,
        content_hash=fingerprint(header, final),
    )


async def _take_numbers(session: AsyncSession, count: int) -> int:
    """The first of `count` consecutive invoice numbers; they are given back when the transaction rolls back."""
    taken = await session.execute(
        text("update counters set next = next + :count where name = 'invoice' returning next - :count"),
        {"count": count},
    )
    return int(taken.scalar_one())


def _line_row(invoice_id: UUID, position: int, line: Line) -> InvoiceLine:
    tier = None
    if line.tier is not None:
        tier = {
            "level": line.tier.level,
            "starting_at": canonical(line.tier.starting_at),
            "size": None if line.tier.size is None else canonical(line.tier.size),
        }
    return InvoiceLine(
        invoice_id=invoice_id,
        position=position,
        type=line.type,
        product_id=line.product_id,
        product_name=line.product_name,
        unit=line.unit,
        quantity=line.quantity,
        unit_price=line.unit_price,
        amount=line.amount,
        starting_at=line.starting_at,
        ending_before=line.ending_before,
        pricing=dict(line.pricing),
        presentation=dict(line.presentation),
        tier=tier,
        rate_id=line.rate_id,
        override_id=line.override_id,
        in_total=line.in_total,
        subscription_id=line.subscription_id,
        charge_id=line.charge_id,
        charged_at=line.charged_at,
        ordinal=line.ordinal,
    )


def _inputs_row(rated: RatedStatement, *, ingest_batch: int) -> InvoiceInputs:
    terms = terms_to_json(rated.terms)
    usage = sorted((_usage_to_json(key, hours) for key, hours in rated.usage.items()), key=json.dumps)
    release = version("metrograph")
    content = json.dumps([terms, usage, release], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return InvoiceInputs(
        invoice_id=rated.statement.id,
        terms=terms,
        usage=usage,
        unrated=[unrated_to_json(item) for item in rated.unrated],
        ingest_batch=ingest_batch,
        release=release,
        digest=hashlib.sha256(content.encode()).hexdigest(),
    )


def unrated_to_json(item: Unrated) -> dict[str, Any]:
    """Usage without a price, as it is kept and shown."""
    return {
        "product": str(item.key.product_id),
        "pricing": dict(item.key.pricing),
        "presentation": dict(item.key.presentation),
        "quantity": canonical(item.quantity),
    }


def _usage_to_json(key: UsageKey, hours: Sequence[HourQuantity]) -> dict[str, Any]:
    return {
        "product": str(key.product_id),
        "pricing": dict(key.pricing),
        "presentation": dict(key.presentation),
        "hours": [
            [item.hour.isoformat(), canonical(item.quantity)] for item in sorted(hours, key=lambda item: item.hour)
        ],
    }
