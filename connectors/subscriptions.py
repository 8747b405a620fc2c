"""What a marketplace tells about its buyers: who arrived, what they subscribed to, and when it ends.

Owns the neutral view of a subscription (an agreement, a license) and the part of a connector that speaks of them; a
connector whose provider has no subscriptions leaves it out. Leaves what is stored, and what follows from it, to
`app/delivery`. A notice is a hint: a marketplace that can be asked is asked before anything follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable


class SubscriptionState(StrEnum):
    """Where a buyer's subscription stands. Only ACTIVE is metered; ENDED is metered until its last call is over."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """A subscription as the marketplace shows it. `reference` is its own id for it, unique in the connection.

    `settings` are those of the customer's side of a billing configuration; empty when the notice named only
    `agreement`, by which an earlier view is found. `as_of` orders views where the marketplace cannot be asked; None
    where it was. `waits_for_answer`: the operation that the notice told of is confirmed with `answer`.
    """

    reference: str
    state: SubscriptionState
    provider_status: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    agreement: str = ""
    offer: str = ""
    plan: str = ""
    quantity: str = ""
    buyer: Mapping[str, str] = field(default_factory=dict[str, str])
    ended_at: datetime | None = None
    as_of: datetime | None = None
    waits_for_answer: bool = False


@runtime_checkable
class Marketplace(Protocol):
    """The part of a connector whose provider has subscriptions. Failures are `Transient` and `Terminal`.

    `last_call` is for how long usage is still taken after the end; `takes_hours_after_end` whether such usage may
    stand for hours after the end, or only for those before.
    """

    last_call: timedelta
    takes_hours_after_end: bool

    async def resolve(self, token: str) -> SubscriptionView:
        """Redeem the token with which a buyer arrived. Terminal INVALID_TOKEN when it is not one, or is used up."""
        ...

    async def look(self, payload: Mapping[str, Any]) -> SubscriptionView | None:
        """What a notice is about, read back where the marketplace can be asked; None when it concerns no subscription."""
        ...

    async def refresh(self, reference: str, settings: Mapping[str, str]) -> SubscriptionView | None:
        """The subscription as it stands now; None when the marketplace cannot be asked, or does not know it."""
        ...

    @staticmethod
    def reference_of(settings: Mapping[str, str]) -> str:
        """The subscription that the settings of a billing configuration name."""
        ...

    async def answer(self, payload: Mapping[str, Any]) -> None:
        """Confirm the operation that a notice told of. Repeating it is harmless."""
        ...

    async def activate(self, view: SubscriptionView) -> SubscriptionView:
        """Begin billing of a PENDING subscription and give it as it stands then. Repeating it is harmless."""
        ...
