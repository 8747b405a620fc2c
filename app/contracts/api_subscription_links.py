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
from app.store import ids

Coming: TypeAlias = Mapping[str, UUID]
"""Subscriptions of the same request by temporary id."""


@strawberry.input(description="Multiplies amounts by the quantity of a subscription where each period begins.")
class SubscriptionLinkInput:
    temporary_id: str = strawberry.field(
        description="The temporaryId of a subscription of the same request, or the id of one that the contract has."
    )
    allocation: BalanceAllocation = strawberry.field(description="Whose the balances are.")  # type: ignore[valid-type]
    prorate_increases: bool = strawberry.field(
        default=True, description="Whether an increase within a period brings its share of the time; else the whole."
    )


def link_of(found: SubscriptionLinkInput | None, coming: Coming, *, path: Path) -> SubscriptionLink | None:
    """The link as the service takes it; `coming` are subscriptions of the same request by temporary id."""
    if found is None:
        return None
    subscription_id = subscription_of(found.temporary_id, coming, path=(*path, "temporaryId"))
    return SubscriptionLink(subscription_id, found.allocation, found.prorate_increases)


def subscription_of(name: str, coming: Coming, *, path: Path) -> UUID:
    """The subscription that is meant by its temporary id, or by its id. Errors: `NotFound` for anything else."""
    if name in coming:
        return coming[name]
    parsed = ids.parse(name)
    if parsed is None or parsed[0] != "subscription":
        raise NotFound("Subscription", name[:60], path=path)
    return parsed[1]
