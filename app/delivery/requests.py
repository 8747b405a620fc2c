"""Which invoices a marketplace is asked for by themselves, and which it is sent as usage.

Owns that choice. It follows from what the invoice is and from the customer's side, which names what is asked of, and neither changes
once the invoice is routed; what the account's settings say today does not matter. So each cent has one way: a scheduled invoice
above zero is requested, and everything else under the same configuration is metered. One of zero or below is metered too: it
asks for nothing, and makes less be owed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.invoice import InvoiceType
from app.customers.tables import BillingConfiguration
from app.delivery.registry import Connection
from app.delivery.tables import Delivery
from app.invoices.tables import Invoice
from connectors.base import Capabilities


def asks(capabilities: Capabilities, settings: Mapping[str, str]) -> bool:
    """Whether the customer's side names what a payment is asked of."""
    return bool(capabilities.requested_by) and all(settings.get(key) for key in capabilities.requested_by)


def is_requested(kind: str, amount: Decimal) -> bool:
    """Whether an invoice of a customer who is asked goes out by itself: a scheduled one above zero."""
    return kind == InvoiceType.SCHEDULED and amount > 0


def buyer_of(capabilities: Capabilities, settings: Mapping[str, str]) -> dict[str, str]:
    """The part of the customer's side by which the marketplace knows whose usage it is.

    Two configurations of one buyer, with and without requests, share its slots.
    """
    return {key: value for key, value in settings.items() if key not in capabilities.requested_by}


def requesting(configurations: Collection[tuple[BillingConfiguration, Connection]]) -> set[UUID]:
    """Those whose scheduled invoices are asked for by themselves."""
    return {row.id for row, connection in configurations if asks(connection.capabilities, row.settings)}


def mode_of(connection: Connection | None, configuration: BillingConfiguration, invoice: Invoice) -> str:
    """How an invoice reaches its provider: `invoice`, by itself, or `metering`; `invoice` while nobody knows the account."""
    if connection is None:
        return "invoice"
    by_itself = asks(connection.capabilities, configuration.settings) and is_requested(invoice.type, invoice.total)
    return "invoice" if by_itself else connection.capabilities.mode


async def mode_of_delivery(session: AsyncSession, connection: Connection, delivery: Delivery) -> str:
    """The same of a delivery that was opened before."""
    configuration = await session.get_one(BillingConfiguration, delivery.billing_configuration_id)
    return mode_of(connection, configuration, await session.get_one(Invoice, delivery.invoice_id))
