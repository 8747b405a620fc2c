"""Metering slots that are about to be lost, told while something can still be done.

Owns the rule for the database; `states.alarm_of` is the same rule for one slot. Until endpoints for notices exist, the log
tells it, every five minutes, and `unprovenMeteringSlots` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, or_, select

from app.delivery.states import SlotStatus
from app.delivery.tables import MeteringSlot

UNPROVEN = (SlotStatus.PENDING, SlotStatus.SENDING, SlotStatus.NEEDS_ATTENTION)
_HALF_GONE = "metering_slots.deadline - (metering_slots.deadline - metering_slots.created_at) / 2 <= :now"


@dataclass(frozen=True, slots=True)
class Closing:
    """What is about to be lost at one connection: how many slots, and when the first of them is."""

    connection: str
    slots: int
    first_deadline: datetime


def is_alarmed(now: datetime) -> ColumnElement[bool]:
    """The condition on slots that are not proven counted: a person must look, or half of their time has gone."""
    return or_(col(MeteringSlot.status) == SlotStatus.NEEDS_ATTENTION, text(_HALF_GONE).bindparams(now=now))


async def closing(session: AsyncSession, *, now: datetime) -> list[Closing]:
    """The slots whose time runs out without an answer, by connection."""
    found = await session.execute(
        select(MeteringSlot.connection, func.count(col(MeteringSlot.id)), func.min(MeteringSlot.deadline))
        .where(col(MeteringSlot.status).in_((SlotStatus.PENDING, SlotStatus.SENDING)), is_alarmed(now))
        .group_by(MeteringSlot.connection)
        .order_by(MeteringSlot.connection)
    )
    return [Closing(name, slots, deadline) for name, slots, deadline in found if deadline is not None]
