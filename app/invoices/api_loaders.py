"""Finds what the API shows of invoices: rows of final ones, rated statements for drafts.

Owns the loaders, what an invoice is for and where it stands, and the few values in which the two differ. A draft is rated each time it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from app.core import invoice as core
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS
from app.graphql.values import described_enum
from app.invoices import balances, books, drafts, lifetime, numbers, tables
from app.invoices.api_line_parts import Origin
from app.invoices.api_lines import InvoiceLine, UnratedUsage, line_shown, unrated_shown
from app.invoices.finding import find_drafts
from app.invoices.inputs import unrated_to_json

InvoiceStatus = described_enum(
    core.InvoiceStatus,
    name="InvoiceStatus",
    description="Where an invoice stands.",
    sentences={
        core.InvoiceStatus.DRAFT: "A view of what it would say now; it changes with usage and prices.",
        core.InvoiceStatus.FINALIZED: "A fact; it never changes.",
        core.InvoiceStatus.VOID: "It was final and counts no more; its number stays taken.",
    },
)
InvoiceType = described_enum(
    core.InvoiceType,
    name="InvoiceType",
    description="What an invoice is for.",
    sentences={
        core.InvoiceType.USAGE: "The usage of one statement period of a contract, with fees and charges that go with it.",
        core.InvoiceType.TRUEUP: "What was committed to and not used, after the last statement.",
        core.InvoiceType.SCHEDULED: "Fees and charges of a contract on one date, in one currency.",
        core.InvoiceType.USAGE_CONSOLIDATED: "A parent's usage statement and those of its children, put together.",
    },
)

Either = tables.Invoice | drafts.RatedStatement
MAX_UNRATED = 100


async def load_invoices(context: Context, keys: Sequence[UUID]) -> Sequence[Any]:
    """Final invoices by id, and the drafts among the rest; a customer's token only ever finds its own."""
    found = await context.session.execute(select(tables.Invoice).where(col(tables.Invoice.id).in_(keys)))
    shown: dict[UUID, Any] = {row.id: row for row in found.scalars()}
    missing = set(keys) - set(shown)
    if missing:
        statements = await find_drafts(context.session, missing, now=context.now, customer_id=context.actor.customer_id)
        every = balances.Books(context.session, now=context.now)
        for identifier, statement in statements.items():
            shown[identifier] = await every.rate(statement)
    return [shown.get(key) for key in keys]


async def _lines(context: Context, keys: Sequence[UUID]) -> Sequence[list[InvoiceLine]]:
    found = await books.lines_of_invoices(context.session, keys)
    return [
        [
            line_shown(place, line, key if line.origin is None else line.origin.invoice_id)
            for place, line in enumerate(found[key])
        ]
        for key in keys
    ]


async def _unrated(context: Context, keys: Sequence[UUID]) -> Sequence[list[dict[str, Any]]]:
    found = await context.session.execute(
        select(tables.InvoiceInputs.invoice_id, tables.InvoiceInputs.unrated).where(
            col(tables.InvoiceInputs.invoice_id).in_(keys)
        )
    )
    unrated: dict[UUID, Any] = {row[0]: row[1] for row in found}
    return [unrated.get(key, []) for key in keys]


async def _origins(context: Context, keys: Sequence[UUID]) -> Sequence[Origin]:
    inputs = tables.InvoiceInputs
    found = await context.session.execute(
        select(inputs.invoice_id, inputs.terms, inputs.pots, tables.Invoice.created_at)
        .join(tables.Invoice, col(tables.Invoice.id) == inputs.invoice_id)
        .where(col(inputs.invoice_id).in_(keys))
    )
    origins = {invoice_id: Origin.frozen(terms, pots, made_at) for invoice_id, terms, pots, made_at in found}
    return [origins[key] for key in keys]


async def _purchases(context: Context, keys: Sequence[UUID]) -> Sequence[tables.Invoice | None]:
    """The invoice that asks for each commit alone, the one that was made last."""
    rows = await context.session.scalars(
        select(tables.Invoice)
        .where(col(tables.Invoice.purchase_of).in_(keys))
        .order_by(col(tables.Invoice.regeneration), col(tables.Invoice.id))
    )
    found = {row.purchase_of: row for row in rows}
    return [found.get(key) for key in keys]


async def _lifetime(context: Context, keys: Sequence[UUID]) -> Sequence[dict[str, Decimal]]:
    found = await lifetime.lifetime_billings(context.session, keys)
    return [found[key] for key in keys]


LOADERS["customer.lifetime_billings"] = _lifetime
LOADERS["invoice.origin"] = _origins
LOADERS["balance.purchase_invoice"] = _purchases
LOADERS["invoice.lines"] = _lines
LOADERS["invoice.unrated"] = _unrated


def number_of(invoice: Either) -> str | None:
    """`INV-000042`; a draft has none."""
    return numbers.number_text(invoice.number) if isinstance(invoice, tables.Invoice) else None


async def lines_of(info: Info, invoice: Either) -> list[InvoiceLine]:
    """Its lines, in order."""
    if isinstance(invoice, tables.Invoice):
        return await info.context.load("invoice.lines", invoice.id)
    rated = {part.invoice_id: Origin.of(part.draft) for part in invoice.parts if part.draft is not None}
    own = Origin.of(invoice)
    return [
        line_shown(
            position, line, own if line.origin is None else rated.get(line.origin.invoice_id, line.origin.invoice_id)
        )
        for position, line in enumerate(invoice.draft.lines)
    ]


async def unrated_of(info: Info, invoice: Either) -> list[UnratedUsage]:
    """Its usage without a price."""
    if isinstance(invoice, tables.Invoice):
        items: list[dict[str, Any]] = await info.context.load("invoice.unrated", invoice.id)
    else:
        items = [unrated_to_json(item) for item in invoice.unrated]
    return [unrated_shown(item) for item in items[:MAX_UNRATED]]


def type_of(invoice: Any) -> core.InvoiceType:
    """What it is for."""
    return core.InvoiceType(invoice.type) if isinstance(invoice, tables.Invoice) else invoice.statement.type
