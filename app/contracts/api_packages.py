"""Packages in GraphQL: what can be read and done.

Owns the fields; how a package looks is in `api_package_types.py`, what callers send in `api_package_inputs.py`, the rules
are in `packages.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from sqlalchemy import select

from app.contracts import package_ways, packages, tables
from app.contracts.api_package_inputs import (
    PackageAliasInput,
    PackageCreateInput,
    alias_of,
    definition_of,
)
from app.contracts.api_package_trial import try_package
from app.contracts.api_package_types import Package
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import load_node
from app.graphql.payload import Payload
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the package.")]
COLUMNS = tables.PackageRow.__table__.c  # type: ignore[attr-defined]


@strawberry.type(description="Answer to a mutation of a package.")
class PackagePayload(Payload):
    package: Package | None = strawberry.field(default=None, description="The package; null after an error.")


@strawberry.type
class PackagesQuery:
    @query_field(scope="contracts:read", description="One package, by its id or by an alias; null when there is none.")
    async def package(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        alias: Annotated[str | None, strawberry.argument(description="A name that points to it.")] = None,
        at: Annotated[
            datetime | None, strawberry.argument(description="When the alias points to it; default: now.")
        ] = None,
    ) -> Package | None:
        if (id is None) is (alias is None):
            raise InvalidInput(ErrorCode.INVALID, "Give either id or alias.", path=("id",))
        if alias is not None:
            return await packages.find_package(info.context.session, alias, at=at or info.context.now)  # type: ignore[return-value]
        row = await load_node(info.context, id or "")
        return row if isinstance(row, tables.PackageRow) else None  # type: ignore[return-value]

    @query_field(scope="contracts:read", description="Packages, newest first.")
    async def packages(
        self,
        info: Info,
        include_archived: Annotated[
            bool, strawberry.argument(description="Whether those are listed that are offered no more.")
        ] = False,
        first: First = 25,
        after: After = None,
    ) -> Connection[Package]:
        statement = select(tables.PackageRow)
        if not include_archived:
            statement = statement.where(COLUMNS.archived_at.is_(None))
        return await connection(info, statement, sort=[COLUMNS.id], descending=True, first=first, after=after)


@strawberry.type
class PackagesMutation:
    @mutation_field(
        scope="contracts:write",
        action="package.create",
        description="Make a package. It is tried at once: one of which no contract could be made is refused.",
    )
    async def package_create(
        self, info: Info, input: Annotated[PackageCreateInput, strawberry.argument(description="The new package.")]
    ) -> PackagePayload:
        definition = definition_of(input)
        way = package_ways.PackageWay(input.provider, input.connection)
        await try_package(info.context, definition, way=way, anchor=input.billing_anchor)
        row = await packages.create_package(
            info.context.session,
            name=input.name,
            definition=definition,
            way=way,
            billing_anchor=input.billing_anchor,
            aliases=[(("input", "aliases", str(index)), alias_of(alias)) for index, alias in enumerate(input.aliases)],
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return PackagePayload(package=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="package.archive",
        description="Make no more contracts of a package; those that were made stay.",
    )
    async def package_archive(self, info: Info, id: ID) -> PackagePayload:
        package_id = ids.from_text("package", id, path=("id",))
        row = await packages.archive_package(info.context.session, package_id, now=info.context.now)
        return PackagePayload(package=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="package.give_alias",
        description="Let an alias point to a package; the package that has it at its start loses it at that instant. "
        "Contracts that were made with it stay as they are.",
    )
    async def package_give_alias(
        self,
        info: Info,
        id: ID,
        alias: Annotated[PackageAliasInput, strawberry.argument(description="The alias, and from when to when.")],
    ) -> PackagePayload:
        package_id = ids.from_text("package", id, path=("id",))
        row = await packages.give_alias(info.context.session, package_id, alias_of(alias), now=info.context.now)
        return PackagePayload(package=row)  # type: ignore[arg-type]
