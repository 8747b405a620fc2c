"""Thresholds as callers send them, and what they watch.

Owns the enum, the input and its way to the service; the rules are in `threshold_rules.py`.
"""

from __future__ import annotations

from decimal import Decimal

import strawberry

from app.checks import Path
from app.contracts.threshold_rules import NewThreshold
from app.core import thresholds
from app.grants.api_kinds import PaymentGate
from app.grants.api_scope import AppliesToInput, scope_of
from app.graphql.scalars import CurrencyCode
from app.graphql.values import described_enum
from app.store import ids

ThresholdKind = described_enum(
    thresholds.ThresholdKind,
    name="ThresholdKind",
    description="What a contract watches.",
    sentences={
        thresholds.ThresholdKind.SPEND: "What its current statement asks for usage, after all balances. A commit of that "
        "amount is bought, which covers it.",
        thresholds.ThresholdKind.BALANCE: "What it can use now of prepaid commits and credits. A commit is bought that "
        "brings it back to rechargeTo.",
    },
)


@strawberry.input(description="What a contract watches, and the prepaid commit that it buys when that is reached.")
class ThresholdInput:
    kind: ThresholdKind = strawberry.field(description="What is watched.")  # type: ignore[valid-type]
    amount: Decimal = strawberry.field(
        description="SPEND: bought when this is reached, above 0. BALANCE: when no more than this is left, 0 or more."
    )
    product_id: strawberry.ID = strawberry.field(description="The FIXED product as which the commit is sold.")
    is_enabled: bool = strawberry.field(
        default=True, description="Whether it is watched; true looks at once, also after a payment that failed."
    )
    recharge_to: Decimal | None = strawberry.field(
        default=None, description="BALANCE: to what it is brought back, more than the amount."
    )
    unit: CurrencyCode | None = strawberry.field(
        default=None,
        description="BALANCE: the currency of the contract (default), or a pricing unit that its card converts, in which "
        "balances are counted and commits granted; they are paid in the currency.",
    )
    name: str | None = strawberry.field(default=None, description="What invoices call the commits.")
    description: str | None = strawberry.field(default=None, description="What they are for.")
    priority: Decimal | None = strawberry.field(default=None, description="Of the commits; default: 100.")
    applies_to: AppliesToInput | None = strawberry.field(
        default=None, description="BALANCE: what the commits may pay; default: everything."
    )
    access_months: int | None = strawberry.field(
        default=None, description="BALANCE: for how long a commit can be used, 1 to 120 months; default: 12."
    )
    payment_gate: PaymentGate | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Let each commit wait for its payment; default: it can be used at once."
    )


def threshold_of(found: ThresholdInput, *, path: Path) -> NewThreshold:
    """A threshold as the service takes it."""
    return NewThreshold(
        kind=found.kind,
        amount=found.amount,
        product_id=ids.from_text("product", found.product_id, path=(*path, "productId")),
        is_enabled=found.is_enabled,
        recharge_to=found.recharge_to,
        unit=found.unit,
        name=found.name,
        description=found.description,
        priority=found.priority,
        scope=scope_of(found.applies_to or AppliesToInput(), path=(*path, "appliesTo")),
        access_months=found.access_months,
        gate=found.payment_gate,
    )
