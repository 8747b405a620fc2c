"""What an invoice would say if it were made again now: current usage, prices and terms, and what final invoices left.

Owns the balances of it (golden decision 42): open drafts give way. What it is for is in `again_statement.py`. Nothing is
stored here; `regenerating.py` stores it, and a preview shows it before anything is voided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts import fees, terms
from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.core.items import key_of
from app.core.ledger import Movement, TransferKind
from app.core.lines import LineType
from app.grants import drawable, followed, reading
from app.invoices import again_statement, books, consolidated_again, drafts, giving_back, instead, missing, reversals
from app.invoices.tables import Invoice


@dataclass(frozen=True, slots=True)
class MadeAgain:
    """An invoice as it would be made again, and what the void of the first one took of commits that it sells."""

    rated: drafts.RatedStatement
    restored: Sequence[tuple[UUID, Movement]]


async def make_again(
    session: AsyncSession,
    invoice: Invoice,
    *,
    is_void: bool,
    now: datetime,
    supposed: instead.Instead | None = None,
) -> MadeAgain | None:
    """Rate an invoice again; None when there is nothing left to bill: the contract does not cover its time any more.

    Of one that is not void yet, its own draws are left out of the balances, as they would be given back.
    """
    contract = await session.get_one(Contract, invoice.contract_id, populate_existing=True)
    if contract.archived_at is not None:
        return None
    if invoice.type == InvoiceType.USAGE_CONSOLIDATED:
        rated = await consolidated_again.made_again(session, invoice, now=now)
        return None if rated is None else MadeAgain(rated, ())
    lines = await books.lines_of(session, invoice.id)
    current = await terms.terms_of(session, contract)
    keys = {key_of(line) for line in lines if line.type in fees.BILLING}
    # What it carried is owed again; what others carry is not.
    current = replace(current, billed=tuple(item for item in current.billed if item.key not in keys))
    statement = again_statement.statement_again(invoice, contract, current, lines, keys, now=now)
    if statement is None:
        return None
    lines_of_commits = (item.line for item in statement.items if item.line.type is LineType.COMMIT_PURCHASE)
    sold = await followed.with_rollovers(session, {line.grant_id for line in lines_of_commits if line.grant_id})
    grants = await reading.grants_in_reach(session, contract)
    # What outcome reversals gave is given anew when the invoice is made, and pays nothing of it.
    given = await reversals.given_to_payers(session, await reversals.chain_of(session, invoice.id))
    restored = _restored(grants, sold, invoice, given, now=now)
    other = supposed or instead.Instead()
    moved = {item.row.id: other.moved(item.row.id, _moved(item, invoice, restored, is_void=is_void)) for item in grants}
    if statement.type is InvoiceType.TRUEUP:
        found = next(item for item in grants if item.row.id == statement.grant_id)
        if found.row.trueup_disabled:
            return None
        rated = missing.rated_true_up(statement, found.grant, moved[found.row.id], current)
        return None if rated.is_nothing else MadeAgain(rated, ())
    pots = drawable.pots_for(contract, grants, moved)
    rated = await drafts.rate(session, statement, pots=pots, terms=current, hours=other.hours)
    return MadeAgain(rated, restored)


def _restored(
    grants: Sequence[reading.StoredGrant],
    which: Collection[UUID],
    invoice: Invoice,
    given: Mapping[tuple[UUID, int], Decimal],
    *,
    now: datetime,
) -> list[tuple[UUID, Movement]]:
    """What the void of an invoice canceled of some balances, the other way round; less what reversals had given them."""
    restored: list[tuple[UUID, Movement]] = []
    left = dict(given)
    for item in grants:
        for moved in item.movements if item.row.id in which else ():
            if moved.kind is not TransferKind.CANCELED or moved.invoice_id != invoice.id:
                continue
            if left.get(key := (item.row.id, moved.segment)) == -moved.amount:
                del left[key]
                continue
            restored.append((item.row.id, replace(moved, kind=TransferKind.CREDITED, amount=-moved.amount, at=now)))
    return restored


def _moved(
    item: reading.StoredGrant, invoice: Invoice, restored: Sequence[tuple[UUID, Movement]], *, is_void: bool
) -> list[Movement]:
    """What moved in the book of a balance before the invoice is made again."""
    stored = [
        moved
        for moved in item.movements
        if is_void or moved.invoice_id != invoice.id or moved.kind not in giving_back.TAKEN
    ]
    return [*stored, *(moved for grant_id, moved in restored if grant_id == item.row.id)]
