"""What was agreed of a commit or credit, as it is shown.

Owns the fields that say so, which every type of balance has; what became of it is in `api_types.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, TypeAlias
from uuid import UUID

import strawberry

from app.core import grants
from app.core.terms import RateTarget
from app.grants.api_gates import BalanceGate, gate_shown
from app.grants.api_kinds import BalanceKind, BalanceRateType
from app.grants.api_payments import BalancePayment, payment_shown
from app.grants.api_scope import AppliesTo, scope_shown
from app.grants.api_sharing import BalanceChildAccess, BalanceChildAccessChange, changes_shown, sharing_now
from app.grants.tables import GrantRow
from app.graphql.context import Info
from app.graphql.fields import object_field

if TYPE_CHECKING:
    from app.contracts.api_types import Contract

ContractRef: TypeAlias = Annotated["Contract", strawberry.lazy("app.contracts.api_types")]


@strawberry.type(description="What was agreed of a commit or credit.")
class BalanceTerms:
    name: str | None = strawberry.field(description="What invoices call it.")
    description: str | None = strawberry.field(description="What it is for.")
    priority: Decimal = strawberry.field(description="The lowest number is drawn first, among balances of its kind.")
    rollover_fraction: Decimal | None = strawberry.field(description="How much of a segment may roll over.")
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    seat_id: str | None = strawberry.field(description="The one seat whose usage it pays; null: anybody's.")
    revision: int = strawberry.field(description="Counts changes; pass it back to refuse overwriting another one.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="From when on it pays nothing.")

    @strawberry.field(description="What it is.")
    def kind(self, row: strawberry.Parent[GrantRow]) -> BalanceKind:  # type: ignore[valid-type]
        return grants.GrantType(row.type)

    @strawberry.field(description="Which price usage has that draws on it.")
    def rate_type(self, row: strawberry.Parent[GrantRow]) -> BalanceRateType:  # type: ignore[valid-type]
        return RateTarget(row.rate_type)

    @strawberry.field(description="What it may pay.")
    def applies_to(self, row: strawberry.Parent[GrantRow]) -> AppliesTo:
        return scope_shown(row)

    @strawberry.field(description="Which children of its contract may draw on it now.")
    def child_access(self, info: Info, row: strawberry.Parent[GrantRow]) -> BalanceChildAccess:
        return sharing_now(row, now=info.context.now)

    @strawberry.field(description="What was said of that after it was made, by start, at most 100 changes.")
    def child_access_changes(self, row: strawberry.Parent[GrantRow]) -> list[BalanceChildAccessChange]:
        return changes_shown(row)

    @strawberry.field(description="What is paid for it; null: nothing.")
    def payment(self, row: strawberry.Parent[GrantRow]) -> BalancePayment | None:
        return payment_shown(row)

    @strawberry.field(description="The payment for which it waits, or waited; null for one that waits for none.")
    def payment_gate(self, row: strawberry.Parent[GrantRow]) -> BalanceGate | None:
        return gate_shown(row)

    @object_field(scope="contracts:read", description="Its contract; null for one of the customer's own.")
    async def contract(self, info: Info, row: strawberry.Parent[GrantRow]) -> ContractRef | None:
        return None if row.contract_id is None else await info.context.load("contract", row.contract_id)

    @object_field(
        scope="contracts:read",
        description="The contracts that one of the customer's own may pay for, at most 100; none named: all of them.",
    )
    async def contracts(self, info: Info, row: strawberry.Parent[GrantRow]) -> list[ContractRef]:
        return await info.context.load_many("contract", [UUID(item) for item in row.contract_ids])

    @object_field(
        scope="contracts:read", description="The contract that bills one of the customer's own; null without any."
    )
    async def invoice_contract(self, info: Info, row: strawberry.Parent[GrantRow]) -> ContractRef | None:
        chosen = row.invoice_contract_id
        return None if chosen is None else await info.context.load("contract", chosen)
