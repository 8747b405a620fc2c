"""Hierarchies of contracts: what a child and its parent agree on, and which statements go out together.

Owns the words and the one rule of time (semantics 4.10). A hierarchy has one level; which contracts are in it is stored
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.period import SINCE_EVER, Period

MAX_CHILDREN = 10
"""Children of one parent that run at a time."""


class Payer(StrEnum):
    """Who pays for the invoices of a child."""

    SELF = "SELF"
    PARENT = "PARENT"


class UsageStatements(StrEnum):
    """How the usage statements of a child go out: with those of its parent, or by themselves."""

    CONSOLIDATE = "CONSOLIDATE"
    SEPARATE = "SEPARATE"


class Consolidation(StrEnum):
    """Whether a parent puts statements together: one after the other, or not at all."""

    CONCATENATE = "CONCATENATE"
    NONE = "NONE"


class ChildAccess(StrEnum):
    """Which children of its contract may draw on a balance."""

    ALL = "ALL"
    NONE = "NONE"
    CONTRACT_IDS = "CONTRACT_IDS"


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who may draw on a balance beside its own contract; `contract_ids` are the children of CONTRACT_IDS."""

    access: ChildAccess = ChildAccess.NONE
    contract_ids: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class AccessChange:
    """From an instant on, other children may draw on a balance."""

    starting_at: datetime
    sharing: Sharing


def sharing_at(first: Sharing, changes: Iterable[AccessChange], at: datetime) -> Sharing:
    """Who may draw at an instant; of two changes with one start the later in the list holds."""
    in_order = sorted(changes, key=lambda change: change.starting_at)
    begun = [change.sharing for change in in_order if change.starting_at <= at]
    return begun[-1] if begun else first


def contracts_reached(first: Sharing, changes: Iterable[AccessChange] = ()) -> int:
    """How many contracts a balance of a contract may pay for, itself among them: what the order of drawing compares.

    ALL counts as many children as there may be, so that no new child moves a balance in that order; over time the most
    counts, so that its place does not change within a statement.
    """
    return 1 + max(_children(sharing) for sharing in (first, *(change.sharing for change in changes)))


def drawing_periods(first: Sharing, changes: Iterable[AccessChange], child_id: UUID) -> tuple[Period, ...] | None:
    """When a child may draw, in order of time, periods that meet put together; None: always."""
    by_start = {SINCE_EVER: first} | {change.starting_at: change.sharing for change in changes}
    starts = sorted(by_start)
    found: list[Period] = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        if not _includes(by_start[start], child_id):
            continue
        if found and found[-1].ending_before == start:
            start = found.pop().starting_at
        found.append(Period(start, end))
    return None if found == [Period(SINCE_EVER)] else tuple(found)


def _children(sharing: Sharing) -> int:
    counts = {ChildAccess.ALL: MAX_CHILDREN, ChildAccess.NONE: 0, ChildAccess.CONTRACT_IDS: len(sharing.contract_ids)}
    return counts[sharing.access]


def _includes(sharing: Sharing, child_id: UUID) -> bool:
    return sharing.access is ChildAccess.ALL or child_id in sharing.contract_ids


def go_together(child: Period, parent: Period, *, child_issued: datetime, parent_issued: datetime) -> bool:
    """Whether a child's statement goes out with one of its parent: it lies inside its period, issued the same day (UTC)."""
    assert child.ending_before is not None, "a statement has an end"
    assert parent.ending_before is not None, "a statement has an end"
    is_inside = parent.starting_at <= child.starting_at and child.ending_before <= parent.ending_before
    return is_inside and child_issued.date() == parent_issued.date()
