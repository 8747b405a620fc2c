"""How the prices of a contract are shown: list prices, and what its overrides make of them.

Owns the GraphQL type of a row; which override counts is settled in `core.overrides`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from app.catalog.api_prices import Price, shown_price
from app.catalog.api_selectors import Selectors, selectors_of
from app.catalog.api_types import Product
from app.contracts import tables, terms
from app.contracts.api_overrides import Override
from app.core import rate_schedule as core
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.scalars import CurrencyCode
from app.graphql.values import Cadence, KeyValue, key_values


@strawberry.type(description="What a product costs under a contract at one instant.")
class ContractRate:
    product_name: str = strawberry.field(description="Name of the product then.")
    product_tags: list[str] = strawberry.field(description="Labels of the product then.")
    product_custom_fields: list[KeyValue] = strawberry.field(description="Custom fields of the product, by key.")
    group_values: list[KeyValue] = strawberry.field(
        description="Values of the product's pricing group key to which it applies; empty for all others."
    )
    billing_frequency: Cadence | None = strawberry.field(  # type: ignore[valid-type]
        description="For a subscription: the period that the price pays for; else null."
    )
    currency: CurrencyCode = strawberry.field(description="Unit of the prices.")
    list_price: Price = strawberry.field(description="The price on the rate card.")
    override_price: Price | None = strawberry.field(
        description="The price after the override; null when the list price holds, and where a tiered multiplier meets a "
        "price that is not graduated."
    )
    commit_price: Price | None = strawberry.field(
        description="The price on the rate card for what draws on a balance whose rateType is COMMIT_RATE; else null."
    )
    minimum: Decimal | None = strawberry.field(description="What a composite product costs at least in a statement.")
    rate: strawberry.Private[core.ContractRate]

    @object_field(
        scope="catalog:read",
        description="What it is the price of; null for tokens of one customer, which see its name. "
        "Scope: catalog:read.",
    )
    async def product(self, info: Info) -> Product | None:
        # The catalog is the seller's; a customer's own token does not see it.
        if info.context.actor.customer_id is not None:
            return None
        return await info.context.load("product", self.rate.product.id)

    @strawberry.field(description="The override that sets the price; null when the list price holds.")
    async def override(self, info: Info) -> Override | None:
        return None if self.rate.override is None else await info.context.load("override", self.rate.override.id)

    @strawberry.field(
        description="Overrides that price only what is drawn from a balance, in the order in which they were added."
    )
    async def commit_specific_overrides(self, info: Info) -> list[Override]:
        return await info.context.load_many("override", [override.id for override in self.rate.commit_specific])

    @property
    def key(self) -> str:
        """What tells it from all other rows of its contract."""
        return f"{self.rate.product.id} {self.rate.pricing} {self.billing_frequency}"


async def rate_schedule(
    info: Info,
    row: strawberry.Parent[tables.Contract],
    at: Annotated[datetime | None, strawberry.argument(description="The instant; default: now.")] = None,
    selectors: Selectors = None,
    first: First = 50,
    after: After = None,
) -> Connection[ContractRate]:
    """The prices to which a contract entitles at an instant, in the order of lines on its invoices."""
    wanted = selectors_of(selectors)
    agreed = await terms.terms_of(info.context.session, row)
    rates = [
        _shown(rate, row.currency)
        for rate in core.contract_rates(agreed, at=at or info.context.now)
        if core.selected(wanted, rate.listed, pricing=rate.pricing, tags=rate.product.tags)
    ]
    return list_connection(rates, key=lambda rate: rate.key, first=first, after=after)


def _shown(rate: core.ContractRate, currency: str) -> ContractRate:
    return ContractRate(
        product_name=rate.product.name,
        product_tags=list(rate.product.tags),
        product_custom_fields=key_values(dict(rate.product.custom_fields)),
        group_values=key_values({name: value or "" for name, value in rate.pricing}),
        billing_frequency=rate.listed.billing_frequency,
        currency=CurrencyCode(rate.listed.unit or currency),
        list_price=shown_price(rate.listed.rate),
        override_price=None if rate.override_rate is None else shown_price(rate.override_rate),
        commit_price=None if rate.listed.commit_rate is None else shown_price(rate.listed.commit_rate),
        minimum=rate.listed.minimum,
        rate=rate,
    )
