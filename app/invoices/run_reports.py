"""What came of billing runs, for whoever started or joined them.

Owns the summary; it is read from the records, so it counts what other workers did as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from app.core.money import ZERO, exact
from app.invoices import runs
from app.invoices.tables import BillingRun
from app.store.engine import Store

MAX_FAILURES = 100
"""Failures that a report names."""


@dataclass(slots=True)
class RunReport:
    """What came of some runs: invoices made, their totals by currency, and contracts that failed with the reason.

    Of the failures the first hundred of each run are named; `failed` counts all.
    """

    runs: list[UUID] = field(default_factory=list)
    contracts: int = 0
    finalized: int = 0
    failed: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    failures: list[tuple[UUID, str]] = field(default_factory=list)


async def report_of(store: Store, run_ids: Sequence[UUID]) -> RunReport:
    """What came of some runs so far."""
    found = RunReport(runs=list(run_ids))
    async with store.transaction() as session:
        records = [await session.get_one(BillingRun, run_id) for run_id in run_ids]
        for progress in (await runs.progress_of(session, records)).values():
            found.contracts += progress.total
            found.finalized += progress.invoices
            found.failed += progress.failed
            with exact():
                for currency, total in progress.totals.items():
                    found.totals[currency] = found.totals.get(currency, ZERO) + total
            if progress.failed:
                failed = await runs.failures_of(session, progress.run.id, limit=MAX_FAILURES)
                found.failures += [(item.contract_id, item.failure or "") for item in failed]
    return found
