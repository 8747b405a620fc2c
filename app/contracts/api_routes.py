"""Where a contract's invoices go over time, in GraphQL.

Owns the type of a segment, the enum and input of an update, and the loader of a contract's choices. The rules are in
`routing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import strawberry
from sqlmodel import col, select

from app.contracts import routing, tables
from app.contracts.terms import contract_period
from app.core import routing as core
from app.customers import routes
from app.customers.api_types import BillingConfiguration
from app.graphql.context import Context, Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS
from app.graphql.values import Interval, described_enum
from app.store import ids

EffectiveAt = described_enum(
    core.EffectiveAt,
    name="BillingConfigurationEffectiveAt",
    description="From which statement period of a contract on another billing configuration holds.",
    sentences={
        core.EffectiveAt.START_OF_CURRENT_PERIOD: "From the one that runs; refused where a marketplace is left or joined.",
        core.EffectiveAt.START_OF_NEXT_PERIOD: "From the next one; the one that runs is billed as before.",
    },
)


@strawberry.type(description="A stretch of a contract's statement periods whose invoices go one way.")
class BillingConfigurationSegment:
    interval: Interval = strawberry.field(
        description="Which invoices: those whose service period, or without one whose date, begins in it."
    )
    follows_default: bool = strawberry.field(description="Whether the customer's default decides.")
    configuration_id: strawberry.Private[UUID | None]

    @object_field(
        scope="customers:read",
        description="What was chosen; null leaves it to the customer's default. Scope: customers:read.",
    )
    async def billing_configuration(self, info: Info) -> BillingConfiguration | None:
        if self.configuration_id is None:
            return None
        return await info.context.load("billing_configuration", self.configuration_id)


@strawberry.input(
    description="From a statement period on, a contract's invoices go through another billing configuration."
)
class BillingConfigurationUpdateInput:
    billing_configuration_id: strawberry.ID | None = strawberry.field(
        description="The choice, one of the customer's; null leaves it to the customer's default."
    )
    effective_at: EffectiveAt = strawberry.field(  # type: ignore[valid-type]
        description="The period with which it begins; an update of the same period is replaced, later ones stay."
    )


def update_asked(found: BillingConfigurationUpdateInput | None) -> routing.RouteUpdate | None:
    """The update that an input asks for."""
    if found is None:
        return None
    path = ("input", "addBillingConfigurationUpdate", "billingConfigurationId")
    chosen = found.billing_configuration_id
    return routing.RouteUpdate(
        None if chosen is None else ids.from_text("billing_configuration", chosen, path=path), found.effective_at
    )


def segments_shown(contract: tables.Contract, choices: Sequence[core.Choice]) -> list[BillingConfigurationSegment]:
    """The stretches of a contract, by start; at most ten."""
    return [
        BillingConfigurationSegment(
            interval=Interval(starting_at=period.starting_at, ending_before=period.ending_before),
            follows_default=choice.configuration_id is None,
            configuration_id=choice.configuration_id,
        )
        for period, choice in core.segments(choices, contract=contract_period(contract))
    ]


def known_choices(contract: tables.Contract, rows: Sequence[tables.BillingConfigurationUpdateRow]) -> list[core.Choice]:
    """What a contract and these updates of it choose."""
    first = core.Choice(contract.starting_at.astimezone(UTC), contract.billing_configuration_id)
    return [
        first, *(core.Choice(row.starting_at.astimezone(UTC), row.billing_configuration_id) for row in rows)
    ]  # fmt: skip


async def chosen_at(info: Info, choices: Sequence[core.Choice], at: datetime) -> BillingConfiguration | None:
    """The configuration that is chosen for an instant."""
    chosen = core.choice_at(choices, at).configuration_id
    return None if chosen is None else await info.context.load("billing_configuration", chosen)


async def schedule_of_contract(
    info: Info, row: strawberry.Parent[tables.Contract]
) -> list[BillingConfigurationSegment]:
    """The stretches of a contract's statement periods, as its choices stand now."""
    return segments_shown(row, await info.context.load("contract.choices", row.id))


async def _load(context: Context, keys: Sequence[UUID]) -> Sequence[list[core.Choice]]:
    contracts = (await context.session.scalars(select(tables.Contract).where(col(tables.Contract.id).in_(keys)))).all()
    found = await routes.choices_of(context.session, contracts)
    return [found[key] for key in keys]


LOADERS["contract.choices"] = _load
