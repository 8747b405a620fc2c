"""What outcome metrics know of the time before a statement.

Owns the value that says where to look. A final statement keeps what it leaves behind (open sessions, cases as they stood),
so nothing that comes late for it is seen by later ones, and a reading never goes back further than to the last of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from app.core.metering import Carried
from app.core.outcomes import OutcomeKey
from app.core.terms import Group


@dataclass(frozen=True, slots=True)
class Before:
    """The statements of a contract that are final and begin before another; the contract begins at `starting_at`.

    Those of contracts that it follows (`followed_ids`) are among them.
    """

    contract_id: UUID
    starting_at: datetime
    invoice_ids: Sequence[UUID] = ()
    followed_ids: Sequence[UUID] = ()


BeforeReader = Callable[[], Awaitable[Before]]
"""Finds them; called only when an outcome is measured."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """The statement that becomes final, in whose name what it leaves behind is kept."""

    invoice_id: UUID
    contract_id: UUID


class OutcomeReading(Protocol):
    """One reading of an outcome metric: what it counts in a period, split by some properties."""

    async def hours(self) -> Mapping[Group, Mapping[datetime, Decimal]]:
        """What each hour adds, by group; below zero where cases were taken back."""
        ...

    async def keep(self, keeper: Keeper) -> Mapping[Group, Mapping[datetime, Decimal]]:
        """Keep what the statement leaves behind, and tell its hours, as of one and the same instant."""
        ...

    async def carried(self, also: Collection[tuple[Group, OutcomeKey]] = ()) -> Mapping[Group, Carried]:
        """What stands for everything before the period, for the participants and cases of its events and for `also`."""
        ...
