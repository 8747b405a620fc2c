"""True-ups: what is missing of a postpaid commit is billed once, after the last statement that counts towards it.

Owns which of them are open, their date and when they are due (golden decision 40). What is missing is known only when all
open invoices are rated, so the amount is left to `balances.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of
from app.core.grants import GrantType
from app.core.invoice import InvoiceType, due_at, invoice_id
from app.core.ledger import TransferKind, remaining
from app.core.period import HOUR, Period, statement_period_at
from app.grants import child_access, definitions, followed, reading
from app.grants.tables import GrantRow
from app.invoices.statements import Statement
from app.store.arrays import among


async def open_true_ups(session: AsyncSession, contracts: Sequence[Contract], *, now: datetime) -> list[Statement]:
    """The true-ups that these contracts bill: of commits that can be used already and are not used up by final draws."""
    by_id = {contract.id: contract for contract in contracts}
    rows = await session.execute(
        select(GrantRow)
        .where(
            GrantRow.type == GrantType.POSTPAID,
            or_(among(col(GrantRow.contract_id), by_id), among(col(GrantRow.invoice_contract_id), by_id)),
            col(GrantRow.archived_at).is_(None),
            col(GrantRow.trueup_disabled).is_(False),
        )
        .order_by(col(GrantRow.id))
    )
    grants = await reading.stored_grants(session, rows.scalars().all())
    if not grants:
        return []
    served = await _served(session, grants, by_id)
    dropped = await followed.without_true_ups(session, list(by_id))
    places: dict[UUID, int] = {}
    found: list[Statement] = []
    for item in grants:
        contract_id = item.row.contract_id or item.row.invoice_contract_id
        assert contract_id is not None, "a postpaid commit is billed on a contract"
        ordinal = places[contract_id] = places.get(contract_id, -1) + 1
        if item.row.contract_id in dropped or not item.grant.segments:
            continue  # Dropped by a successor, or what rolls into it is not known yet.
        [segment] = item.grant.segments
        # Billed once: what comes back to the commit afterwards is billed when the true-up is made again.
        is_billed = any(moved.kind is TransferKind.TRUEUP for moved in item.movements)
        if segment.period.starting_at <= now and not is_billed and remaining(segment, item.movements) > 0:
            found.append(_true_up(item, by_id[contract_id], served[item.row.id], ordinal=ordinal))
    return found


def _true_up(item: reading.StoredGrant, contract: Contract, served: Sequence[Contract], *, ordinal: int) -> Statement:
    [segment] = item.grant.segments
    date = contract.ending_before or segment.period.ending_before
    if item.row.invoice is not None:
        date = definitions.payment_from_json(item.row.invoice).items(item.row.unit)[0].at
    assert date is not None, "a segment has an end"
    identifier = invoice_id(
        contract_id=contract.id,
        invoice_type=InvoiceType.TRUEUP,
        starting_at=date,
        regeneration=0,
        unit=f"{item.row.unit}:{item.row.id}",
    )
    ends = [_last_due(other, segment.period) for other in served]
    return Statement(
        identifier, contract, InvoiceType.TRUEUP, Period(date), item.row.unit, max([date, *ends]), ordinal,
        grant_id=item.row.id, waits_for={other.id: _counted_until(other, segment.period) for other in served},
    )  # fmt: skip


def _counted_until(contract: Contract, access: Period) -> datetime:
    """Until when statements of a contract count towards a commit: its end, open-ended that of the access."""
    end = contract.ending_before or access.ending_before
    assert end is not None, "a segment has an end"
    return end


def _last_due(contract: Contract, access: Period) -> datetime:
    end = _counted_until(contract, access)
    period = statement_period_at(schedule_of(contract), contract=contract_period(contract), at=end - HOUR)
    return end if period is None else due_at(period, timedelta(hours=contract.grace_hours))


async def _served(
    session: AsyncSession, grants: Sequence[reading.StoredGrant], known: dict[UUID, Contract]
) -> dict[UUID, list[Contract]]:
    """The contracts that each commit serves."""
    customers = {item.row.customer_id for item in grants if item.row.contract_id is None}
    parents = {item.row.contract_id for item in grants if child_access.is_ever_shared(item.row)}
    others = await session.execute(
        select(Contract).where(or_(col(Contract.customer_id).in_(customers), col(Contract.parent_id).in_(parents)))
    )
    contracts = {**known, **{row.id: row for row in others.scalars()}}
    return {
        item.row.id: [
            row
            for row in sorted(contracts.values(), key=lambda row: row.id)
            if row.archived_at is None and item.may_serve(row)
        ]
        for item in grants
    }
