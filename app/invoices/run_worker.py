"""A worker of a billing run: finalizes what is due of some contracts at a time.

Owns what becomes of a failure. The transaction that makes invoices also notes their contracts as done. Where contracts fail
together nothing of them is kept, and they are tried a few at a time, then each by itself, so that one keeps no other from
being billed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.actor import Actor
from app.change import Change
from app.core.invoice import InvoiceStatus
from app.errors import BillingError, Unavailable
from app.invoices import run_claims
from app.invoices.service import finalize_due, finalized_summary
from app.invoices.tables import BillingRun
from app.store.engine import Store

log = structlog.get_logger("metrograph.invoices")

TRIES = 3
"""How often a contract is taken up whose transaction the database gave up (a lock that was waited for too long)."""
FEW = 20
"""Contracts that are tried together where more of them failed together; of those that fail again each is tried alone."""
INTERNAL = "INTERNAL"
"""Code of a failure that is our own mistake."""


@dataclass(slots=True)
class Worker:
    """Who takes contracts of a run: up to which position, and up to which in small groups since several failed together."""

    store: Store
    run: BillingRun
    actor: Actor
    now: datetime
    at_once: int
    after: int = -1
    few_until: int = -1
    alone_until: int = -1
    tries: Counter[int] = field(default_factory=Counter[int])

    async def step(self) -> bool:
        """Finalize what is due of the next contracts; False when none is open behind the last ones."""
        claimed: list[run_claims.Claim] = []
        try:
            async with self.store.transaction() as session:
                claimed = await run_claims.claim(session, self.run.id, after=self.after, at_most=self._at_most())
                if not claimed:
                    return False
                chosen = await run_claims.one_of_each_family(session, claimed)
                await self._finalize(session, chosen)
        except Exception as error:
            if not claimed:
                raise
            if len(claimed) > 1:
                # Nothing of it was kept. Who is to blame shows when each is done by itself.
                log.info("contracts not finalized together; fewer are tried", contracts=len(claimed), reason=str(error))
                if len(claimed) > FEW:
                    self.few_until = claimed[-1].position
                else:
                    self.alone_until = claimed[-1].position
            else:
                await self._fail(claimed[0], error)
            return True
        others = sorted({item.position for item in claimed} - {item.position for item in chosen})
        self.after = others[0] - 1 if others else claimed[-1].position
        return True

    def _at_most(self) -> int:
        """How many contracts are taken next."""
        if self.after < self.alone_until:
            return 1
        return min(FEW, self.at_once) if self.after < self.few_until else self.at_once

    async def _finalize(self, session: AsyncSession, chosen: Sequence[run_claims.Claim]) -> None:
        as_of = min(self.run.as_of, self.now)
        made = await finalize_due(session, [item.contract_id for item in chosen], as_of=as_of, now=self.now)
        changes = [Change("invoice", one.id, {"status": InvoiceStatus.DRAFT}, finalized_summary(one)) for one in made]
        await audit.record_many(session, self.actor, action="invoice.finalize", now=self.now, changes=changes)
        await run_claims.note_done(session, self.run.id, chosen, made, now=self.now)

    async def _fail(self, item: run_claims.Claim, error: Exception) -> None:
        """Note why a contract failed; one whose transaction the database gave up is taken up again."""
        code, message = INTERNAL, f"Something went wrong on our side ({type(error).__name__})."
        if isinstance(error, BillingError):
            self.tries[item.position] += 1
            if isinstance(error, Unavailable) and self.tries[item.position] < TRIES:
                return
            code, message = str(error.code), error.message
        else:
            # Our own mistake about one contract must not keep the others from being billed.
            log.error("contract not finalized", contract=str(item.contract_id), exc_info=error)
        self.after = item.position
        async with self.store.transaction() as session:
            await run_claims.note_failure(session, self.run.id, item.position, code=code, message=message, now=self.now)
