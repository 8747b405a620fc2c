"""What callers send to make recurring commits and credits.

Owns the GraphQL inputs and their way to the service. What a recurring balance may say is checked by `recurring_rules.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import strawberry

from app.checks import Path
from app.contracts.api_recurring import BalanceProration
from app.contracts.api_subscription_links import Coming, SubscriptionLinkInput, link_of
from app.contracts.new_recurring import NewRecurringGrant, RecurringAmount
from app.core import money, recurring, terms
from app.custom_fields.api_types import custom_fields_in
from app.grants import api_kinds, api_scope, api_sharing
from app.grants.definitions import NewGrant
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Cadence, KeyValueInput
from app.store import ids


@strawberry.input(description="What a whole period brings: a unit price times a quantity.")
class RecurringAmountInput:
    unit_price: Decimal = strawberry.field(description="Price of one, or the whole amount; 0 or more.")
    quantity: Decimal = strawberry.field(default=money.ONE, description="How many of it, 0 or more.")


@strawberry.input(description="What is paid for a whole period, at its start: a unit price times a quantity.")
class RecurringPaymentInput:
    unit_price: Decimal = strawberry.field(description="Price of one, or the whole amount; 0 or more.")
    quantity: Decimal = strawberry.field(default=money.ONE, description="How many of it, 0 or more.")
    currency: CurrencyCode | None = strawberry.field(default=None, description="Default: the unit of the balance.")


@strawberry.input(description="A commit or credit for every period: each has a ledger of its own.")
class RecurringBalanceInput:
    kind: api_kinds.BalanceKind = strawberry.field(description="PREPAID or CREDIT.")  # type: ignore[valid-type]
    unit: CurrencyCode = strawberry.field(description="A currency, or the code of a pricing unit.")
    access_amount: RecurringAmountInput = strawberry.field(description="How much may be used of each.")
    invoice_amount: RecurringPaymentInput | None = strawberry.field(
        default=None, description="What is paid for each, where its period begins; default: nothing."
    )
    starting_at: datetime | None = strawberry.field(
        default=None, description="When the first begins, a full hour; default: with the contract."
    )
    ending_before: datetime | None = strawberry.field(
        default=None, description="None begins from then on, a full hour; default: as long as the contract holds."
    )
    frequency: Cadence | None = strawberry.field(  # type: ignore[valid-type]
        default=None,
        description="How often, counted from its own start; default: with every statement period. Not SEMI_ANNUAL.",
    )
    duration: int = strawberry.field(default=1, description="For how many periods each may be used, 1 to 120.")
    proration: BalanceProration = strawberry.field(  # type: ignore[valid-type]
        default=recurring.GrantProration.FIRST_AND_LAST, description="Which parts of a period bring and cost a part."
    )
    name: str | None = strawberry.field(default=None, description="What invoices call each of them.")
    description: str | None = strawberry.field(default=None, description="What they are for.")
    product_id: strawberry.ID | None = strawberry.field(
        default=None, description="The FIXED product as which they are sold."
    )
    priority: Decimal | None = strawberry.field(
        default=None, description="The lowest number is drawn first; default: 100."
    )
    applies_to: api_scope.AppliesToInput | None = strawberry.field(
        default=None, description="What they may pay; default: everything."
    )
    rate_type: api_kinds.BalanceRateType = strawberry.field(  # type: ignore[valid-type]
        default=terms.RateTarget.LIST_RATE, description="Which price usage has that draws on them."
    )
    rollover_fraction: Decimal | None = strawberry.field(default=None, description="0 to 1 of each may roll over.")
    child_access: api_sharing.ChildAccessInput | None = strawberry.field(
        default=None, description="Which children of the contract may draw on each; default: none."
    )
    subscription: SubscriptionLinkInput | None = strawberry.field(
        default=None, description="The subscription whose quantity multiplies the amounts; default: none does."
    )
    temporary_id: str | None = strawberry.field(
        default=None, description="A name by which overrides of the same request can mean all that it makes."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list,
        description="Values that each of them takes over, whose keys are registered for commits or for credits and allow a "
        "value more than once.",
    )


def new_recurring_grants(
    inputs: Sequence[RecurringBalanceInput], *, coming: Coming, path: Path
) -> list[NewRecurringGrant]:
    """The recurring balances of a contract, as the service takes them; `coming` are subscriptions by temporary id."""
    return [_new_recurring_grant(item, coming, path=(*path, str(index))) for index, item in enumerate(inputs)]


def _new_recurring_grant(found: RecurringBalanceInput, coming: Coming, *, path: Path) -> NewRecurringGrant:
    product_id = None
    if found.product_id is not None:
        product_id = ids.from_text("product", found.product_id, path=(*path, "productId"))
    price = found.invoice_amount
    return NewRecurringGrant(
        child=NewGrant(
            type=found.kind,
            segments=(),
            product_id=product_id,
            name=found.name,
            description=found.description,
            unit=found.unit,
            priority=found.priority,
            scope=api_scope.scope_of(found.applies_to or api_scope.AppliesToInput(), path=(*path, "appliesTo")),
            rate_type=found.rate_type,
            rollover_fraction=found.rollover_fraction,
            sharing=api_sharing.sharing_in(found.child_access, path=path),
            custom_fields=custom_fields_in(found.custom_fields, path=(*path, "customFields")),
        ),
        access_amount=RecurringAmount(found.access_amount.unit_price, found.access_amount.quantity),
        invoice_amount=None if price is None else RecurringAmount(price.unit_price, price.quantity),
        invoice_unit=None if price is None else price.currency,
        starting_at=found.starting_at,
        ending_before=found.ending_before,
        frequency=found.frequency,
        duration=found.duration,
        proration=found.proration,
        link=link_of(found.subscription, coming, path=(*path, "subscription")),
    )
