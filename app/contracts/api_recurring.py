"""How recurring commits and credits are shown.

Owns their GraphQL type and loader. What they made are balances like any other; their type is the grants slice's.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry
from sqlalchemy import select

from app.core import grants, money, recurring, seat_balances
from app.core.terms import RateTarget
from app.grants import api_sharing, tables
from app.grants.api_kinds import BalanceKind, BalanceRateType
from app.grants.api_scope import AppliesTo, scope_shown
from app.grants.api_types import Balance, HasCustomFields
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.values import Cadence, Interval, Money, described_enum
from app.store.ids import to_text

BalanceProration = described_enum(
    recurring.GrantProration,
    name="BalanceProration",
    description="Which parts of a period bring and cost only their share of the time.",
    sentences={
        recurring.GrantProration.NONE: "None; each brings the whole amount.",
        recurring.GrantProration.FIRST: "A first period that begins late.",
        recurring.GrantProration.LAST: "A last period that ends early.",
        recurring.GrantProration.FIRST_AND_LAST: "Both.",
    },
)
BalanceAllocation = described_enum(
    seat_balances.Allocation,
    name="BalanceAllocation",
    description="Whose the balances are that follow a subscription.",
    sentences={
        seat_balances.Allocation.POOLED: "One balance for all; an increase within a period is an entry in its ledger.",
        seat_balances.Allocation.INDIVIDUAL: "One for each seat that somebody has, for usage that is presented by it.",
    },
)
CHILDREN = tables.GrantRow.__table__.c  # type: ignore[attr-defined]

LOADERS["contract.recurring_balances"] = rows_by(tables.RecurringGrantRow, "contract_id")


@strawberry.type(description="What a whole period brings or costs.")
class RecurringAmount:
    unit_price: Decimal = strawberry.field(description="Price of one, in the major unit.")
    quantity: Decimal = strawberry.field(description="How many of it.")
    amount: Money = strawberry.field(description="The exact amount of a whole period.")


@strawberry.type(description="What was agreed of a recurring commit or credit.")
class RecurringBalanceTerms:
    name: str | None = strawberry.field(description="What invoices call each of them.")
    description: str | None = strawberry.field(description="What they are for.")
    duration: int = strawberry.field(description="For how many periods each may be used.")
    priority: Decimal = strawberry.field(description="The lowest number is drawn first, among balances of its kind.")
    rollover_fraction: Decimal | None = strawberry.field(description="How much of each may roll over.")
    prorate_seat_increases: bool = strawberry.field(
        description="Whether an increase of the subscription within a period brings its share of the time."
    )
    revision: int = strawberry.field(description="Counts changes; pass it back to refuse overwriting another one.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="From when on it makes nothing more.")

    @strawberry.field(description="What it makes.")
    def kind(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> BalanceKind:  # type: ignore[valid-type]
        return grants.GrantType(row.type)

    @strawberry.field(description="From when to when periods begin; without an end, as long as the contract holds.")
    def interval(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> Interval:
        return Interval(starting_at=row.starting_at, ending_before=row.ending_before)

    @strawberry.field(description="How often, counted from its own start; null: with every statement period.")
    def frequency(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> Cadence | None:  # type: ignore[valid-type]
        return None if row.frequency is None else Cadence(row.frequency)

    @strawberry.field(description="Which parts of a period bring and cost only their share.")
    def proration(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> BalanceProration:  # type: ignore[valid-type]
        return recurring.GrantProration(row.proration)

    @strawberry.field(description="How much may be used of each.")
    def access_amount(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> RecurringAmount:
        return _amount(row.access_unit_price, row.access_quantity, row.unit)

    @strawberry.field(description="What is paid for each, where its period begins; null: nothing.")
    def invoice_amount(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> RecurringAmount | None:
        if row.invoice_unit_price is None or row.invoice_quantity is None:
            return None
        return _amount(row.invoice_unit_price, row.invoice_quantity, row.invoice_unit or row.unit)

    @strawberry.field(description="What they may pay.")
    def applies_to(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> AppliesTo:
        return scope_shown(row)

    @strawberry.field(description="Which children of the contract may draw on them.")
    def child_access(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> api_sharing.BalanceChildAccess:
        return api_sharing.sharing_shown(row)

    @strawberry.field(description="Which price usage has that draws on them.")
    def rate_type(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> BalanceRateType:  # type: ignore[valid-type]
        return RateTarget(row.rate_type)

    @strawberry.field(description="The id of the subscription whose quantity multiplies the amounts; null: none does.")
    def subscription_id(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> strawberry.ID | None:
        return None if row.subscription_id is None else strawberry.ID(to_text("subscription", row.subscription_id))

    @strawberry.field(description="Whose the balances are that follow a subscription; null without one.")
    def allocation(self, row: strawberry.Parent[tables.RecurringGrantRow]) -> BalanceAllocation | None:  # type: ignore[valid-type]
        return None if row.allocation is None else seat_balances.Allocation(row.allocation)


@node_type(
    "recurring_grant", of=tables.RecurringGrantRow, scope="contracts:read",
    description="Makes a commit or credit where each of its periods begins, which takes over its custom fields as they are then.",
)  # fmt: skip
class RecurringBalance(Node, HasCustomFields, RecurringBalanceTerms):
    @strawberry.field(description="What it has made so far, in the order of its periods.")
    async def balances(
        self, info: Info, row: strawberry.Parent[tables.RecurringGrantRow], first: First = 25, after: After = None
    ) -> Connection[Balance]:
        made = select(tables.GrantRow).where(CHILDREN.recurring_id == row.id)
        return await connection(info, made, sort=[CHILDREN.recurring_number, CHILDREN.id], first=first, after=after)  # type: ignore[return-value]


def _amount(unit_price: Decimal, quantity: Decimal, unit: str) -> RecurringAmount:
    with money.exact():
        amount = unit_price * quantity
    return RecurringAmount(unit_price=unit_price, quantity=quantity, amount=Money.of(amount, unit))
