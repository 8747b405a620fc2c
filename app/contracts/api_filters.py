"""Usage filters in GraphQL: how they are shown and sent.

Owns their type, their input and the loader; the rules are in `filters.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import strawberry

from app.contracts.filters import NewUsageFilter, filters_of
from app.core import terms
from app.graphql.context import Context
from app.graphql.nodes import LOADERS


@strawberry.type(description="Which of the customer's usage a contract takes, from an hour on.")
class UsageFilter:
    starting_at: datetime = strawberry.field(description="First instant of it.")
    ending_before: datetime | None = strawberry.field(
        description="First instant after it, where the next one begins; null for the last one."
    )
    key: str = strawberry.field(description="The property that decides.")
    values: list[str] = strawberry.field(description="Its values; an event with another one, or without, is not taken.")


@strawberry.input(description="Takes only usage whose property has one of some values, from an hour on.")
class UsageFilterInput:
    key: str = strawberry.field(
        description="The property, 1 to 200 characters. The metrics of all products on the card must offer it in one "
        "group key together with the product's own group keys."
    )
    values: list[str] = strawberry.field(description="Its values, 1 to 200 texts.")
    starting_at: datetime | None = strawberry.field(
        default=None, description="From when on, a full hour inside the contract; default: the contract's start."
    )


def filter_of(found: UsageFilterInput) -> NewUsageFilter:
    """A filter as the service takes it."""
    return NewUsageFilter(found.key, found.values, found.starting_at)


def shown_filters(filters: Sequence[terms.UsageFilter]) -> list[UsageFilter]:
    """Filters as the API shows them: each until the next one begins."""
    return [
        UsageFilter(
            starting_at=item.starting_at,
            ending_before=None if following is None else following.starting_at,
            key=item.key,
            values=list(item.values),
        )
        for item, following in pairwise([*filters, None])
        if item is not None
    ]


async def _load(context: Context, keys: Sequence[UUID]) -> Sequence[list[UsageFilter]]:
    found = await filters_of(context.session, set(keys))
    return [shown_filters(found[key]) for key in keys]


LOADERS["contract.usage_filters"] = _load
