"""Thresholds as they are shown.

Owns their GraphQL type and the loader of a contract's.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import strawberry
from sqlmodel import col, select

from app.catalog.api_types import Product
from app.contracts.api_threshold_inputs import ThresholdKind
from app.contracts.tables import ThresholdRow
from app.core import grants, thresholds
from app.grants.api_kinds import PaymentGate
from app.grants.api_scope import AppliesTo, scope_shown
from app.graphql.context import Context, Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS
from app.graphql.values import Money


@strawberry.type(description="What a contract watches, and the prepaid commit that it buys when that is reached.")
class ContractThreshold:
    is_enabled: bool = strawberry.field(description="Whether it is watched.")
    name: str | None = strawberry.field(description="What invoices call the commits.")
    description: str | None = strawberry.field(description="What they are for.")
    priority: Decimal | None = strawberry.field(description="Of the commits; null: 100.")
    stopped_because: str | None = strawberry.field(
        description="Why it was disabled by itself: a payment that failed, or one that could not be collected."
    )
    row: strawberry.Private[ThresholdRow]

    @strawberry.field(description="What is watched.")
    def kind(self) -> ThresholdKind:  # type: ignore[valid-type]
        return thresholds.ThresholdKind(self.row.kind)

    @strawberry.field(description="When it buys.")
    def amount(self) -> Money:
        return Money.of(self.row.amount, self.row.unit)

    @strawberry.field(description="To what the balance is brought back; null for SPEND.")
    def recharge_to(self) -> Money | None:
        return None if self.row.recharge_to is None else Money.of(self.row.recharge_to, self.row.unit)

    @strawberry.field(description="What the commits may pay.")
    def applies_to(self) -> AppliesTo:
        return scope_shown(self.row)

    @strawberry.field(description="For how many months a commit can be used; null for SPEND: the current statement.")
    def access_months(self) -> int | None:
        return None if self.row.kind == thresholds.ThresholdKind.SPEND else self.row.access_months

    @strawberry.field(description="Who collects the payment for which a commit waits; null: it waits for none.")
    def payment_gate(self) -> PaymentGate | None:  # type: ignore[valid-type]
        return None if self.row.gate is None else grants.PaymentGate(self.row.gate)

    @object_field(scope="catalog:read", description="As which the commits are sold. Scope: catalog:read.")
    async def product(self, info: Info) -> Product:
        return await info.context.load("product", self.row.product_id)


def threshold_shown(row: ThresholdRow) -> ContractThreshold:
    """A threshold, as the API shows it."""
    return ContractThreshold(
        is_enabled=row.is_enabled, name=row.name, description=row.description, priority=row.priority,
        stopped_because=row.stopped_because, row=row,
    )  # fmt: skip


async def _load(context: Context, keys: Sequence[UUID]) -> Sequence[list[ContractThreshold]]:
    rows = await context.session.scalars(
        select(ThresholdRow)
        .where(col(ThresholdRow.contract_id).in_(keys), col(ThresholdRow.removed_at).is_(None))
        .order_by(col(ThresholdRow.kind))
    )
    found: dict[UUID, list[ContractThreshold]] = {key: [] for key in keys}
    for row in rows:
        found[row.contract_id].append(threshold_shown(row))
    return [found[key] for key in keys]


LOADERS["contract.thresholds"] = _load
