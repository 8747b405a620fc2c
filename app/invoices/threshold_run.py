"""Looks at thresholds by jobs: of one contract, and of those that have new usage.

Owns that each evaluation is one transaction with its audit entries, and that a contract about which we made a mistake
keeps no other from being looked at.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from sqlmodel import col, delete, select

from app.access import audit
from app.actor import Actor
from app.change import Change
from app.contracts import history, tables
from app.errors import BillingError
from app.grants import shown
from app.invoices import purchase_run, thresholds
from app.jobs.service import enqueue
from app.providers import ProviderDirectory
from app.store.engine import Store
from app.usage.watched import TOUCHED_JOB

log = structlog.get_logger("metrograph.invoices")
LIMIT = 1_000


async def evaluate(
    store: Store, directory: ProviderDirectory, contract_id: UUID, *, actor: Actor, now: datetime
) -> int:
    """Look at the thresholds of one contract; returns how many commits were bought. What fails is tried again later."""
    try:
        async with store.transaction() as session:
            made = await thresholds.evaluate(session, directory, contract_id, now=now)
            for item in made:
                bought = Change(shown.KINDS[item.row.type], item.row.id, None, shown.shown(item.row))
                await audit.record(session, actor, action="threshold.purchase", now=now, change=bought)
                await purchase_run.audit_invoice(session, actor, item.invoice, now=now)
            await history.keep_changes(session, actor, action="threshold.purchase", now=now)
    except BillingError as error:
        log.warning("thresholds not evaluated", contract=str(contract_id), reason=error.message)
        return 0
    except Exception:
        log.exception("thresholds not evaluated", contract=str(contract_id))
        return 0
    return len(made)


async def evaluate_touched(store: Store, directory: ProviderDirectory, *, actor: Actor, now: datetime) -> int:
    """Look at the contracts that have new usage; returns how many commits were bought.

    The notes are removed afterwards, so that a kill on the way repeats the work and loses none.
    """
    async with store.transaction() as session:
        rows = (
            await session.execute(select(tables.ThresholdTouch).order_by(col(tables.ThresholdTouch.id)).limit(LIMIT))
        ).scalars()
        noted = [(row.id, row.contract_id) for row in rows]
    bought = 0
    for contract_id in dict.fromkeys(contract_id for _, contract_id in noted):
        bought += await evaluate(store, directory, contract_id, actor=actor, now=now)
    async with store.transaction() as session:
        await session.execute(
            delete(tables.ThresholdTouch).where(
                col(tables.ThresholdTouch.id).in_([identifier for identifier, _ in noted])
            )
        )
        if len(noted) == LIMIT:
            await enqueue(session, TOUCHED_JOB, once=TOUCHED_JOB)
    return bought
