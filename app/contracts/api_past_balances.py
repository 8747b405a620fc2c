"""Commits and credits as of an instant of the past, in GraphQL.

Owns their types. What was left of a balance is the ledger's to say; this says only what was agreed.
"""

from __future__ import annotations

import strawberry

from app.contracts.api_recurring import RecurringBalanceTerms
from app.grants.api_terms import BalanceTerms
from app.grants.shown import KINDS
from app.grants.tables import GrantRow, RecurringGrantRow, SegmentRow
from app.graphql.values import Interval, Money
from app.store.ids import to_text


@strawberry.type(description="A recurring commit or credit as it was known at an instant.")
class PastRecurringBalance:
    row: strawberry.Private[RecurringGrantRow]

    @strawberry.field(description="Its id, that of the recurring balance of today.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(to_text("recurring_grant", self.row.id))

    @strawberry.field(description="What was agreed of it.")
    def terms(self) -> RecurringBalanceTerms:
        return self.row  # type: ignore[return-value]


@strawberry.type(description="A stretch of time in which an amount could be used.")
class PastSegment:
    number: int = strawberry.field(description="Its number, from 0.")
    interval: Interval = strawberry.field(description="From when to when.")
    amount: Money = strawberry.field(description="What it began with.")


@strawberry.type(description="A commit or credit as it was known at an instant; what was left of it is no term.")
class PastBalance:
    row: strawberry.Private[GrantRow]
    stored: strawberry.Private[list[SegmentRow]]

    @strawberry.field(description="Its id, that of the balance of today.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(to_text(KINDS[self.row.type], self.row.id))

    @strawberry.field(description="What was agreed of it.")
    def terms(self) -> BalanceTerms:
        return self.row  # type: ignore[return-value]

    @strawberry.field(description="Its segments, by number.")
    def segments(self) -> list[PastSegment]:
        return [
            PastSegment(
                number=item.number,
                interval=Interval(starting_at=item.starting_at, ending_before=item.ending_before),
                amount=Money.of(item.amount, self.row.unit),
            )
            for item in sorted(self.stored, key=lambda item: item.number)
        ]
