"""Who acts: the caller of a request, a job or a command, with the scopes it holds.

Owns the value only. Keys and tokens are looked up by the access slice; every door attaches an `Actor` and everything
below reads it for scopes and for the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Actor:
    """One caller. `kind` is `key`, `embed`, `command`, `job` or `system`; `scopes` are those of decision 29."""

    kind: str
    name: str
    scopes: frozenset[str] = frozenset()
    key_id: UUID | None = None
    customer_id: UUID | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None

    def may(self, scope: str) -> bool:
        """`admin` holds every scope; `<slice>:write` does not imply `<slice>:read`, so that keys can be narrow."""
        return scope in self.scopes or "admin" in self.scopes


def system(name: str, *, kind: str = "system") -> Actor:
    """The actor of work that nobody asked for by hand: schedules, jobs, commands on the machine itself."""
    return Actor(kind=kind, name=name, scopes=frozenset({"admin"}))
