"""What a demo made, counted from its database: the document that `metrograph demo --json` prints.

Owns the shape of that document and its form for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.money import canonical, fiat
from app.delivery.tables import Delivery
from app.demo.story import Usage
from app.invoices.open import open_statements
from app.invoices.tables import Invoice
from app.runtime import Runtime
from app.store.ids import to_text


async def summary(runtime: Runtime, usage: Usage, *, seconds: float) -> dict[str, Any]:
    """What the demo made, in the shape that tools rely on."""
    async with runtime.store.transaction() as session:
        counts = (
            await session.execute(
                text(
                    "select (select count(*) from customers), (select count(*) from contracts),"
                    " (select count(*) from invoices), (select count(*) from invoice_voids)"
                )
            )
        ).one()
        contracts = (await session.execute(select(Contract))).scalars().all()
        drafts = len(await open_statements(session, contracts, now=runtime.clock.now()))
        found = await session.execute(
            select(Delivery, Invoice)
            .join(Invoice, col(Delivery.invoice_id) == Invoice.id)
            .order_by(col(Invoice.number))
        )
        deliveries = [_delivery(delivery, invoice) for delivery, invoice in found]
    return {
        "customers": counts[0],
        "contracts": counts[1],
        "events": {"accepted": usage.accepted, "duplicates": usage.duplicates, "conflicts": usage.conflicts},
        "invoices": {"draft": drafts, "finalized": counts[2] - counts[3], "void": counts[3]},
        "deliveries": deliveries,
        "seconds": seconds,
    }


def _delivery(delivery: Delivery, invoice: Invoice) -> dict[str, Any]:
    return {
        "provider": delivery.provider,
        "contract": to_text("contract", invoice.contract_id),
        "customer": to_text("customer", invoice.customer_id),
        "invoice": to_text("invoice", invoice.id),
        "status": delivery.status.lower(),
        "total": canonical(delivery.total),
        "currency": delivery.currency,
        "acknowledged": canonical(delivery.acknowledged),
        "effectiveAt": _instant(delivery.effective_at),
        "servicePeriodEnd": _instant(invoice.ending_before),
    }


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def readable(summary: dict[str, Any]) -> Iterator[str]:
    """The same for people, line by line."""
    events, invoices = summary["events"], summary["invoices"]
    yield f"{summary['customers']} customers, {summary['contracts']} contracts"
    yield f"{events['accepted']} events accepted, {events['duplicates']} duplicates, {events['conflicts']} conflicts"
    yield f"{invoices['finalized']} invoices final, {invoices['draft']} drafts"
    for item in summary["deliveries"]:
        dated = f", dated {item['effectiveAt']}" if item["effectiveAt"] else ""
        total = f"{Decimal(item['total']):.{fiat(item['currency']).places}f}"
        yield f"  {item['provider']:18} {total:>12} {item['currency']}  {item['status']}{dated}"
    yield f"done in {summary['seconds']} s"
