"""The billing run: finds contracts with due statements and finalizes them in batches.

Owns who is due and what becomes of each; how the work is cut into jobs is `due.py`. One contract is one transaction, so a kill loses nothing and the next run goes
on where this one stopped. Several runs at once share the work: a second finalizer finds the invoice and moves on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.actor import Actor
from app.change import Change
from app.core.money import ZERO
from app.errors import BillingError
from app.invoices import finding
from app.invoices.service import finalize_due, finalized_summary
from app.store.engine import Store

log = structlog.get_logger("metrograph.invoices")

BATCH = 100
"""Contracts in one job."""


FINALIZE_JOB = "invoices.finalize"


@dataclass(slots=True)
class RunReport:
    """What a run did: invoices made, their totals by currency, and contracts that failed with the reason."""

    finalized: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    failures: list[tuple[UUID, str]] = field(default_factory=list)


async def due_contracts(session: AsyncSession, *, as_of: datetime) -> list[UUID]:
    """Contracts with at least one statement that is due by `as_of`; by the oldest due time, then id."""
    contracts = await finding.running_contracts(session)
    due: dict[UUID, None] = {}
    found, broken = await finding.open_or_broken(session, contracts, now=as_of)
    # A broken contract counts as due, so that the run reports it.
    due.update(dict.fromkeys(broken))
    for statement in found:
        if statement.due_at <= as_of:
            due.setdefault(statement.contract.id)
    return list(due)


async def finalize_contracts(
    store: Store,
    contract_ids: Sequence[UUID],
    *,
    actor: Actor,
    as_of: datetime,
    now: datetime,
    on_contract: Callable[[RunReport], None] = lambda _: None,
) -> RunReport:
    """Finalize what is due of each contract; one that fails is reported and does not stop the others."""
    report = RunReport()
    # What is missing of a customer's commit waits for the statements of other contracts, so those come again.
    async with store.transaction() as session:
        again = await finding.contracts_with_shared_commits(session, contract_ids)
    for contract_id in [*contract_ids, *again]:
        try:
            async with store.transaction() as session:
                for made in await finalize_due(session, contract_id, as_of=as_of, now=now):
                    change = Change("invoice", made.invoice.id, {"status": "DRAFT"}, finalized_summary(made.invoice))
                    await audit.record(session, actor, action="invoice.finalize", now=now, code=None, change=change)
                    report.finalized += 1
                    total = report.totals.get(made.invoice.currency, ZERO) + made.invoice.total
                    report.totals[made.invoice.currency] = total
        except BillingError as error:
            report.failures.append((contract_id, error.message))
        except Exception as fault:
            # Our own mistake about one contract must not keep the others from being billed.
            log.exception("contract not finalized", contract=str(contract_id))
            report.failures.append((contract_id, f"Something went wrong on our side ({type(fault).__name__})."))
        on_contract(report)
    return report
