"""What callers send to make commits and credits.

Owns the GraphQL inputs and their way to what the service takes; the rules are in `definitions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import strawberry

from app.checks import Path
from app.core import terms
from app.custom_fields.api_types import custom_fields_in
from app.grants.api_kinds import BalanceKind, BalanceRateType, PaymentGate
from app.grants.api_payments import PaymentScheduleInput, payment_of
from app.grants.api_scope import AppliesToInput, scope_of
from app.grants.api_sharing import ChildAccessInput, sharing_in
from app.grants.definitions import NewGrant, NewSegment
from app.graphql.scalars import CurrencyCode
from app.graphql.values import KeyValueInput
from app.store import ids

ONCE = "Makes the create safe to repeat: a second use, for any commit or credit, is refused and names the first object."


@strawberry.input(description="An amount that may be used for a time.")
class SegmentInput:
    amount: Decimal = strawberry.field(description="How much, 0 or more, in the unit of the balance.")
    starting_at: datetime = strawberry.field(description="First instant, a full hour.")
    ending_before: datetime = strawberry.field(description="First instant after it, a full hour.")


@strawberry.input(description="A commit or credit.")
class BalanceInput:
    kind: BalanceKind = strawberry.field(description="What it is.")  # type: ignore[valid-type]
    access: list[SegmentInput] = strawberry.field(description="When how much may be used; one for POSTPAID.")
    unit: CurrencyCode = strawberry.field(description="A currency, or the code of a pricing unit.")
    name: str | None = strawberry.field(default=None, description="What invoices call it.")
    description: str | None = strawberry.field(default=None, description="What it is for.")
    product_id: strawberry.ID | None = strawberry.field(
        default=None, description="The FIXED product as which it is sold."
    )
    priority: Decimal | None = strawberry.field(
        default=None, description="The lowest number is drawn first; 100 on a contract, needed for a customer's own."
    )
    applies_to: AppliesToInput | None = strawberry.field(
        default=None, description="What it may pay; default: everything."
    )
    rate_type: BalanceRateType = strawberry.field(  # type: ignore[valid-type]
        default=terms.RateTarget.LIST_RATE, description="Which price usage has that draws on it."
    )
    payment: PaymentScheduleInput | None = strawberry.field(default=None, description="What is paid; default: nothing.")
    rollover_fraction: Decimal | None = strawberry.field(default=None, description="0 to 1 of a segment may roll over.")
    true_up_disabled: bool = strawberry.field(
        default=False, description="Whether what is missing of a POSTPAID commit is never billed."
    )
    payment_gate: PaymentGate | None = strawberry.field(  # type: ignore[valid-type]
        default=None,
        description="Wait for the payment, and stand PENDING until it is made; for a PREPAID commit with one payment, "
        "which has an invoice of its own.",
    )
    child_access: ChildAccessInput | None = strawberry.field(
        default=None,
        description="Which children of the contract may draw on it; default: none. Only of a contract's own.",
    )
    temporary_id: str | None = strawberry.field(
        default=None, description="A name by which overrides of the same request can mean it."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )
    uniqueness_key: str | None = strawberry.field(default=None, description=ONCE)


@strawberry.input(description="A commit or credit of a customer, for all of its contracts or for some.")
class BalanceCreateInput:
    customer_id: strawberry.ID = strawberry.field(description="Whose it is.")
    terms: BalanceInput = strawberry.field(description="What it is.")
    contract_ids: list[strawberry.ID] = strawberry.field(default_factory=list, description="Default: all contracts.")
    invoice_contract_id: strawberry.ID | None = strawberry.field(
        default=None, description="The contract on which it is billed; needed when something is."
    )


@strawberry.input(description="An entry by hand in the ledger of a balance.")
class BalanceAdjustInput:
    id: strawberry.ID = strawberry.field(description="The balance.")
    amount: Decimal = strawberry.field(description="Above zero gives, below zero takes.")
    reason: str = strawberry.field(description="Why, 1 to 500 characters.")
    segment: int = strawberry.field(default=0, description="Number of the segment.")
    at: datetime | None = strawberry.field(
        default=None, description="Under which instant it stands; default: the segment's start. It counts at once."
    )


def new_grants(inputs: Sequence[BalanceInput], *, path: Path) -> list[NewGrant]:
    """The balances of a contract, as the service takes them."""
    return [new_grant(item, path=(*path, str(index))) for index, item in enumerate(inputs)]


def new_grant(found: BalanceInput, *, path: Path) -> NewGrant:
    """A balance as the service takes it."""
    product_id = None
    if found.product_id is not None:
        product_id = ids.from_text("product", found.product_id, path=(*path, "productId"))
    payment = None if found.payment is None else payment_of(found.payment, path=(*path, "payment"))
    return NewGrant(
        type=found.kind,
        segments=[NewSegment(item.amount, item.starting_at, item.ending_before) for item in found.access],
        product_id=product_id,
        name=found.name,
        description=found.description,
        unit=found.unit,
        priority=found.priority,
        scope=scope_of(found.applies_to or AppliesToInput(), path=(*path, "appliesTo")),
        rate_type=found.rate_type,
        rollover_fraction=found.rollover_fraction,
        payment=payment,
        custom_fields=custom_fields_in(found.custom_fields, path=(*path, "customFields")),
        trueup_disabled=found.true_up_disabled,
        sharing=sharing_in(found.child_access, path=path),
        gate=found.payment_gate,
        uniqueness_key=found.uniqueness_key,
    )
