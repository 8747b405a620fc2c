"""Which children of a contract may draw on its balances, in GraphQL.

Owns the input and the type; the rules are in `sharing.py`.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from app.checks import Path
from app.core import hierarchy
from app.grants.child_access import changes_of, sharing_of
from app.grants.sharing_changes import SharingEdit
from app.grants.tables import GrantRow, RecurringGrantRow
from app.graphql.context import Info
from app.graphql.values import described_enum
from app.store import ids

ChildAccess = described_enum(
    hierarchy.ChildAccess,
    name="ChildAccess",
    description="Which children of its contract may draw on a balance.",
    sentences={
        hierarchy.ChildAccess.ALL: "All of them, those that are made later too.",
        hierarchy.ChildAccess.NONE: "None of them.",
        hierarchy.ChildAccess.CONTRACT_IDS: "Those that are named.",
    },
)


@strawberry.input(description="Which children of its contract may draw on a balance.")
class ChildAccessInput:
    type: ChildAccess = strawberry.field(description="All, none, or named ones.")  # type: ignore[valid-type]
    contract_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="With CONTRACT_IDS: children of the contract, 1 to 100."
    )


@strawberry.input(description="Which children may draw on a balance from an instant on.")
class ChildAccessUpdateInput(ChildAccessInput):
    starting_at: datetime | None = strawberry.field(
        default=None,
        description="From which full hour on; default: the hour that runs. Open invoices follow, for usage from then on; of "
        "two changes with one start the later one holds.",
    )


@strawberry.type(description="Which children of its contract may draw on a balance.")
class BalanceChildAccess:
    type: ChildAccess = strawberry.field(description="All, none, or named ones.")  # type: ignore[valid-type]
    named: strawberry.Private[list[UUID]]

    @strawberry.field(description="With CONTRACT_IDS: their ids; none for tokens of one customer.")
    def contract_ids(self, info: Info) -> list[strawberry.ID]:
        if info.context.actor.customer_id is not None:
            return []
        return [strawberry.ID(ids.to_text("contract", contract_id)) for contract_id in self.named]


@strawberry.type(description="Which children may draw on a balance from an instant on, until the next change.")
class BalanceChildAccessChange:
    starting_at: datetime = strawberry.field(description="From when on.")
    child_access: BalanceChildAccess = strawberry.field(description="Which.")


def sharing_in(found: ChildAccessInput | None, *, path: Path) -> hierarchy.Sharing:
    """What callers send, as the service takes it; nothing is NONE."""
    if found is None:
        return hierarchy.Sharing()
    place = (*path, "childAccess", "contractIds")
    return hierarchy.Sharing(found.type, [ids.from_text("contract", item, path=place) for item in found.contract_ids])


def change_in(found: ChildAccessUpdateInput, *, path: Path) -> SharingEdit:
    """A change of it, as the service takes it."""
    return SharingEdit(sharing_in(found, path=path), found.starting_at)


def sharing_shown(row: RecurringGrantRow) -> BalanceChildAccess:
    """What a recurring balance says of its children."""
    return _shown(sharing_of(row))


def sharing_now(row: GrantRow, *, now: datetime) -> BalanceChildAccess:
    """Who may draw on a balance now."""
    return _shown(hierarchy.sharing_at(sharing_of(row), changes_of(row), now))


def changes_shown(row: GrantRow) -> list[BalanceChildAccessChange]:
    """Its changes by start, without those that a later one replaced."""
    by_start = {change.starting_at: change.sharing for change in changes_of(row)}
    return [
        BalanceChildAccessChange(starting_at=start, child_access=_shown(by_start[start])) for start in sorted(by_start)
    ]


def _shown(found: hierarchy.Sharing) -> BalanceChildAccess:
    return BalanceChildAccess(type=found.access, named=list(found.contract_ids))
