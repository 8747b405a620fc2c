"""How packages are shown.

Owns their GraphQL types and the loader of their names.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from sqlalchemy import select

from app.contracts import tables
from app.contracts.package_dates import BillingAnchor
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.scalars import JSON
from app.graphql.values import described_enum

if TYPE_CHECKING:
    from app.contracts.api_types import Contract

PackageBillingAnchor = described_enum(
    BillingAnchor,
    name="PackageBillingAnchor",
    description="From when the offsets and durations of a package are counted.",
    sentences={
        BillingAnchor.CONTRACT_START_DATE: "From the contract's start.",
        BillingAnchor.FIRST_BILLING_PERIOD: "From the start of the contract's first whole statement period; what has no "
        "offset begins with the contract. A contract that starts on the 17th and is billed by calendar months begins its "
        "year on the next first.",
    },
)
LOADERS["package.aliases"] = rows_by(tables.PackageAlias, "package_id")
CONTRACTS = tables.Contract.__table__.c  # type: ignore[attr-defined]


@strawberry.type(description="A name that points to a package for a time.")
class PackageAlias:
    name: str = strawberry.field(description="The name.")
    starting_at: datetime | None = strawberry.field(description="First instant; null: since ever.")
    ending_before: datetime | None = strawberry.field(description="First instant after it; null: for good.")


@node_type(
    "package", of=tables.PackageRow, scope="contracts:read",
    description="A contract that is still to be signed: terms with dates that are told from its start. It never changes; "
    "another one takes its name instead.",
)  # fmt: skip
class Package(Node):
    name: str = strawberry.field(description="What people call it; never shown to end customers.")
    provider: str | None = strawberry.field(
        description="The provider of the one billing configuration that a customer must have; null: none is asked for."
    )
    connection: str | None = strawberry.field(
        description="The account of that provider, and so the way of delivery; null: any of the provider's."
    )
    billing_anchor: PackageBillingAnchor = strawberry.field(  # type: ignore[valid-type]
        description="From when its offsets and durations are counted."
    )
    uniqueness_key: str | None = strawberry.field(description="The key that made its creation safe to repeat.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="From when on no contract is made of it.")
    definition: JSON = strawberry.field(
        description="What a contract of it agrees on: the input of contractCreate, with offsets and durations in place of "
        "dates, as packageCreate took them."
    )

    @strawberry.field(
        description="Names that point to it, past and future ones too, at most 200, in order of addition."
    )
    async def aliases(self, info: Info, row: strawberry.Parent[tables.PackageRow]) -> list[PackageAlias]:
        return await info.context.load("package.aliases", row.id)

    @strawberry.field(description="Contracts that were made of it, newest first, archived ones too.")
    async def contracts(
        self, info: Info, row: strawberry.Parent[tables.PackageRow], first: First = 25, after: After = None
    ) -> Connection[Annotated[Contract, strawberry.lazy("app.contracts.api_types")]]:
        made = select(tables.Contract).where(CONTRACTS.package_id == row.id)
        return await connection(info, made, sort=[CONTRACTS.id], descending=True, first=first, after=after)
