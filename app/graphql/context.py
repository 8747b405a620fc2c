"""What one operation knows: its session, its caller, its instant, its request id, its loaders.

Owns the transaction of an operation: opened by the first statement, committed when the operation is done, rolled back
whole when a mutation leaves a top-level error, so that an answer without data never hides a change. Audit entries of a
rolled-back operation are written again in a transaction of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader

from app.actor import Actor
from app.change import Change
from app.graphql.nodes import LOADERS
from app.providers import NoProviders, ProviderDirectory
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one mutation ended, as the audit log will tell it. `code` is null when it was carried out."""

    action: str
    code: str | None
    change: Change | None = None


Authenticate: TypeAlias = Callable[[AsyncSession, datetime], Awaitable[Actor]]
AuditWriter: TypeAlias = Callable[[AsyncSession, Actor, datetime, Outcome], Awaitable[None]]


@dataclass(slots=True)
class Context:
    """One operation. Made by the HTTP or WebSocket door or by a command, one for each operation."""

    session: AsyncSession
    actor: Actor
    now: datetime
    request_id: str
    write_audit: AuditWriter
    settings: Settings = field(default_factory=Settings)
    providers: ProviderDirectory = field(default_factory=NoProviders)
    outcomes: list[Outcome] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    """Secrets that the answer shows once; a stored answer must not hold them."""
    loaders: dict[str, DataLoader[Any, Any]] = field(default_factory=dict)

    async def load(self, name: str, key: Any) -> Any:
        """One value from a registered loader; calls of one step are answered together."""
        return await self._loader(name).load(key)

    async def load_many(self, name: str, keys: Sequence[Any]) -> list[Any]:
        """Values from a registered loader, in the order of the keys."""
        return await self._loader(name).load_many(list(keys))

    def forget_loaded(self) -> None:
        """Drop what loaders remember; called after each mutation, which may have changed it."""
        self.loaders.clear()

    async def record(self, outcome: Outcome) -> None:
        """Write the audit entry of a mutation in the operation's transaction, and remember it for a rollback."""
        self.outcomes.append(outcome)
        await self.write_audit(self.session, self.actor, self.now, outcome)

    def _loader(self, name: str) -> DataLoader[Any, Any]:
        if name not in self.loaders:
            batch = LOADERS[name]

            async def load(keys: list[Any]) -> Sequence[Any]:
                return await batch(self, keys)

            self.loaders[name] = DataLoader(load_fn=load)
        return self.loaders[name]


Info: TypeAlias = strawberry.Info[Context, None]
