"""Objects with an id: the `Node` interface, the registry behind `node(id:)`, and the batching loaders.

Owns which kind of id is loaded how and by whose permission. Slices register their types with `@node_type`; ids are
made and taken apart by `app.store.ids`. A row is returned as it is; the decorated class only says how it is shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import strawberry
from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState

from app.actor import Actor
from app.errors import BillingError
from app.graphql.errors import forbidden
from app.store import ids

if TYPE_CHECKING:
    from app.graphql.context import Context

T = TypeVar("T", bound=type)
Batch = Callable[["Context", Sequence[Any]], Awaitable[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class NodeKind:
    """One kind of object: what its rows are, which scope shows it, and how many are loaded at once."""

    kind: str
    sources: tuple[type, ...]
    scope: str
    shown_as: type
    when: Callable[[Any], bool] | None = None

    def holds(self, value: object) -> bool:
        """Whether a row or core value is of this kind."""
        return isinstance(value, self.sources) and (self.when is None or self.when(value))


KINDS: dict[str, NodeKind] = {}
LOADERS: dict[str, Batch] = {}
"""Name -> batch function `(context, keys) -> values in the order of the keys`; slices add theirs when imported."""


@strawberry.interface(description="An object with an id that is unique over all kinds.")
class Node:
    @strawberry.field(description="Id with a readable prefix; opaque, sortable by creation, usable in node(id:).")
    def id(self) -> strawberry.ID:
        # `self` is the row or core value that a resolver returned.
        return strawberry.ID(node_id(self))


def node_type(
    kind: str,
    *,
    of: type | tuple[type, ...],
    scope: str,
    description: str,
    load: Batch | None = None,
    when: Callable[[Any], bool] | None = None,
) -> Callable[[T], T]:
    """Make a class that derives from `Node` the GraphQL type of the rows `of`, found by `node(id:)`.

    `kind` is a key of `ids.PREFIXES`; `scope` shows it. Without `load`, rows of the first class are found by id. `when`
    tells kinds apart that share a table.
    """
    sources = of if isinstance(of, tuple) else (of,)
    assert kind in ids.PREFIXES, f"{kind} has no prefix"

    def decorate(cls: T) -> T:
        # Resolvers return rows, so the executor must not ask for an instance of the GraphQL class.
        cls.is_type_of = staticmethod(lambda value, _info: KINDS[kind].holds(value))  # type: ignore[attr-defined]
        shown_as = strawberry.type(cls, description=description)
        KINDS[kind] = NodeKind(kind, sources, scope, shown_as, when)
        LOADERS[kind] = load or rows_by_id(sources[0])
        return shown_as

    return decorate


def rows_by_id(row_class: Any) -> Batch:
    """A loader of rows by primary key, one statement for all keys of a step."""

    async def load(context: Context, keys: Sequence[UUID]) -> Sequence[Any]:
        found = await context.session.execute(select(row_class).where(row_class.id.in_(keys)))
        rows = {row.id: row for row in found.scalars()}
        return [rows.get(key) for key in keys]

    return load


def rows_by(row_class: Any, name: str, *, where: Any = None) -> Batch:
    """A loader of lists: the rows whose column of that name has the key, by id; one statement for all keys of a step."""

    async def load(context: Context, keys: Sequence[UUID]) -> Sequence[Any]:
        statement = select(row_class).where(getattr(row_class, name).in_(keys)).order_by(row_class.id)
        if where is not None:
            statement = statement.where(where)
        rows: dict[UUID, list[Any]] = {key: [] for key in keys}
        for row in (await context.session.execute(statement)).scalars():
            rows[getattr(row, name)].append(row)
        return [rows[key] for key in keys]

    return load


def node_id(value: Any) -> str:
    """The public id of a row or core value of a registered kind."""
    return ids.to_text(kind_of(value).kind, value.id)


def kind_of(value: object) -> NodeKind:
    """The kind whose rows include this value."""
    return next(kind for kind in KINDS.values() if kind.holds(value))


def as_node(value: object, actor: Actor) -> object | None:
    """The value when the API shows its kind and this caller may see it, else None: errors may name any row."""
    kind = next((kind for kind in KINDS.values() if kind.holds(value)), None)
    return value if kind is not None and actor.may(kind.scope) and visible(actor, value) else None


def visible(actor: Actor, row: Any) -> bool:
    """A customer's own token sees that customer and what belongs to it, and nothing that has no customer."""
    if actor.customer_id is None:
        return True
    return actor.customer_id in (getattr(row, "customer_id", None), row.id if kind_of(row).kind == "customer" else None)


async def readable(session: AsyncSession, refused: BillingError) -> None:
    """Make the rows that an error names readable after its savepoint was rolled back.

    Those that the refused call had changed are read again, as they are now; what it had made itself is named no more.
    """
    for error in refused.each():
        state = inspect(error.conflicting, raiseerr=False)
        if not isinstance(state, InstanceState):
            continue
        if state.transient:
            error.conflicting = None
        elif state.persistent and state.expired:
            await session.refresh(error.conflicting)


async def load_node(context: Context, text: str) -> Any | None:
    """The object of an id; None for one that does not exist, is not an id, or belongs to somebody else.

    The three are answered alike, so that an answer never tells whether a foreign id exists.
    """
    found = ids.parse(text)
    if found is None or found[0] not in KINDS:
        return None
    kind = KINDS[found[0]]
    if not context.actor.may(kind.scope):
        raise forbidden(kind.scope)
    row = await context.load(kind.kind, found[1])
    return row if row is not None and kind.holds(row) and visible(context.actor, row) else None
