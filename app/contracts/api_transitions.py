"""Contracts that follow others, in GraphQL: what callers send, and how it is shown.

Owns the input, the type and the loaders; the rules are in `transitions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from sqlmodel import col, select

from app.contracts import tables, transitions
from app.core import rollover
from app.graphql.context import Context, Info
from app.graphql.nodes import LOADERS
from app.graphql.values import described_enum
from app.store import ids

if TYPE_CHECKING:
    from app.contracts.api_types import Contract

TransitionType = described_enum(
    rollover.TransitionType,
    name="ContractTransitionType",
    description="How a contract follows another. Either way the old one ends where the new one starts.",
    sentences={
        rollover.TransitionType.RENEWAL: "It takes unused balances along, as far as their rollover fraction says.",
        rollover.TransitionType.SUPERSEDE: "Nothing comes along; what is left of the old balances expires.",
    },
)
FutureTrueUps = described_enum(
    rollover.FutureTrueUps,
    name="FutureTrueUps",
    description="What becomes of the old contract's true-ups.",
    sentences={
        rollover.FutureTrueUps.AS_IS: "They are billed as planned, less what rolls over.",
        rollover.FutureTrueUps.REMOVE: "They are dropped.",
    },
)


@strawberry.input(description="The contract that a new one follows.")
class ContractTransitionInput:
    from_contract_id: strawberry.ID = strawberry.field(
        description="A contract of the same customer, in which the new one starts or with whose end it begins."
    )
    type: TransitionType = strawberry.field(description="How it follows.")  # type: ignore[valid-type]
    future_true_ups: FutureTrueUps = strawberry.field(  # type: ignore[valid-type]
        default=rollover.FutureTrueUps.AS_IS, description="What becomes of the old contract's true-ups."
    )


def transition_of(found: ContractTransitionInput | None) -> transitions.NewTransition | None:
    """A transition as the service takes it."""
    if found is None:
        return None
    old_id = ids.from_text("contract", found.from_contract_id, path=transitions.PATH)
    return transitions.NewTransition(old_id, found.type, found.future_true_ups)


@strawberry.type(description="A contract that followed another.")
class ContractTransition:
    row: strawberry.Private[tables.TransitionRow]

    @strawberry.field(description="How it followed.")
    def type(self) -> TransitionType:  # type: ignore[valid-type]
        return rollover.TransitionType(self.row.type)

    @strawberry.field(description="What becomes of the old contract's true-ups.")
    def future_true_ups(self) -> FutureTrueUps:  # type: ignore[valid-type]
        return rollover.FutureTrueUps(self.row.true_ups)

    @strawberry.field(description="When the old contract ended and the new one started.")
    def at(self) -> datetime:
        return self.row.at

    @strawberry.field(
        description="When what rolls over was posted; null while the last usage statement of the old contract is open."
    )
    def settled_at(self) -> datetime | None:
        return self.row.settled_at

    @strawberry.field(description="The old contract.")
    async def from_contract(self, info: Info) -> Annotated[Contract, strawberry.lazy("app.contracts.api_types")]:
        return await info.context.load("contract", self.row.from_id)

    @strawberry.field(description="The new contract.")
    async def to_contract(self, info: Info) -> Annotated[Contract, strawberry.lazy("app.contracts.api_types")]:
        return await info.context.load("contract", self.row.contract_id)


async def _from(context: Context, keys: Sequence[UUID]) -> Sequence[ContractTransition | None]:
    """How each of these contracts came about, where it follows another."""
    rows = await context.session.scalars(
        select(tables.TransitionRow).where(col(tables.TransitionRow.contract_id).in_(keys))
    )
    found = {row.contract_id: ContractTransition(row=row) for row in rows}
    return [found.get(key) for key in keys]


async def _to(context: Context, keys: Sequence[UUID]) -> Sequence[ContractTransition | None]:
    """How each of these contracts was followed; a successor that is archived follows nothing."""
    followed = await transitions.live_transitions(context.session, from_ids=keys)
    return [ContractTransition(row=followed[key]) if key in followed else None for key in keys]


LOADERS["contract.transitioned_from"] = _from
LOADERS["contract.transitioned_to"] = _to
