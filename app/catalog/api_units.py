"""Pricing units in GraphQL.

Owns their type, the list and the mutations; the rules are in `units.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from sqlalchemy import select

from app.catalog import tables, units
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import Node, node_type
from app.graphql.payload import Payload
from app.store import ids

SAFE_TO_REPEAT = "Makes the call safe to repeat: a second one with the same key is refused and names the first unit."


@node_type(
    "pricing_unit", of=tables.PricingUnit, scope="catalog:read",
    description="A unit of the seller's own in which usage is priced and balances are kept, such as tokens.",
)  # fmt: skip
class PricingUnit(Node):
    code: str = strawberry.field(description="Its code, which never changes.")
    name: str = strawberry.field(description="What people call it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="From when on nothing new may use it.")


@strawberry.input(description="A new pricing unit.")
class PricingUnitCreateInput:
    code: str = strawberry.field(
        description="2 to 16 capital letters, digits and underscores, a letter first; no currency code."
    )
    name: str = strawberry.field(description="What people call it, 1 to 200 characters.")
    uniqueness_key: str | None = strawberry.field(default=None, description=SAFE_TO_REPEAT)


@strawberry.type(description="Answer to a mutation of a pricing unit.")
class PricingUnitPayload(Payload):
    pricing_unit: PricingUnit | None = strawberry.field(default=None, description="The unit; null after an error.")


@strawberry.type
class PricingUnitQuery:
    @query_field(scope="catalog:read", description="Pricing units, by code.")
    async def pricing_units(self, info: Info, first: First = 25, after: After = None) -> Connection[PricingUnit]:
        columns = tables.PricingUnit.__table__.c  # type: ignore[attr-defined]
        statement = select(tables.PricingUnit)
        return await connection(info, statement, sort=[columns.code, columns.id], first=first, after=after)


@strawberry.type
class PricingUnitMutation:
    @mutation_field(scope="catalog:write", action="pricing_unit.create", description="Make a pricing unit.")
    async def pricing_unit_create(
        self, info: Info, input: Annotated[PricingUnitCreateInput, strawberry.argument(description="The new unit.")]
    ) -> PricingUnitPayload:
        row = await units.create_pricing_unit(
            info.context.session, code=input.code, name=input.name, uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )  # fmt: skip
        return PricingUnitPayload(pricing_unit=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="pricing_unit.archive",
        description="Let nothing new use a pricing unit: no conversion of a card, no balance. What uses it goes on.",
    )
    async def pricing_unit_archive(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the unit.")]
    ) -> PricingUnitPayload:
        unit_id = ids.from_text("pricing_unit", id, path=("id",))
        row = await units.archive_pricing_unit(info.context.session, unit_id, now=info.context.now)
        return PricingUnitPayload(pricing_unit=row)  # type: ignore[arg-type]
