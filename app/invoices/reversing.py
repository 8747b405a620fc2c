"""Takes an outcome back that a final statement had billed (semantics 11.3).

Owns the refusals and the one step: what each statement that billed the event asked for too much is worked out from what was
frozen with it, and goes back in the same transaction. The invoices do not change. The transaction id is the natural key,
so the same call again finds what the first one made.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import text_of
from app.contracts.family import lock_family
from app.core import money
from app.errors import Conflict, ErrorCode, InvalidInput, NotFound, Unavailable
from app.invoices import reversal_entries, reversal_statements, reversal_states
from app.invoices.reversals import reversal_of
from app.invoices.tables import OutcomeReversal
from app.store.ids import to_text
from app.usage import events, search, service

MAX_REASON = 500


async def reverse_outcome(
    session: AsyncSession, transaction_id: str, *, reason: str, amount: Decimal | None = None, now: datetime
) -> OutcomeReversal:
    """Take a billed event back, or a part of its money: what was paid too much for it goes back to whoever paid.

    Errors: REASON_REQUIRED, NOT_FOUND for an id that never came, ALREADY_REVERSED when it was reversed by another amount,
    NOT_FINALIZED while a statement that counts it is a draft, ALREADY_VOID when the one that billed it is void, NOT_RATED
    when none did, INVALID for an amount that is no part of its money, NOTHING_TO_REVERSE when somebody would have paid more,
    ALREADY_FINALIZED of a postpaid commit's true-up.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise InvalidInput(ErrorCode.REASON_REQUIRED, "Say why, in 1 to 500 characters.", path=("input", "reason"))
    key = service.event_id(text_of(transaction_id, path=reversal_statements.ID, longest=search.MAX_ID))
    known = await reversal_of(session, key)
    if known is not None:
        return _same(known, amount)
    _, owner = await _owned(session, key, transaction_id)
    await lock_family(session, owner)
    # Somebody else may have reversed it, taken it back or moved its reference while the lock was waited for.
    known = await reversal_of(session, key)
    if known is not None:
        return _same(known, amount)
    event, owner_now = await _owned(session, key, transaction_id)
    if owner_now != owner:
        raise Unavailable(ErrorCode.UNAVAILABLE, "The customer's references are being changed; try again.")
    found = await reversal_statements.billed_by(session, owner, event, amount, now=now)
    reversal = OutcomeReversal(
        created_at=now, customer_id=owner, event_id=key, transaction_id=event.transaction_id,
        occurred_at=event.event.timestamp, amount=amount, reason=reason.strip(),
    )  # fmt: skip
    session.add(reversal)
    await session.flush()
    for item in found:
        await reversal_entries.give(session, reversal, item.invoice, item.change, item.worths, now=now)
        if amount is None:
            await reversal_states.restate_cases(session, item.statement, item.event, now=now)
    note_change(
        session, "outcome_reversal", reversal.id,
        after={
            "transactionId": event.transaction_id, "amount": amount and money.canonical(amount), "reason": reversal.reason,
            "entries": [
                {"invoice": to_text("invoice", item.invoice.id), "amount": money.canonical(worth.amount), "unit": worth.unit}
                for item in found for worth in item.worths
            ],
        },
    )  # fmt: skip
    return reversal


async def _owned(session: AsyncSession, key: UUID, transaction_id: str) -> tuple[events.FoundEvent, UUID]:
    """The event as it is stored, and whose it is now."""
    found = await service.EVENTS.find(session, [key])
    if not found:
        if await service.EVENTS.voided(session, [key]):
            raise reversal_statements.not_rated("It was taken back by usageVoid before anybody was billed for it.")
        raise NotFound("Event", transaction_id, path=reversal_statements.ID)
    owner = (await search.owners_of(session, {found[0].event.reference})).get(found[0].event.reference)
    if owner is None:
        raise reversal_statements.not_rated(
            f"Its customer reference {found[0].event.reference[:80]!r} leads to no customer."
        )
    return found[0], owner


def _same(known: OutcomeReversal, amount: Decimal | None) -> OutcomeReversal:
    if known.amount != amount:
        taken = "whole" if known.amount is None else f"by {money.canonical(known.amount)}"
        raise Conflict(
            ErrorCode.ALREADY_REVERSED,
            f"{known.transaction_id[:80]!r} was reversed {taken} before, and can be reversed once; grant a credit for more.",
            path=reversal_statements.AMOUNT, conflicting=known,
        )  # fmt: skip
    return known
