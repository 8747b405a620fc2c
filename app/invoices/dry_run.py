"""A billing run that is taken back: what would become final, by the same services, with nothing stored.

Owns that view. Each customer is finalized in a transaction of its own that is rolled back, so a customer's lock and the
counter of numbers are held for one customer at a time, and real runs go on beside it. Customers whose contracts stand
under each other's are finalized together, since their statements may be put together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts import family, tables
from app.core.invoice import InvoiceType
from app.core.money import ZERO, exact
from app.errors import BillingError
from app.invoices import due, finding, service
from app.invoices.tables import Invoice
from app.store import engine, locks

log = structlog.get_logger("metrograph.invoices")


@dataclass(slots=True)
class Rehearsal:
    """What is due and what it would make; the invoices are not stored, and their numbers mean nothing."""

    contracts: list[UUID]
    invoices: list[Invoice] = field(default_factory=list[Invoice])
    totals: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    failures: list[tuple[UUID, str]] = field(default_factory=list[tuple[UUID, str]])


async def rehearse(
    store: engine.Store,
    *,
    as_of: datetime,
    now: datetime,
    on_customer: Callable[[int, int], None] = lambda _done, _total: None,
) -> Rehearsal:
    """Finalize what is due by `as_of`, and take it back. `on_customer` is told how many customers are done, of how many."""
    async with store.transaction() as session:
        found = Rehearsal(await due.due_contracts(session, as_of=as_of))
        rows = await session.execute(
            select(tables.Contract.id, tables.Contract.customer_id).where(col(tables.Contract.id).in_(found.contracts))
        )
        owner = {contract_id: customer_id for contract_id, customer_id in rows}  # noqa: C416
        families = await family.families_of(session, set(owner.values()))
    together: dict[UUID, list[UUID]] = {}
    for contract_id in found.contracts:
        together.setdefault(families[owner[contract_id]], []).append(contract_id)
    done = 0
    for contract_ids in together.values():
        async with store.transaction() as session:
            customers = {owner[contract_id] for contract_id in contract_ids}
            await locks.lock_customers(session, customers | await family.parents_of_customers(session, list(customers)))
            await _finalize(session, contract_ids, found, as_of=as_of, now=now)
            await session.rollback()
        done += len(customers)
        on_customer(done, len(families))
    with exact():
        for invoice in found.invoices:
            if invoice.type == InvoiceType.USAGE_CONSOLIDATED:
                continue  # It was counted with the statements that it puts together.
            found.totals[invoice.currency] = found.totals.get(invoice.currency, ZERO) + invoice.total
    return found


async def _finalize(
    session: AsyncSession, contract_ids: Sequence[UUID], found: Rehearsal, *, as_of: datetime, now: datetime
) -> None:
    again = await finding.contracts_with_shared_commits(session, contract_ids)
    for contract_id in [*contract_ids, *again]:
        try:
            async with session.begin_nested():
                made = await service.finalize_due(session, [contract_id], as_of=as_of, now=now)
                for invoice in made:
                    session.expunge(invoice)
            found.invoices += made
        except BillingError as error:
            found.failures.append((contract_id, error.message))
        except Exception as fault:
            log.exception("contract not finalized", contract=str(contract_id))
            found.failures.append((contract_id, f"Something went wrong on our side ({type(fault).__name__})."))
