"""The custom fields that travel with an invoice to its provider: its own, and those of its customer and contract as they were when it became final.

Owns their names there: `invoice.KEY`, `customer.KEY`, `contract.KEY` and, on lines, `product.KEY`. Which of them a provider is told, and
under which name, is a setting of the connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.frozen import terms_from_json
from app.custom_fields.service import custom_fields_of
from app.invoices.frozen_fields import frozen_fields
from app.invoices.putting_together import constituents_from_json
from app.invoices.tables import Invoice, InvoiceInputs


async def fields_of_invoice(session: AsyncSession, invoice: Invoice) -> dict[str, str]:
    """Those of the customer and of the contract, and its own as they are when it is first sent."""
    own = (await custom_fields_of(session, [invoice.id]))[invoice.id]
    frozen = (await frozen_fields(session, [invoice.id]))[invoice.id]
    # Those of commits, subscriptions and charges stand on lines of the API; no provider is told of them.
    found = {"invoice": own} | {owner: frozen.get(owner, {}) for owner in ("customer", "contract")}
    return {f"{owner}.{key}": value for owner in sorted(found) for key, value in sorted(found[owner].items())}


async def fields_of_products(session: AsyncSession, invoice: Invoice) -> Mapping[UUID, dict[str, str]]:
    """Those of each product of the invoice's terms; of a consolidated one by those of its constituents, the first counts."""
    inputs = await session.get_one(InvoiceInputs, invoice.id)
    parts = constituents_from_json(inputs.terms)
    kept = [inputs] if parts is None else [await session.get_one(InvoiceInputs, part) for part in parts]
    products = [product for item in reversed(kept) for product in terms_from_json(item.terms).products]
    return {product.id: {f"product.{key}": value for key, value in product.custom_fields} for product in products}
