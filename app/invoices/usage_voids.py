"""Taking usage back while nobody was billed for it.

Owns that rule: usage in the period of a final statement stays, whatever that statement made of it, and is corrected by a
credit or by making the invoice again (semantics 1.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor
from app.change import note_change
from app.checks import at_most, distinct, text_of
from app.contracts.family import lock_family
from app.errors import Conflict, ErrorCode, InvalidInput, InvalidState, NotFound
from app.invoices import event_standing, reversals
from app.store.ids import to_text
from app.usage import search, service, voiding

PATH = ("input", "transactionIds")
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class VoidedUsage:
    """How many events were taken back by this call, and how many had been before."""

    voided: int
    already_voided: int


async def void_usage(
    session: AsyncSession, transaction_ids: Sequence[str], *, reason: str, actor: Actor, now: datetime
) -> VoidedUsage:
    """Void events by their transaction ids: all of them, or none. Safe to repeat.

    Errors: REQUIRED, REASON_REQUIRED, `LimitExceeded` above 100 ids, NOT_FOUND for an id that never came,
    ALREADY_FINALIZED for one in the period of a final statement, which is named, ALREADY_REVERSED.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise InvalidInput(ErrorCode.REASON_REQUIRED, "Say why, in 1 to 500 characters.", path=("input", "reason"))
    if not transaction_ids:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one transaction id.", path=PATH)
    at_most(transaction_ids, search.MAX_IDS, path=PATH)
    wanted = distinct([text_of(item, path=PATH, longest=search.MAX_ID) for item in transaction_ids], path=PATH)
    keys = {service.event_id(item): item for item in wanted}
    owners = await search.owners_of(
        session, {item.event.reference for item in await service.EVENTS.find(session, list(keys))}
    )
    await lock_family(session, *sorted(set(owners.values())))
    # What somebody else took back meanwhile is gone by now.
    found = await service.EVENTS.find(session, list(keys))
    before = {item.found.id for item in await service.EVENTS.voided(session, list(keys))}
    for key, name in keys.items():
        if key not in before and all(item.id != key for item in found):
            raise NotFound("Event", name, path=(*PATH, str(wanted.index(name))))
    for item in sorted(found, key=lambda item: wanted.index(item.transaction_id)):
        reversal = await reversals.reversal_of(session, item.id)
        if reversal is not None:
            raise Conflict(
                ErrorCode.ALREADY_REVERSED,
                f"Event {item.transaction_id[:80]!r} was reversed; its worth comes back when its invoice is made again.",
                path=(*PATH, str(wanted.index(item.transaction_id))), conflicting=reversal,
            )  # fmt: skip
        owner, at = owners.get(item.event.reference), item.event.timestamp
        final = [] if owner is None else await event_standing.final_statements(session, [owner], since=at, until=at)
        if final:
            raise InvalidState(
                ErrorCode.ALREADY_FINALIZED,
                f"Event {item.transaction_id[:80]!r} lies in the period of {to_text('invoice', final[0].id)}, which is final. "
                "Grant a credit, or send what negates it, void that invoice and make it again.",
                path=(*PATH, str(wanted.index(item.transaction_id))), conflicting=final[0],
            )  # fmt: skip
    gone = await voiding.void_events(session, [item.id for item in found], actor=actor, reason=reason, now=now)
    note_change(session, "usage", after={"voided": sorted(item.transaction_id for item in gone), "reason": reason})
    return VoidedUsage(len(gone), len(before))
