"""How customers and their billing configurations are shown.

Owns their GraphQL types and the loaders of what belongs to a customer in this slice. Contracts are named lazily; their
own slice loads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from sqlmodel import col, select

from app.custom_fields.api_types import HasCustomFields
from app.customers import tables
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Context, Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS, Node, node_id, node_type, rows_by
from app.graphql.values import KeyValue, Money, described_enum, key_values

if TYPE_CHECKING:
    from app.contracts.api_types import Contract


class Status(Enum):
    """Whether a customer takes changes."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


CustomerStatus = described_enum(
    Status,
    name="CustomerStatus",
    description="Whether a customer takes changes.",
    sentences={Status.ACTIVE: "It can have new contracts.", Status.ARCHIVED: "It is closed for good and only read."},
)


async def _aliases(context: Context, keys: Sequence[UUID]) -> Sequence[list[str]]:
    found = await context.session.execute(
        select(tables.IngestAlias.customer_id, tables.IngestAlias.alias).where(
            col(tables.IngestAlias.customer_id).in_(keys)
        )
    )
    aliases: dict[UUID, list[str]] = {key: [] for key in keys}
    for customer_id, alias in found:
        aliases[customer_id].append(alias)
    return [sorted(aliases[key]) for key in keys]


LOADERS["customer.aliases"] = _aliases
LOADERS["customer.configurations"] = rows_by(
    tables.BillingConfiguration, "customer_id", where=col(tables.BillingConfiguration.archived_at).is_(None)
)


@node_type(
    "billing_configuration",
    of=tables.BillingConfiguration,
    scope="customers:read",
    description="A customer's side of one provider account.",
)
class BillingConfiguration(Node):
    provider: str = strawberry.field(description="Name of the provider, such as stripe or aws_marketplace.")
    connection: str = strawberry.field(description="Name of our account at the provider.")
    is_default: bool = strawberry.field(description="Whether contracts without a choice of their own use it.")
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="When it was taken out of use.")

    @strawberry.field(description="What the provider needs to know about the customer, sorted by key.")
    def settings(self, row: strawberry.Parent[tables.BillingConfiguration]) -> list[KeyValue]:
        return key_values(row.settings)

    @strawberry.field(description="Whose configuration it is.")
    async def customer(
        self, info: Info, row: strawberry.Parent[tables.BillingConfiguration]
    ) -> Annotated[Customer, strawberry.lazy("app.customers.api_types")]:
        return await info.context.load("customer", row.customer_id)


@node_type("customer", of=tables.Customer, scope="customers:read", description="Who is billed.")
class Customer(Node, HasCustomFields):
    name: str = strawberry.field(description="Its name, as invoices show it.")
    external_id: str | None = strawberry.field(description="Your own id for it; an ingest alias as well.")
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="When it was closed.")

    @strawberry.field(description="Whether it takes changes.")
    def status(self, row: strawberry.Parent[tables.Customer]) -> CustomerStatus:  # type: ignore[valid-type]
        return Status.ACTIVE if row.archived_at is None else Status.ARCHIVED

    @strawberry.field(description="References under which its usage arrives besides its id, sorted.")
    async def ingest_aliases(self, info: Info, row: strawberry.Parent[tables.Customer]) -> list[str]:
        return await info.context.load("customer.aliases", row.id)

    @strawberry.field(description="How it can be billed, oldest first; without archived ones.")
    async def billing_configurations(
        self, info: Info, row: strawberry.Parent[tables.Customer]
    ) -> list[BillingConfiguration]:
        return await info.context.load("customer.configurations", row.id)

    @object_field(
        scope="invoices:read",
        description="What its final invoices come to, void ones aside; one amount for each currency. Scope: invoices:read.",
    )
    async def lifetime_billings(self, info: Info, row: strawberry.Parent[tables.Customer]) -> list[Money]:
        totals = await info.context.load("customer.lifetime_billings", row.id)
        return [Money.of(total, currency) for currency, total in totals.items()]

    @object_field(
        scope="contracts:read", description="Its contracts, oldest first; without archived ones. Scope: contracts:read."
    )
    async def contracts(
        self, info: Info, row: strawberry.Parent[tables.Customer], first: First = 25, after: After = None
    ) -> Connection[Annotated[Contract, strawberry.lazy("app.contracts.api_types")]]:
        rows: list[Any] = await info.context.load("customer.contracts", row.id)
        return list_connection(rows, key=node_id, first=first, after=after)
