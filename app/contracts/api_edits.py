"""The history of contracts in GraphQL: how it is shown.

Owns the type of a record and the list of those of a contract; what is recorded is settled in `history.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import false, select

from app.contracts import tables
from app.contracts.history import CUSTOM_FIELDS
from app.contracts.row_values import shown
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.nodes import Node, node_type
from app.graphql.scalars import JSON
from app.store import ids

PUBLIC = {"recurring_grant": "recurring_balance", "transfer": "entry"}
"""Kinds that the API calls otherwise."""


@strawberry.type(description="Who asked for a change.")
class ContractEditActor:
    kind: str = strawberry.field(description="key, embed, command, job or system.")
    name: str = strawberry.field(description="Name of the key, command or job.")


@strawberry.type(description="What one change did to one object: what was agreed before, and after.")
class ContractChange:
    kind: str = strawberry.field(
        description="contract, billing_configuration_update, override, usage_filter, scheduled_charge, subscription, quantity_update, seat_change, "
        "recurring_balance, commit, credit, segment (of a balance), entry (by hand, of a balance) or custom_fields."
    )
    id: strawberry.ID | None = strawberry.field(description="Its id; null for kinds whose objects have none.")
    of: strawberry.ID | None = strawberry.field(
        description="The subscription, balance or contract of which it is a part; null for what stands for itself."
    )
    before: JSON | None = strawberry.field(
        description="What changed of it, by name, as it was; null for what the change made."
    )
    after: JSON = strawberry.field(description="The same as it became; of what was made, everything that was given.")


@node_type(
    "contract_edit",
    of=tables.ContractEditRow,
    scope="contracts:read",
    description="One change of a contract, whatever asked for it; it is never changed itself.",
)
class ContractEdit(Node):
    action: str = strawberry.field(description="What asked for it, as in the audit log: contract.edit, balance.update.")
    uniqueness_key: str | None = strawberry.field(description="The key that made it safe to repeat.")

    @strawberry.field(description="Its id once more when it is an amendment; else null.")
    def amendment_id(self, row: strawberry.Parent[tables.ContractEditRow]) -> strawberry.ID | None:
        return None if row.amends_from is None else strawberry.ID(ids.to_text("contract_edit", row.id))

    @strawberry.field(description="The instant from which an amendment holds; else null.")
    def amends_from(self, row: strawberry.Parent[tables.ContractEditRow]) -> datetime | None:
        return row.amends_from

    @strawberry.field(description="What it changed, kind by kind; what it made has no `before`.")
    def changes(self, row: strawberry.Parent[tables.ContractEditRow]) -> list[ContractChange]:
        # What only counts its changes, as a contract does, was not itself changed.
        return [change for change in map(_change, row.changes) if change.before != change.after]

    @strawberry.field(description="When it was carried out.")
    def at(self, row: strawberry.Parent[tables.ContractEditRow]) -> datetime:
        return row.created_at

    @strawberry.field(description="Who asked for it.")
    def actor(self, row: strawberry.Parent[tables.ContractEditRow]) -> ContractEditActor:
        return ContractEditActor(kind=row.actor_kind, name=row.actor_name)


def _change(entry: Mapping[str, Any]) -> ContractChange:
    # Custom fields have names of the caller's own.
    show = dict if entry["kind"] == CUSTOM_FIELDS else shown
    return ContractChange(
        kind=PUBLIC.get(entry["kind"], entry["kind"]),
        id=_id(entry["kind"], entry["id"]),
        of=_id(entry.get("of"), entry.get("ofId")),
        before=None if entry["before"] is None else show(entry["before"]),  # type: ignore[arg-type]
        after=show(entry["after"]),  # type: ignore[arg-type]
    )


def _id(kind: str | None, digits: str | None) -> strawberry.ID | None:
    return strawberry.ID(ids.to_text(kind, UUID(digits))) if kind in ids.PREFIXES and digits else None


async def edit_history(
    info: Info, row: strawberry.Parent[tables.Contract], first: First = 25, after: After = None
) -> Connection[ContractEdit]:
    """The records of a contract's changes, newest first."""
    columns = tables.ContractEditRow.__table__.c  # type: ignore[attr-defined]
    statement = select(tables.ContractEditRow).where(columns.contract_id == row.id)
    # They tell who works for the seller, so a customer's own token sees none of them.
    if info.context.actor.customer_id is not None:
        statement = statement.where(false())
    return await connection(info, statement, sort=[columns.id], descending=True, first=first, after=after)
