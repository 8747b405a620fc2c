"""Which invoice carries a fee or charge: a usage statement that fits its date, or a scheduled invoice of its own.

Owns the rules of semantics 4.2, 4.4 and 4.6 about it. What falls due is left to `items`; a final invoice takes nothing
more, so what comes late has an invoice of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.core.items import DueItem, Joins
from app.core.period import Period


class ScheduledDate(NamedTuple):
    """What a scheduled invoice is for: all that is due of a contract at one instant in one unit.

    `ordinal` counts from 0; a later one carries what came when the earlier was final. With `purchase_of` it bills
    what is paid for that commit, and nothing else.
    """

    at: datetime
    unit: str
    ordinal: int = 0
    purchase_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """The items of open invoices: those on usage statements, by their start, and those that stand alone."""

    on_statements: dict[datetime, list[DueItem]] = field(default_factory=dict)
    alone: dict[ScheduledDate, list[DueItem]] = field(default_factory=dict)


def place(
    items: Sequence[DueItem],
    *,
    unit: str,
    statements: Sequence[Period],
    final: Collection[datetime],
    waiting: Collection[datetime],
    scheduled: Mapping[tuple[datetime, str], int],
    now: datetime,
) -> Placed:
    """Put each item on an open invoice; one that has none yet is left out.

    `statements` are those that began by now, `unit` is theirs; `final` names the starts of those that are final,
    `waiting` of those that are void and not made again: what belongs there comes back with them (golden decision 43).
    `scheduled` counts the final scheduled invoices by instant and unit.
    """
    placed = Placed()
    for item in items:
        statement = _statement_of(item, statements) if item.line.unit == unit else None
        if statement is not None and statement.starting_at in waiting:
            continue
        if statement is not None and statement.starting_at not in final:
            placed.on_statements.setdefault(statement.starting_at, []).append(item)
        elif item.at <= now:
            date = ScheduledDate(item.at, item.line.unit, scheduled.get((item.at, item.line.unit), 0))
            if item.joins is Joins.ALONE:
                date = ScheduledDate(item.at, item.line.unit, purchase_of=item.line.grant_id)
            placed.alone.setdefault(date, []).append(item)
    return placed


def _statement_of(item: DueItem, statements: Sequence[Period]) -> Period | None:
    """The statement that ends on the day of an advance fee or consolidated charge (golden decision 35).

    A fee in arrears joins the statement in which its period ends, or which ends with it.
    """
    for statement in statements:
        end = statement.ending_before
        assert end is not None, "a statement has an end"
        if item.joins is Joins.ENDING_THAT_DAY and end.date() == item.at.date():
            return statement
        if item.joins is Joins.AROUND and statement.starting_at < item.at <= end:
            return statement
    return None
