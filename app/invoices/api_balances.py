"""What balances are worth, for the API: every customer's book is opened once for an answer.

Owns that loader. The types are the grants slice's; only here are the drafts that draw on a balance known.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from app.grants.api_types import State
from app.grants.entries import in_full
from app.grants.tables import GrantRow
from app.graphql.context import Context
from app.graphql.nodes import LOADERS
from app.invoices.balances import Books


async def _states(context: Context, keys: Sequence[UUID]) -> Sequence[State]:
    return await _read(context, keys, with_drafts=True)


async def _final_states(context: Context, keys: Sequence[UUID]) -> Sequence[State]:
    return await _read(context, keys, with_drafts=False)


async def _read(context: Context, keys: Sequence[UUID], *, with_drafts: bool) -> list[State]:
    rows = await context.session.execute(select(GrantRow.customer_id).where(col(GrantRow.id).in_(keys)).distinct())
    books = Books(context.session, now=context.now)
    found: dict[UUID, State] = {}
    for customer_id in sorted(rows.scalars()):
        book = await books.of(customer_id)
        moved = await book.movements(with_drafts=with_drafts)
        found |= {item.row.id: State(item.grant, moved[item.row.id]) for item in book.grants}
    return [found[key] for key in keys]


async def _entries(context: Context, keys: Sequence[UUID]) -> Sequence[State]:
    """The same books, entry by entry; the drafts are those of the sums, which are rated once."""
    states: list[State] = await context.load_many("balance.state", list(keys))
    moved = {state.grant.id: state.movements for state in states}
    full = await in_full(context.session, [state.grant for state in states], moved)
    return [State(state.grant, full[state.grant.id]) for state in states]


LOADERS["balance.state"] = _states
LOADERS["balance.entries"] = _entries
LOADERS["balance.final_state"] = _final_states
