"""What a customer owes so far at the marketplaces that its invoices are routed to.

Owns which money counts there and which does not yet. The customer's open invoices are rated once, for all of its billing
configurations: they share balances, so the book is one in any case.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import and_, not_, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.core.invoice import InvoiceType
from app.core.money import ZERO, exact
from app.delivery.gated import collected_elsewhere
from app.delivery.requests import is_requested
from app.invoices.balances import Books
from app.invoices.service import routes_of
from app.invoices.tables import IS_VOID, Invoice

CURRENCY = "USD"
"""Marketplaces are billed in one currency."""


async def owed_through(
    session: AsyncSession,
    customer_id: UUID,
    configuration_ids: Collection[UUID],
    *,
    requesting: Collection[UUID],
    now: datetime,
) -> dict[UUID, Decimal]:
    """What the customer owes so far of what is routed to each of these billing configurations of its own, in USD: finalized
    invoices, and drafts as they stand. A contract that came or left with a period counts with the statements of its time here.

    True-ups are never sent to a marketplace, neither as drafts nor when they are final (semantics 7.4 and 7.5), nor is what
    the caller collects, nor what is asked for by itself at those of `requesting` (`requests.py`). A fee, charge
    or purchase that is dated later is on a draft already and not owed yet (golden decision 44).
    """
    elsewhere = await collected_elsewhere(session, customer_id)
    finalized = await session.execute(
        select(Invoice.billing_configuration_id, func.sum(Invoice.total))
        .where(
            col(Invoice.billing_configuration_id).in_(configuration_ids),
            Invoice.currency == CURRENCY,
            Invoice.type != InvoiceType.TRUEUP,
            or_(col(Invoice.purchase_of).is_(None), col(Invoice.purchase_of).not_in(elsewhere)),
            # As `requests.is_requested` has it.
            not_(
                and_(
                    col(Invoice.type) == InvoiceType.SCHEDULED,
                    col(Invoice.total) > ZERO,
                    col(Invoice.billing_configuration_id).in_(requesting),
                )
            ),
            ~IS_VOID,
        )
        .group_by(col(Invoice.billing_configuration_id))
    )
    owed = dict.fromkeys(configuration_ids, ZERO) | {row[0]: Decimal(row[1]) for row in finalized}
    books = Books(session, now=now)
    open_ones = (await books.of(customer_id)).open
    routed = [
        (statement, route)
        for statement, route in zip(open_ones, await routes_of(session, open_ones), strict=True)
        if route in owed and statement.currency == CURRENCY
        if statement.type is not InvoiceType.TRUEUP and statement.purchase_of not in elsewhere
    ]
    rated = await books.rate_many([statement for statement, _ in routed])
    for (statement, route), item in zip(routed, rated, strict=True):
        if route in requesting and is_requested(statement.type, item.draft.subtotal):
            continue
        later = (line.amount for line in item.draft.lines if line.charged_at is not None and line.charged_at > now)
        with exact():
            owed[route] += item.draft.subtotal - sum(later, ZERO)
    return owed
