"""Commits that wait for their payment: their invoice, and what its payment or failure does.

Owns the steps of semantics 4.11: the purchase is billed alone and at once, PAID lets the commit be used, FAILED voids
the invoice. A payment is told by the caller (EXTERNAL) or found at Stripe by the delivery slice.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.checks import text_of
from app.contracts.family import lock_family
from app.contracts.tables import Contract
from app.contracts.threshold_reading import ask_to_evaluate
from app.core.grants import GateStatus, PaymentGate
from app.errors import ErrorCode, InvalidState, NotFound
from app.grants import canceling, gates
from app.grants.reading import gate_of
from app.grants.tables import GrantRow
from app.invoices import open, service, tables, voiding
from app.store.ids import to_text

OUTCOMES = (GateStatus.PAID, GateStatus.FAILED)


async def release_by_caller(
    session: AsyncSession, grant_id: UUID, outcome: GateStatus, *, reason: str, now: datetime
) -> GrantRow:
    """Tell what became of a payment that the caller collects. The same answer again changes nothing.

    Errors: `NotFound`, INVALID for a reason that is too long, ILLEGAL_TRANSITION for a commit whose payment is not
    the caller's to tell, or was told otherwise, ARCHIVED.
    """
    reason = reason.strip()
    if reason:
        text_of(reason, path=("reason",), longest=gates.MAX_REASON)
    row = await _locked(session, grant_id)
    if row.gate != PaymentGate.EXTERNAL:
        raise _refused(row, "its payment is not collected by the caller; void its invoice to let it fail")
    return await settle_gate(session, row, outcome, reason=reason or f"The caller said {outcome}.", now=now)


async def settle_gate(
    session: AsyncSession, row: GrantRow, outcome: GateStatus, *, reason: str, now: datetime
) -> GrantRow:
    """Write the outcome of a payment. FAILED voids the invoice, at Stripe as well. The caller holds the lock.

    Errors: ILLEGAL_TRANSITION when the other outcome stands already, ARCHIVED.
    """
    standing = gate_of(row)
    if standing is outcome:
        return row
    if row.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED, "The commit is archived; make another one.", path=("id",), conflicting=row
        )
    if standing is not GateStatus.PENDING:
        raise _refused(row, f"its payment is {standing}, and stays so")
    await gates.settle(session, row, outcome, reason=reason, now=now)
    if outcome is GateStatus.FAILED:
        await _take_back(session, row, reason=reason, now=now)
    elif row.threshold_id is not None and row.contract_id is not None:
        # More may have been used while the payment was under way.
        await ask_to_evaluate(session, row.contract_id)
    return row


async def settle_gate_of(
    session: AsyncSession, grant_id: UUID, outcome: GateStatus, *, reason: str, now: datetime
) -> bool:
    """Write an outcome that was found at a provider; False when one stands already or the commit is archived."""
    row = await _locked(session, grant_id)
    if row.archived_at is not None or gate_of(row) is not GateStatus.PENDING:
        return False
    await settle_gate(session, row, outcome, reason=reason, now=now)
    return True


async def bill_purchase(session: AsyncSession, grant_id: UUID, *, now: datetime) -> tables.Invoice | None:
    """Make the invoice of a commit final that is billed alone; None when it is not due, or is final already."""
    row = await session.get_one(GrantRow, grant_id)
    contract_id = row.contract_id or row.invoice_contract_id
    assert contract_id is not None, "what is invoiced is billed on a contract"
    contract = await session.get_one(Contract, contract_id)
    await lock_family(session, contract.customer_id)
    await session.refresh(contract)
    for statement in await open.open_statements(session, [contract], now=now):
        if statement.purchase_of == grant_id and statement.due_at <= now:
            return (await service.finalize_statement(session, statement, now=now)).invoice
    return None


async def fail_all_of_contract(session: AsyncSession, contract_id: UUID, *, reason: str, now: datetime) -> None:
    """Let the payments fail for which commits of a contract wait; the caller holds the customer's lock."""
    rows = await session.execute(
        select(GrantRow).where(GrantRow.contract_id == contract_id, gates.IS_UNPAID).order_by(col(GrantRow.id))
    )
    for row in rows.scalars().all():
        await settle_gate(session, row, GateStatus.FAILED, reason=reason, now=now)


async def _take_back(session: AsyncSession, row: GrantRow, *, reason: str, now: datetime) -> None:
    """Void what asks for the payment, so that nobody pays it later; what was not billed yet never is."""
    found = await session.execute(select(tables.Invoice).where(tables.Invoice.purchase_of == row.id, ~tables.IS_VOID))
    invoice = found.scalar_one_or_none()
    if invoice is None:
        await canceling.cancel_rest(session, [row.id], contract_id=row.contract_id, now=now)
        return
    at_provider = row.gate == PaymentGate.STRIPE
    text = f"The payment failed: {reason}"[: voiding.MAX_REASON]
    await voiding.void_invoice(session, invoice.id, reason=text, in_provider=at_provider, now=now)


async def _locked(session: AsyncSession, grant_id: UUID) -> GrantRow:
    row = await session.get(GrantRow, grant_id)
    if row is None:
        raise NotFound("Commit", to_text("commit", grant_id), path=("id",))
    await lock_family(session, row.customer_id)
    await session.refresh(row)
    return row


def _refused(row: GrantRow, why: str) -> InvalidState:
    name = to_text("commit", row.id)
    return InvalidState(ErrorCode.ILLEGAL_TRANSITION, f"Commit {name}: {why}.", path=("id",), conflicting=row)
