"""Seats of subscriptions in GraphQL: what can be done with them.

Owns the mutations and their inputs; the rules are in `seat_rules.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.contracts.api_fees import ContractSubscriptionPayload
from app.contracts.seats import switch_to_seats, update_seats
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the subscription.")]


@strawberry.input(description="A change of seats from an hour on. Names go first, then come, free seats last.")
class SeatUpdateInput:
    starting_at: datetime = strawberry.field(
        description="From when on, a full hour within the subscription, not before the last fee that is final."
    )
    add_seat_ids: list[str] = strawberry.field(
        default_factory=list,
        description="Who is given a seat, at most 1,000: a free one, and only without one the quantity rises.",
    )
    remove_seat_ids: list[str] = strawberry.field(
        default_factory=list, description="Whose seat is taken away, at most 1,000; who has none changes nothing."
    )
    add_unassigned: int = strawberry.field(default=0, description="Free seats to add, 0 to 10,000.")
    remove_unassigned: int = strawberry.field(default=0, description="Free seats to take away, 0 to 10,000.")
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the change safe to repeat: a second use is refused."
    )


@strawberry.input(description="Makes a quantity one of seats.")
class SeatSwitchInput:
    starting_at: datetime = strawberry.field(description="From when on, a full hour within the subscription.")
    group_key: str = strawberry.field(description="The property by which events name a seat, 1 to 200 characters.")
    seat_ids: list[str] = strawberry.field(
        default_factory=list,
        description="Who has a seat from then on, at most 1,000; the rest of the quantity is free.",
    )


@strawberry.type
class SeatsMutation:
    @mutation_field(
        scope="contracts:write",
        action="subscription.update_seats",
        description="Give and take seats of a subscription from an hour on. To free a seat without losing it, remove its "
        "name and add an unassigned one.",
    )
    async def subscription_update_seats(
        self,
        info: Info,
        id: ID,
        input: Annotated[SeatUpdateInput, strawberry.argument(description="The change.")],
    ) -> ContractSubscriptionPayload:
        row = await update_seats(
            info.context.session,
            ids.from_text("subscription", id, path=("id",)),
            starting_at=input.starting_at,
            add=input.add_seat_ids,
            remove=input.remove_seat_ids,
            add_unassigned=input.add_unassigned,
            remove_unassigned=input.remove_unassigned,
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return ContractSubscriptionPayload(subscription=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="subscription.switch_to_seats",
        description="Let the quantity of a subscription be made of seats from an hour on; there is no way back.",
    )
    async def subscription_switch_to_seats(
        self,
        info: Info,
        id: ID,
        input: Annotated[SeatSwitchInput, strawberry.argument(description="The seats.")],
    ) -> ContractSubscriptionPayload:
        row = await switch_to_seats(
            info.context.session,
            ids.from_text("subscription", id, path=("id",)),
            starting_at=input.starting_at,
            group_key=input.group_key,
            seat_ids=input.seat_ids,
            now=info.context.now,
        )
        return ContractSubscriptionPayload(subscription=row)  # type: ignore[arg-type]
