"""Late usage: what arrived, or was taken back, after a statement became final, and the money that it would be worth.

Owns the comparison (shared decision 13). The statement is rated again with the terms and the balances that it saw, as its
breakdowns are; the invoice itself does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.frozen import terms_from_json
from app.core.invoice import InvoiceType
from app.core.items import fees_and_charges
from app.core.lines import Line, LineType
from app.core.money import ZERO, exact
from app.core.pots import pots_from_json
from app.core.quantities import Usage, UsageKey, usage_from_json
from app.core.rating import rate_statement
from app.invoices import books, earlier, frozen_items
from app.invoices.tables import Invoice, InvoiceInputs
from app.usage.reading import usage_of_products


@dataclass(frozen=True, slots=True)
class LateUsage:
    """Usage of a product and group that a final statement lacks; below zero where it has too much."""

    key: UsageKey
    quantity: Decimal
    amount: Decimal


async def late_usage(session: AsyncSession, invoice: Invoice) -> list[LateUsage]:
    """By product and group; empty for what is no usage statement, or was imported. `amount` is before balances, in the lines' unit."""
    if invoice.type != InvoiceType.USAGE:
        return []
    inputs = await session.get_one(InvoiceInputs, invoice.id)
    if frozen_items.IMPORTED in inputs.terms:
        return []
    terms, period = terms_from_json(inputs.terms), books.period_of(invoice)
    usage = await usage_of_products(
        session, customer_id=invoice.customer_id, products=terms.products, period=period, filters=terms.usage_filters,
        before=earlier.statements_before(session, invoice.contract_id, period.starting_at),
    )  # fmt: skip
    then = usage_from_json(inputs.usage)
    keys = dict.fromkeys([*then, *usage])
    # What prices per event ask for is told as the money of the usage that it is about. Hours may differ where sums do not:
    # what was taken back of one hour and came for another may lie at two prices.
    differing = dict.fromkeys(key.of_usage for key in keys if _by_hour(then, key) != _by_hour(usage, key))
    if not differing:
        return []
    billed = await books.lines_of(session, invoice.id)
    fees, _ = fees_and_charges(billed)
    rated = rate_statement(terms, period, usage, pots=pots_from_json(inputs.pots), fees=fees).lines
    with exact():
        found = [
            LateUsage(key, _sum(usage, key) - _sum(then, key), _worth(rated, key) - _worth(billed, key))
            for key in differing
        ]
    return [item for item in found if item.quantity or item.amount]


def _by_hour(usage: Usage, key: UsageKey) -> dict[object, Decimal]:
    return {item.hour: item.quantity for item in usage.get(key, ()) if item.quantity}


def _sum(usage: Usage, key: UsageKey) -> Decimal:
    with exact():
        return sum((item.quantity for item in usage.get(key, ())), ZERO)


def _worth(lines: list[Line] | tuple[Line, ...], key: UsageKey) -> Decimal:
    with exact():
        return sum(
            (
                line.amount
                for line in lines
                if line.type is LineType.USAGE and UsageKey(_product(line), line.pricing, line.presentation) == key
            ),
            ZERO,
        )


def _product(line: Line) -> UUID:
    assert line.product_id is not None, "usage is that of a product"
    return line.product_id
