"""Which children of a contract may draw on its balances, in GraphQL.

Owns the input and the type; the rules are in `sharing.py`.
"""

from __future__ import annotations

from uuid import UUID

import strawberry

from app.checks import Path
from app.core import hierarchy
from app.grants.sharing import sharing_of
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


@strawberry.type(description="Which children of its contract may draw on a balance.")
class BalanceChildAccess:
    type: ChildAccess = strawberry.field(description="All, none, or named ones.")  # type: ignore[valid-type]
    named: strawberry.Private[list[UUID]]

    @strawberry.field(description="With CONTRACT_IDS: their ids; none for tokens of one customer.")
    def contract_ids(self, info: Info) -> list[strawberry.ID]:
        if info.context.actor.customer_id is not None:
            return []
        return [strawberry.ID(ids.to_text("contract", contract_id)) for contract_id in self.named]


def sharing_in(found: ChildAccessInput | None, *, path: Path) -> hierarchy.Sharing:
    """What callers send, as the service takes it; nothing is NONE."""
    if found is None:
        return hierarchy.Sharing()
    place = (*path, "childAccess", "contractIds")
    return hierarchy.Sharing(found.type, [ids.from_text("contract", item, path=place) for item in found.contract_ids])


def sharing_shown(row: GrantRow | RecurringGrantRow) -> BalanceChildAccess:
    """What a row says of it."""
    found = sharing_of(row)
    return BalanceChildAccess(type=found.access, named=list(found.contract_ids))
