"""How the lines of an invoice, and its usage without a price, are shown.

Owns their GraphQL types. A line of a draft and a line of a final invoice are the same core value.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry

from app.catalog.api_types import Product
from app.contracts.api_overrides import Override
from app.core import lines, list_prices, per_event, terms
from app.grants.api_types import Balance
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.values import Interval, KeyValue, Money, described_enum, key_values
from app.invoices import api_explanations, api_line_fields, api_origins, api_reversals, api_seen
from app.invoices.api_line_parts import GroupValue, LineTier, Origin, groups
from app.store import ids

InvoiceLineType = described_enum(
    lines.LineType,
    name="InvoiceLineType",
    description="What a line stands for.",
    sentences={
        lines.LineType.USAGE: "Usage of a product at one price.",
        lines.LineType.COMPOSITE: "A percentage of what other products were charged; the quantity is that money.",
        lines.LineType.MINIMUM: "What a percentage misses of the least that it costs.",
        lines.LineType.CPU_CONVERSION: "What is left in a custom pricing unit, in the currency of the invoice.",
        lines.LineType.COMMIT_PURCHASE: "What is paid for a commit.",
        lines.LineType.TRUEUP: "What was committed to and not used.",
        lines.LineType.APPLIED: "What a commit or credit pays; takes the amount off again.",
        lines.LineType.SUBSCRIPTION: "The fee of a subscription for a billing period, or for an increase within one.",
        lines.LineType.SCHEDULED: "An instalment of a scheduled charge.",
        lines.LineType.ROUNDING: "What the one rounding of the total added or took away.",
    },
)

EventPart = described_enum(
    per_event.EventPart,
    name="EventPart",
    description="Which events a line at a price per event counts.",
    sentences={
        per_event.EventPart.BETWEEN: "Those whose share lies between the bounds; the quantity is their money.",
        per_event.EventPart.MINIMUM: "Those that cost the minimum; the quantity is how many, less those taken back.",
        per_event.EventPart.MAXIMUM: "Those that cost the maximum; the quantity is how many, less those taken back.",
    },
)


@strawberry.type(description="One line of an invoice. It is exact; only the total is rounded.")
class InvoiceLine:
    position: int = strawberry.field(description="Its place on the invoice, from 0.")
    type: InvoiceLineType = strawberry.field(description="What it stands for.")  # type: ignore[valid-type]
    product_name: str | None = strawberry.field(description="Name of the product when the invoice was made.")
    quantity: Decimal | None = strawberry.field(description="How much was used; null where nothing is counted.")
    unit_price: Decimal | None = strawberry.field(description="Exact price of one unit, in the currency's major unit.")
    amount: Money = strawberry.field(description="Exact amount.")
    interval: Interval | None = strawberry.field(description="When it was used; null for a rounding line.")
    pricing: list[GroupValue] = strawberry.field(description="Values that decided its price, sorted by key.")
    presentation: list[GroupValue] = strawberry.field(description="Values that only split the line, sorted by key.")
    tier: LineTier | None = strawberry.field(description="The tier of its price; null for a flat price.")
    in_total: bool = strawberry.field(description="Whether it counts towards the total.")
    charged_at: datetime | None = strawberry.field(
        description="The date of a fee or scheduled charge, by which it falls into an hour or day; null for others."
    )
    subscription_id: strawberry.ID | None = strawberry.field(description="The subscription whose fee it is; else null.")
    applied_to: InvoiceLineType | None = strawberry.field(  # type: ignore[valid-type]
        description="The type of line whose amount a balance takes off; null for others."
    )
    segment: int | None = strawberry.field(description="Number of the balance's segment; else null.")
    converted_unit: str | None = strawberry.field(description="The pricing unit that is converted; else null.")
    per_event: EventPart | None = strawberry.field(  # type: ignore[valid-type]
        description="At a price with a minimum or maximum for each event, which events it counts; null for others."
    )
    scheduled_charge_id: strawberry.ID | None = strawberry.field(
        description="The scheduled charge of which it is an instalment; else null."
    )
    line: strawberry.Private[lines.Line]
    origin: strawberry.Private[Origin | UUID]

    @strawberry.field(
        name="origin",
        description="Of a line of a consolidated invoice: the line that it repeats; else null.",
    )
    async def constituent_line(self, info: Info) -> api_origins.InvoiceLineOrigin | None:
        return await api_origins.origin_shown(info, self.line.origin)

    @strawberry.field(
        description="Why the line is what it is: its dated price, override, balance, tier and metric, the events behind it, "
        "and all of it in words. Of a final invoice from what was frozen with it."
    )
    async def explanation(self, info: Info) -> api_explanations.LineExplanation:
        origin = await self._origin(info)
        since = await api_reversals.since(info, self.line, self.origin)
        return await api_explanations.explained(info, self.line, origin, since)

    @object_field(
        scope="contracts:read",
        description="The commit or credit that pays it, is bought with it, or of which it bills what is missing; else null. "
        "Null also for tokens of a child's customer where the parent's pays. Scope: contracts:read.",
    )
    async def balance(self, info: Info) -> Balance | None:
        return await api_seen.seen_balance(info, self.line.grant_id)

    @object_field(
        scope="catalog:read",
        description="What was used; null for tokens of one customer, which see its name. Scope: catalog:read.",
    )
    async def product(self, info: Info) -> Product | None:
        return await product_of(info, self.line.product_id)

    @strawberry.field(
        description="List price of one unit, before overrides and commit rates; null where the list has no one price."
    )
    async def list_unit_price(self, info: Info) -> Decimal | None:
        return list_prices.list_unit_price(self.line, await self._terms(info))

    @object_field(
        scope="contracts:read",
        description="The override that set the price; null when the list price holds. Scope: contracts:read.",
    )
    async def override(self, info: Info) -> Override | None:
        return None if self.line.override_id is None else await info.context.load("override", self.line.override_id)

    @strawberry.field(
        description="Labels of the product, as they were when the invoice became final; none for tokens of one customer."
    )
    async def product_tags(self, info: Info) -> list[str]:
        product = await self._sold(info)
        return [] if product is None else list(product.tags)

    @strawberry.field(
        description="Custom fields of the product, as they were when the invoice became final; none for tokens of one "
        "customer."
    )
    async def product_custom_fields(self, info: Info) -> list[KeyValue]:
        product = await self._sold(info)
        return [] if product is None else key_values(dict(product.custom_fields))

    @strawberry.field(
        description="Custom fields of the commit or credit that it names, as they were when the invoice became final; none "
        "for tokens of one customer."
    )
    async def balance_custom_fields(self, info: Info) -> list[KeyValue]:
        return await self._behind(info, self.line.grant_id)

    @strawberry.field(
        description="Custom fields of the subscription or scheduled charge that it names, as they were when the invoice became "
        "final; none for tokens of one customer."
    )
    async def charge_custom_fields(self, info: Info) -> list[KeyValue]:
        return await self._behind(info, self.line.subscription_id or self.line.charge_id)

    async def _behind(self, info: Info, key: UUID | None) -> list[KeyValue]:
        final = self.origin if isinstance(self.origin, UUID) else None
        return await api_line_fields.custom_fields_behind(info, final, key)

    async def _sold(self, info: Info) -> terms.Product | None:
        """The product as the invoice knows it; labels and custom fields are the seller's own."""
        if self.line.product_id is None or info.context.actor.customer_id is not None:
            return None
        agreed = await self._terms(info)
        product = next((product for product in agreed.products if product.id == self.line.product_id), None)
        # What is dated and has no interval, such as an instalment, has a date.
        at = self.line.starting_at or self.line.charged_at
        return product if product is None or at is None else product.at(at)

    async def _terms(self, info: Info) -> terms.Terms:
        return (await self._origin(info)).terms

    async def _origin(self, info: Info) -> Origin:
        """What the invoice was made from: at hand for a draft, frozen with a final one."""
        return await info.context.load("invoice.origin", self.origin) if isinstance(self.origin, UUID) else self.origin


@strawberry.type(description="Usage of a statement that no rate prices; it is not billed.")
class UnratedUsage:
    quantity: Decimal = strawberry.field(description="How much was used.")
    pricing: list[GroupValue] = strawberry.field(description="Values by which it would be priced, sorted by key.")
    presentation: list[GroupValue] = strawberry.field(description="Values that only split it, sorted by key.")
    product_id: strawberry.Private[UUID]

    @object_field(
        scope="catalog:read", description="What was used; null for tokens of one customer. Scope: catalog:read."
    )
    async def product(self, info: Info) -> Product | None:
        return await product_of(info, self.product_id)


async def product_of(info: Info, product_id: UUID | None) -> Any:
    """A product; None for tokens of one customer."""
    # The catalog is the seller's; a customer's own token does not see it.
    if product_id is None or info.context.actor.customer_id is not None:
        return None
    return await info.context.load("product", product_id)


def line_shown(position: int, line: lines.Line, origin: Origin | UUID) -> InvoiceLine:
    """A line at its place on the invoice; `origin` is what is behind it, or the id of a final invoice."""
    tier = line.tier
    return InvoiceLine(
        position=position,
        type=line.type,
        line=line,
        origin=origin,
        product_name=line.product_name,
        quantity=line.quantity,
        unit_price=line.unit_price,
        amount=Money.of(line.amount, line.unit),
        interval=None
        if line.starting_at is None
        else Interval(starting_at=line.starting_at, ending_before=line.ending_before),
        pricing=groups(line.pricing),
        presentation=groups(line.presentation),
        tier=None if tier is None else LineTier(level=tier.level, starting_at=tier.starting_at, size=tier.size),
        in_total=line.in_total,
        charged_at=line.charged_at,
        applied_to=line.applied_to,
        segment=line.segment,
        converted_unit=line.converted_unit,
        per_event=line.per_event,
        subscription_id=_id("subscription", line.subscription_id),
        scheduled_charge_id=_id("scheduled_charge", line.charge_id),
    )


def _id(kind: str, identifier: UUID | None) -> strawberry.ID | None:
    return None if identifier is None else strawberry.ID(ids.to_text(kind, identifier))


def unrated_shown(item: dict[str, Any]) -> UnratedUsage:
    """Usage without a price, from the form in which an invoice keeps it."""
    return UnratedUsage(
        quantity=Decimal(item["quantity"]),
        pricing=groups(item["pricing"]),
        presentation=groups(item["presentation"]),
        product_id=UUID(item["product"]),
    )
