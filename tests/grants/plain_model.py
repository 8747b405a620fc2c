"""A customer's balances as an accountant would keep them on paper: every statement in turn, hour by hour.

Prices are one dollar a unit and usage is never negative, so amounts are quantities and the order inside an hour plays no
role. Nothing of the product's core is used here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

GRACE = timedelta(hours=24)
ZERO = Decimal(0)


@dataclass(frozen=True)
class PlainSegment:
    """One pot: of which grant, what it began with, and when it may be used."""

    grant: int
    number: int
    amount: Decimal
    starting_at: datetime
    ending_before: datetime


@dataclass
class PlainGrant:
    """`contract` None serves all. Grants are numbered as they were made."""

    number: int
    priority: int
    contract: int | None
    segments: list[PlainSegment]
    is_archived: bool = False


@dataclass(frozen=True)
class Month:
    """One statement of one contract."""

    contract: int
    starting_at: datetime

    @property
    def ending_before(self) -> datetime:
        """The first of the next month."""
        return (self.starting_at + timedelta(days=32)).replace(day=1)

    @property
    def due_at(self) -> datetime:
        """When the grace period is over."""
        return self.ending_before + GRACE


Draws = dict[PlainSegment, Decimal]


@dataclass
class FinalMonth:
    """A final invoice: what it asks for and what it took; void ones have given it back."""

    month: Month
    total: Decimal
    draws: Draws
    is_void: bool = False
    was_made_again: bool = False


@dataclass
class PlainBooks:
    """Everything that happened, and what follows from it."""

    first_month: datetime
    contracts: int = 0
    grants: list[PlainGrant] = field(default_factory=list)
    used: dict[datetime, Decimal] = field(default_factory=dict)
    entries: dict[PlainSegment, Decimal] = field(default_factory=dict)
    finals: list[FinalMonth] = field(default_factory=list)

    def segments(self) -> list[PlainSegment]:
        """All pots that were not archived, in the order in which they are drawn where several may pay."""
        live = [grant for grant in self.grants if not grant.is_archived]
        found = [(self._rank(grant, segment), segment) for grant in live for segment in grant.segments]
        return [segment for _, segment in sorted(found, key=lambda item: item[0])]

    def stored(self) -> Draws:
        """What is left of each pot after entries by hand and what final invoices took."""
        left = {segment: segment.amount + self.entries.get(segment, ZERO) for segment in self.segments()}
        for final in self.finals:
            # What is archived was drawn by no invoice that counts.
            if not final.is_void:
                for segment, amount in final.draws.items():
                    left[segment] -= amount
        return left

    def is_drawn(self, grant: int) -> bool:
        """Whether an invoice that counts took something of it."""
        counting = (final for final in self.finals if not final.is_void)
        return any(segment.grant == grant for final in counting for segment in final.draws)

    def open_months(self, now: datetime) -> list[Month]:
        """Statements that began and are not final, in the order in which they become so."""
        taken = {final.month for final in self.finals}
        found: list[Month] = []
        for contract in range(self.contracts):
            month = Month(contract, self.first_month)
            while month.starting_at <= now:
                if month not in taken:
                    found.append(month)
                month = Month(contract, month.ending_before)
        return sorted(found, key=lambda month: (month.due_at, month.contract))

    def rated(self, now: datetime) -> tuple[dict[Month, FinalMonth], Draws]:
        """What every open statement would say, each from what the last one left; and what is left in the end."""
        left = self.stored()
        found: dict[Month, FinalMonth] = {}
        for month in self.open_months(now):
            found[month] = self.rate(month, left)
            for segment, amount in found[month].draws.items():
                left[segment] -= amount
        return found, left

    def rate(self, month: Month, left: Draws) -> FinalMonth:
        """One statement from what is left; nothing is taken away here."""
        left, draws, total = dict(left), dict[PlainSegment, Decimal](), ZERO
        for hour in sorted(self._hours(month)):
            due = self.used[hour]
            for segment in self._paying(month.contract, hour):
                part = max(ZERO, min(due, left[segment]))
                if part:
                    left[segment] -= part
                    draws[segment] = draws.get(segment, ZERO) + part
                    due -= part
            total += due
        return FinalMonth(month, total, draws)

    def finalize(self, now: datetime) -> list[FinalMonth]:
        """Make final what is due."""
        found, _ = self.rated(now)
        made = [final for month, final in found.items() if month.due_at <= now]
        self.finals += made
        return made

    def make_again(self, final: FinalMonth) -> FinalMonth:
        """A void month anew, from what is stored; drafts give way."""
        final.was_made_again = True
        made = self.rate(final.month, self.stored())
        self.finals.append(made)
        return made

    def _hours(self, month: Month) -> Iterable[datetime]:
        return (hour for hour in self.used if month.starting_at <= hour < month.ending_before)

    def _paying(self, contract: int, hour: datetime) -> Iterable[PlainSegment]:
        for segment in self.segments():
            of = self.grants[segment.grant].contract
            if of in (None, contract) and segment.starting_at <= hour < segment.ending_before:
                yield segment

    @staticmethod
    def _rank(grant: PlainGrant, segment: PlainSegment) -> tuple[object, ...]:
        is_everybodys = grant.contract is None
        return grant.priority, segment.ending_before, segment.starting_at, is_everybodys, grant.number, segment.number
