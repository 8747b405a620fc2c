"""Where an invoice stands: its status, whether it is void and why, what it was made again as, and its late usage.

Owns those fields of the GraphQL type and their loaders; nothing of it is in the invoice's own row, which never changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.core import invoice as words
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS
from app.graphql.values import Money, described_enum
from app.invoices import api_line_parts, late, standing, tables
from app.invoices.api_loaders import Either, InvoiceStatus

if TYPE_CHECKING:
    from app.invoices.api_types import Invoice

MAX_LATE = 100


@strawberry.type(description="Usage that came, or was taken back, after its statement became final.")
class LateUsage:
    quantity: Decimal = strawberry.field(description="How much; below zero for what was taken back.")
    amount: Money = strawberry.field(
        description="What it would be worth at the prices of the invoice, before commits and credits pay."
    )
    product_name: str | None = strawberry.field(description="Name of the product on the invoice.")
    pricing: list[api_line_parts.GroupValue] = strawberry.field(
        description="Values that decide its price, sorted by key."
    )
    presentation: list[api_line_parts.GroupValue] = strawberry.field(
        description="Values that only split it, sorted by key."
    )


async def _voids(context: Context, keys: Sequence[UUID]) -> Sequence[tables.InvoiceVoid | None]:
    found = await standing.voids_of(context.session, keys)
    return [found.get(key) for key in keys]


async def _sources(context: Context, keys: Sequence[UUID]) -> Sequence[UUID | None]:
    found = {link.invoice_id: link.source_id for link in await standing.regenerations_of(context.session, keys)}
    return [found.get(key) for key in keys]


async def _successors(context: Context, keys: Sequence[UUID]) -> Sequence[UUID | None]:
    found = {link.source_id: link.invoice_id for link in await standing.regenerations_of(context.session, keys)}
    return [found.get(key) for key in keys]


LOADERS["invoice.void"] = _voids
LOADERS["invoice.regenerated_from"] = _sources
LOADERS["invoice.regenerated_to"] = _successors


async def status(info: Info, invoice: strawberry.Parent[Either]) -> InvoiceStatus:  # type: ignore[valid-type]
    """A row is a fact until it is void; anything else is a view."""
    if not isinstance(invoice, tables.Invoice):
        return words.InvoiceStatus.DRAFT
    return (
        words.InvoiceStatus.FINALIZED
        if await info.context.load("invoice.void", invoice.id) is None
        else words.InvoiceStatus.VOID
    )


PaymentStatus = described_enum(
    words.PaymentStatus,
    name="PaymentStatus",
    description="What became of the payment of a final invoice, as the provider that collects it tells.",
    sentences={
        words.PaymentStatus.NOT_SENT: "No provider asks for it, or not yet.",
        words.PaymentStatus.PENDING: "The provider asks for it; nobody has tried to pay yet.",
        words.PaymentStatus.OVERDUE: "It was due, and is not paid.",
        words.PaymentStatus.FAILED: "A payment was tried in vain; it may be tried again.",
        words.PaymentStatus.PAID: "It is paid.",
        words.PaymentStatus.UNCOLLECTIBLE: "The seller gave up collecting it at the provider.",
        words.PaymentStatus.CANCELED: "Nothing is to be paid any more; it is void or deleted at the provider.",
    },
)


async def payment_status(info: Info, invoice: strawberry.Parent[Either]) -> PaymentStatus | None:  # type: ignore[valid-type]
    """What the delivery slice knows of it; a draft has no payment."""
    if not isinstance(invoice, tables.Invoice):
        return None
    return await info.context.load("invoice.payment_status", invoice.id)


async def voided_at(info: Info, invoice: strawberry.Parent[Either]) -> datetime | None:
    """When it was voided."""
    void = await info.context.load("invoice.void", invoice.id)
    return None if void is None else void.created_at


async def void_reason(info: Info, invoice: strawberry.Parent[Either]) -> str | None:
    """Why, in the words of who voided it."""
    void = await info.context.load("invoice.void", invoice.id)
    return None if void is None or info.context.actor.customer_id is not None else void.reason


async def regenerated_from(
    info: Info, invoice: strawberry.Parent[Either]
) -> Annotated[Invoice, strawberry.lazy("app.invoices.api_types")] | None:
    """The void invoice in whose place it stands."""
    return await _linked(info, "invoice.regenerated_from", invoice.id)


async def regenerated_to(
    info: Info, invoice: strawberry.Parent[Either]
) -> Annotated[Invoice, strawberry.lazy("app.invoices.api_types")] | None:
    """The invoice that stands in its place."""
    return await _linked(info, "invoice.regenerated_to", invoice.id)


async def _linked(info: Info, loader: str, identifier: UUID) -> Any:
    found = await info.context.load(loader, identifier)
    return None if found is None else await info.context.load("invoice", found)


async def late_usage(info: Info, invoice: strawberry.Parent[Either]) -> list[LateUsage]:
    """What came too late."""
    if not isinstance(invoice, tables.Invoice):
        return []
    found = (await late.late_usage(info.context.session, invoice))[:MAX_LATE]
    origin = await info.context.load("invoice.origin", invoice.id) if found else None
    products = () if origin is None else origin.terms.products
    names = {product.id: product.at(invoice.starting_at).name for product in products}
    return [
        LateUsage(
            quantity=item.quantity,
            amount=Money.of(item.amount, invoice.currency),
            product_name=names.get(item.key.product_id),
            pricing=api_line_parts.groups(item.key.pricing),
            presentation=api_line_parts.groups(item.key.presentation),
        )
        for item in found
    ]
