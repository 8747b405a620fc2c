"""Seats of subscriptions in GraphQL: how they are shown.

Owns their types; mutations are in `api_seat_changes.py`, the rules in `seat_rules.py`.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from app.contracts import tables
from app.contracts.quantity_history import History, first_seats
from app.core import seats as core
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.values import described_enum


class Management(Enum):
    """What the quantity of a subscription is made of."""

    QUANTITY_ONLY = "QUANTITY_ONLY"
    SEAT_BASED = "SEAT_BASED"


QuantityManagement = described_enum(
    Management,
    name="QuantityManagement",
    description="What the quantity of a subscription is made of.",
    sentences={
        Management.QUANTITY_ONLY: "It is only a number.",
        Management.SEAT_BASED: "Seats: names, and free ones.",
    },
)


@strawberry.type(description="A seat that somebody has.")
class Seat:
    id: str = strawberry.field(description="Who has it, as you name them.")


@strawberry.type(description="A change of seats from an hour on.")
class SeatChange:
    starting_at: datetime = strawberry.field(description="From when on.")
    added: list[str] = strawberry.field(description="Who was given a seat.")
    removed: list[str] = strawberry.field(description="Whose seat was taken away.")
    unassigned: int = strawberry.field(description="How many free seats were added; negative when taken away.")


@strawberry.type(description="The seats of a subscription.")
class SubscriptionSeats:
    group_key: str = strawberry.field(description="The property by which events name a seat.")
    unassigned: int = strawberry.field(description="Seats that nobody has; they are paid for as well.")
    assigned_names: strawberry.Private[tuple[str, ...]]
    changes: strawberry.Private[list[core.SeatChange]]

    @strawberry.field(description="Seats that somebody has, in the order in which they were given.")
    def assigned(self, first: First = 25, after: After = None) -> Connection[Seat]:
        return list_connection(
            [Seat(id=name) for name in self.assigned_names], key=lambda seat: seat.id, first=first, after=after
        )

    @strawberry.field(description="How they changed, in the order in which the changes were added; later ones too.")
    def history(self, first: First = 25, after: After = None) -> Connection[SeatChange]:
        shown = [
            SeatChange(
                starting_at=item.starting_at,
                added=list(item.add),
                removed=list(item.remove),
                unassigned=item.unassigned,
            )
            for item in self.changes
        ]
        places = {id(item): str(place) for place, item in enumerate(shown)}
        return list_connection(shown, key=lambda item: places[id(item)], first=first, after=after)


async def seats_shown(info: Info, row: tables.SubscriptionRow) -> SubscriptionSeats | None:
    """The seats of a subscription at the caller's instant, if its quantity is made of some."""
    if row.seats_from is None:
        return None
    history: History = await info.context.load("subscription.history", row.id)
    return seats_of(row, history.seat_changes, at=info.context.now)


def seats_of(row: tables.SubscriptionRow, changes: list[core.SeatChange], *, at: datetime) -> SubscriptionSeats | None:
    """The seats of a subscription at an instant; None when its quantity is only a number."""
    if row.seats_from is None or row.seat_group_key is None:
        return None
    found = core.seats_at(first_seats(row), changes, at)
    return SubscriptionSeats(
        group_key=row.seat_group_key, unassigned=found.unassigned, assigned_names=found.assigned, changes=changes
    )
