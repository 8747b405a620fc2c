"""How commits and credits are shown.

Owns their GraphQL types. What one is worth includes the draws of drafts, so it is worked out by the invoices slice, whose
loader is asked for it: once for each customer, however many balances are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import strawberry

from app.core import grants, ledger
from app.custom_fields.api_types import HasCustomFields
from app.grants.api_kinds import BalanceStatus
from app.grants.api_ledger import LedgerEntry, entry_shown
from app.grants.api_terms import BalanceTerms
from app.grants.tables import GrantRow
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.nodes import Node, node_type
from app.graphql.values import Interval, Money


@dataclass(frozen=True, slots=True)
class State:
    """What the core says of a balance: the grant, and everything that moved, drafts included; summed, or one by one."""

    grant: grants.Grant
    movements: Sequence[ledger.Movement]


@strawberry.type(description="A stretch of time in which an amount may be used.")
class BalanceSegment:
    number: int = strawberry.field(description="Its number, from 0.")
    interval: Interval = strawberry.field(description="From when to when.")
    amount: Money = strawberry.field(description="What it began with.")
    remaining: Money = strawberry.field(
        description="What is left of it, whether it can be used now or not; below zero where entries by hand took more."
    )


@strawberry.interface(description="A commit or credit.")
class Balance(Node, HasCustomFields, BalanceTerms):
    @strawberry.field(description="The balance of an earlier contract that rolled over into it; else null.")
    async def rolled_over_from(self, info: Info, row: strawberry.Parent[GrantRow]) -> Balance | None:
        return None if row.rolled_from_id is None else await info.context.load("commit", row.rolled_from_id)

    @strawberry.field(description="Whether what is missing of it is never billed; for POSTPAID ones.")
    def true_up_disabled(self, row: strawberry.Parent[GrantRow]) -> bool:
        return row.trueup_disabled

    @strawberry.field(description="Where it stands now.")
    async def status(self, info: Info, row: strawberry.Parent[GrantRow]) -> BalanceStatus:  # type: ignore[valid-type]
        return status_of(row, await _state(info, row.id), at=info.context.now)

    @strawberry.field(description="Whether it is active and nothing can be used of it now.")
    async def is_exhausted(self, info: Info, row: strawberry.Parent[GrantRow]) -> bool:
        state, now = await _state(info, row.id), info.context.now
        is_active = status_of(row, state, at=now) is ledger.GrantStatus.ACTIVE
        return is_active and not ledger.balance_at(state.grant, state.movements, at=now)

    @strawberry.field(
        description="What can be used now: what is left of the active segments, each at least zero; drafts have drawn."
    )
    async def balance(self, info: Info, row: strawberry.Parent[GrantRow]) -> Money:
        state = await _state(info, row.id)
        return Money.of(ledger.balance_at(state.grant, state.movements, at=info.context.now), row.unit)

    @strawberry.field(description="Its segments, by number.")
    async def segments(self, info: Info, row: strawberry.Parent[GrantRow]) -> list[BalanceSegment]:
        state = await _state(info, row.id)
        return [
            BalanceSegment(
                number=item.number,
                interval=Interval(starting_at=item.period.starting_at, ending_before=item.period.ending_before),
                amount=Money.of(item.amount, row.unit),
                remaining=Money.of(ledger.remaining(item, state.movements), row.unit),
            )
            for item in state.grant.segments
        ]

    @strawberry.field(description="Its entries by instant, the draws of drafts among them.")
    async def ledger(
        self, info: Info, row: strawberry.Parent[GrantRow], first: First = 50, after: After = None
    ) -> Connection[LedgerEntry]:
        state: State = await info.context.load("balance.entries", row.id)
        entries = ledger.ledger(state.grant, state.movements, now=info.context.now)
        shown = [(str(place), entry_shown(entry, row.unit)) for place, entry in enumerate(entries)]
        places = {id(entry): place for place, entry in shown}
        return list_connection(
            [entry for _, entry in shown], key=lambda entry: places[id(entry)], first=first, after=after
        )


@node_type(
    "commit", of=GrantRow, scope="contracts:read", when=lambda row: row.type != grants.GrantType.CREDIT,
    description="An amount that a customer commits to, paid in advance or counted as it is used.",
)  # fmt: skip
class Commit(Balance):
    pass


@node_type(
    "credit", of=GrantRow, scope="contracts:read", when=lambda row: row.type == grants.GrantType.CREDIT,
    description="An amount that a customer may use and does not pay for.",
)  # fmt: skip
class Credit(Balance):
    pass


def status_of(row: GrantRow, state: State, *, at: datetime) -> ledger.GrantStatus:
    """Where a balance stands at an instant."""
    return ledger.status_at(state.grant, at=at, is_archived=row.archived_at is not None)


async def _state(info: Info, grant_id: UUID) -> State:
    return await info.context.load("balance.state", grant_id)
