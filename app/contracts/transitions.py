"""A contract that follows another of its customer: a renewal, or one that supersedes it.

Owns which contracts may be followed, and that the old one ends where the new one starts (semantics 4.8). What rolls over
is in the grants slice; that final invoices stand in the way is read from their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.checks import Path
from app.contracts.tables import Contract, TransitionRow
from app.core.invoice import InvoiceType
from app.core.rollover import FutureTrueUps, TransitionType
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.grants.followed import live_transitions
from app.grants.rollovers import make_rollovers
from app.invoices.tables import IS_VOID, Invoice
from app.store.ids import to_text

PATH: Path = ("input", "transition", "fromContractId")
START: Path = ("input", "interval", "startingAt")


@dataclass(frozen=True, slots=True)
class NewTransition:
    """The contract that a new one follows, and how."""

    from_id: UUID
    type: TransitionType
    true_ups: FutureTrueUps = FutureTrueUps.AS_IS


async def follow(
    session: AsyncSession, contract: Contract, found: NewTransition | None, *, now: datetime
) -> dict[str, object]:
    """Let a new contract follow another, whose end moves to its start; gives what the audit log says of it.

    The caller holds the customer's lock. Errors: `NotFound` for no contract of this customer, ARCHIVED,
    ALREADY_TRANSITIONED naming the successor, INVALID_INTERVAL for a start outside of the old contract, and
    ENDS_BEFORE_FINALIZED_INVOICE naming a usage invoice that reaches beyond the new start.
    """
    if found is None:
        return {}
    old = await session.get(Contract, found.from_id, populate_existing=True)
    if old is None or old.customer_id != contract.customer_id or old.id == contract.id:
        raise NotFound("Contract", to_text("contract", found.from_id), path=PATH)
    if old.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED,
            "An archived contract has no successor; make the new one without a transition.",
            path=PATH,
            conflicting=old,
        )
    await refuse_followed(session, old.id, path=PATH)
    _check_start(old, contract.starting_at)
    await _check_final(session, old, contract.starting_at)
    old.ending_before = contract.starting_at
    old.revision += 1
    is_renewal = found.type is TransitionType.RENEWAL
    session.add(
        TransitionRow(
            created_at=now, contract_id=contract.id, from_id=old.id, type=found.type, true_ups=found.true_ups,
            at=contract.starting_at, settled_at=None if is_renewal else now,
        )
    )  # fmt: skip
    await session.flush()
    await make_rollovers(session, contract.customer_id, now=now)
    return {"transition": {"from": to_text("contract", old.id), "type": found.type, "trueUps": found.true_ups}}


async def refuse_followed(session: AsyncSession, contract_id: UUID, *, path: Path) -> None:
    """Refuse a change that the successor of a contract rules out. Error: ALREADY_TRANSITIONED."""
    followed = await live_transitions(session, from_ids=[contract_id])
    if contract_id in followed:
        successor = await session.get_one(Contract, followed[contract_id].contract_id)
        raise InvalidInput(
            ErrorCode.ALREADY_TRANSITIONED,
            f"Contract {to_text('contract', contract_id)} is followed by {to_text('contract', successor.id)}; "
            "archive that one first.",
            path=path,
            conflicting=successor,
        )


def _check_start(old: Contract, start: datetime) -> None:
    is_over = old.ending_before is not None and old.ending_before < start
    if is_over or start <= old.starting_at:
        until = "" if old.ending_before is None else f" and by {old.ending_before:%Y-%m-%dT%H:%MZ}"
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"A successor starts after {old.starting_at:%Y-%m-%dT%H:%MZ}{until}, where the old contract would end.",
            path=START,
        )


async def _check_final(session: AsyncSession, old: Contract, start: datetime) -> None:
    """Usage beyond the new start that is final already would be billed twice."""
    beyond = await session.scalars(
        select(Invoice)
        .where(
            Invoice.contract_id == old.id, Invoice.type == InvoiceType.USAGE, col(Invoice.ending_before) > start,
            ~IS_VOID,
        )
        .order_by(col(Invoice.starting_at))
        .limit(1)
    )  # fmt: skip
    invoice = beyond.first()
    if invoice is not None:
        raise InvalidInput(
            ErrorCode.ENDS_BEFORE_FINALIZED_INVOICE,
            f"Invoice {to_text('invoice', invoice.id)} is final until {invoice.ending_before:%Y-%m-%dT%H:%MZ}, beyond "
            "the new start. Void it first.",
            path=START,
            conflicting=invoice,
        )
