"""Which balances a caller sees on an invoice: a child draws on those of its parent, and its customer is told nothing of them.

Owns that rule, which lines and their explanations share.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.graphql.context import Info
from app.graphql.nodes import visible


async def is_hidden(info: Info, grant_id: UUID) -> bool:
    """Whether a balance is told nothing of: the caller is bound to the customer of a child that draws on it."""
    if info.context.actor.customer_id is None:
        return False
    found = await info.context.load("commit", grant_id)
    return found is not None and not visible(info.context.actor, found)


async def seen_balance(info: Info, grant_id: UUID | None) -> Any:
    """A commit or credit that the caller may see; else None."""
    if grant_id is None or await is_hidden(info, grant_id):
        return None
    return await info.context.load("commit", grant_id)
