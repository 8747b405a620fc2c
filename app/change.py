"""What a service tells the audit log about the change it makes.

Owns the `Change` value and its place on the session. A service calls `note_change` once, in the transaction of the
change; the door that runs the mutation reads it when it writes the audit entry, so services know nothing of doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

_KEY = "metrograph.change"


@dataclass(frozen=True, slots=True)
class Change:
    """The object of a mutation, and what it looked like before and after, as plain JSON values."""

    kind: str
    identifier: UUID | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def note_change(
    session: AsyncSession,
    kind: str,
    identifier: UUID | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Tell what this mutation changes; a later call within the same mutation replaces an earlier one."""
    session.info[_KEY] = Change(kind, identifier, before, after)


def take_change(session: AsyncSession) -> Change | None:
    """The noted change, if any; it is forgotten by this call, so that it can never reach a second entry."""
    return session.info.pop(_KEY, None)
