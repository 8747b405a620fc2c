"""What callers send to let recurring balances follow a subscription.

Owns the GraphQL input and its way to the service; the rules are in `seat_links.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias
from uuid import UUID

import strawberry

from app.checks import Path
from app.contracts.api_recurring import BalanceAllocation
from app.contracts.new_recurring import SubscriptionLink
from app.errors import NotFound

Coming: TypeAlias = Mapping[str, UUID]
"""Subscriptions of the same request by temporary id."""


@strawberry.input(description="Multiplies amounts by the quantity of a subscription where each period begins.")
class SubscriptionLinkInput:
    temporary_id: str = strawberry.field(description="The temporaryId of a subscription of the same request.")
    allocation: BalanceAllocation = strawberry.field(description="Whose the balances are.")  # type: ignore[valid-type]
    prorate_increases: bool = strawberry.field(
        default=True, description="Whether an increase within a period brings its share of the time; else the whole."
    )


def link_of(found: SubscriptionLinkInput | None, coming: Coming, *, path: Path) -> SubscriptionLink | None:
    """The link as the service takes it; `coming` are subscriptions of the same request by temporary id."""
    if found is None:
        return None
    if found.temporary_id not in coming:
        raise NotFound("Subscription", found.temporary_id[:60], path=(*path, "temporaryId"))
    return SubscriptionLink(coming[found.temporary_id], found.allocation, found.prorate_increases)
