"""Which invoices of a contract are open: usage statements that have begun, and scheduled invoices dated up to now.

Owns what is due when, and which fee or charge is on which of them. What they say is left to `drafts.py`. An invoice is
open until it is final; a void one is never open again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract
from app.core.period import Period
from app.core.placement import Placed
from app.core.terms import Terms
from app.invoices import placing
from app.invoices.consolidating import open_consolidated
from app.invoices.final import Final, final_of_contracts
from app.invoices.moved_dates import moved_dates
from app.invoices.open_periods import open_periods
from app.invoices.statements import Statement, order_of, scheduled_invoice, usage_statement
from app.invoices.trueups import open_true_ups


async def open_statements(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> list[Statement]:
    """The open invoices of these contracts, in the order in which they become final (golden decision 25).

    By due time, scheduled before usage, then the contracts' priority, start and id; true-ups and consolidated ones come
    last.
    """
    running = [contract for contract in contracts if contract.archived_at is None]
    final = await final_of_contracts(session, [contract.id for contract in running])
    terms = await placing.terms_with_fees(session, running)
    found: list[Statement] = []
    for contract in running:
        done = final.get(contract.id, Final())
        rest = open_periods(contract, done, now=now)
        placed = Placed()
        if contract.id in terms:
            placed = placed_items(terms[contract.id], done, rest, now=now)
        found += [
            usage_statement(contract, period, items=placed.on_statements.get(period.starting_at, ())) for period in rest
        ]
        found += [scheduled_invoice(contract, date, items=items) for date, items in placed.alone.items()]
    found += await open_true_ups(session, running, now=now)
    found += await open_consolidated(session, running, now=now)
    moved = await moved_dates(session, [contract.id for contract in running])
    found = [replace(item, due_at=moved[item.id][1]) if item.id in moved else item for item in found]
    return sorted(found, key=order_of)


def placed_items(terms: Terms, done: Final, rest: Sequence[Period], *, now: datetime) -> Placed:
    """The fees and charges of a contract on what is open of it: its statements of some periods, or by themselves."""
    return placing.placed(
        terms, sorted([*done.statements, *rest], key=lambda period: period.starting_at),
        final={period.starting_at for period in done.statements}, waiting=done.void, scheduled=done.scheduled, now=now,
    )  # fmt: skip
