"""What a person says about a metering slot whose answer was lost.

Owns the one decision that nothing in the books can take: whether the marketplace counted it. Without it the amount would
stay neither billed nor owed for ever.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import text_of
from app.delivery.actions import MAX_REASON
from app.delivery.settlement import settle
from app.delivery.states import RESOLVED, SlotStatus
from app.delivery.tables import MeteringSlot
from app.errors import ErrorCode, InvalidState, NotFound
from app.store.ids import to_text
from app.store.locks import lock_customer


async def resolve_slot(
    session: AsyncSession, slot_id: UUID, *, was_counted: bool, reason: str, now: datetime
) -> MeteringSlot:
    """Say what became of a slot whose answer was lost: counted in full, or not at all, so that it is owed again.

    Errors: `NotFound`, REQUIRED, ILLEGAL_TRANSITION for a slot that does not wait for a person.
    """
    reason = text_of(reason.strip(), path=("reason",), longest=MAX_REASON)
    slot = await session.get(MeteringSlot, slot_id)
    if slot is None:
        raise NotFound("Metering slot", to_text("metering_slot", slot_id), path=("id",))
    await lock_customer(session, slot.customer_id)
    await session.refresh(slot, with_for_update=True)
    if slot.status != SlotStatus.NEEDS_ATTENTION:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION, f"The slot is {slot.status}; only NEEDS_ATTENTION is resolved by hand.",
            path=("id",), conflicting=slot,
        )  # fmt: skip
    slot.status = SlotStatus.ACCEPTED if was_counted else SlotStatus.REFUSED
    slot.error_code, slot.error_message, slot.error_hint, slot.updated_at = RESOLVED, reason, None, now
    await session.flush()
    await settle(session, slot.billing_configuration_id, now=now)
    note_change(
        session, "metering_slot", slot.id,
        before={"status": SlotStatus.NEEDS_ATTENTION}, after={"status": slot.status, "reason": reason},
    )  # fmt: skip
    return slot
