"""Edits of contracts in GraphQL: how their history is shown.

Owns the type of a record and the list of those of a contract; what an edit may do is in `invoices/contract_edits.py`.
"""

from __future__ import annotations

from datetime import datetime

import strawberry
from sqlalchemy import false, select

from app.contracts import tables
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.nodes import Node, node_type
from app.graphql.scalars import JSON


@strawberry.type(description="Who asked for an edit.")
class ContractEditActor:
    kind: str = strawberry.field(description="key, embed, command, job or system.")
    name: str = strawberry.field(description="Name of the key, command or job.")


@node_type(
    "contract_edit",
    of=tables.ContractEditRow,
    scope="contracts:read",
    description="What one edit of a contract changed; it is never changed itself.",
)
class ContractEdit(Node):
    uniqueness_key: str | None = strawberry.field(description="The key that made it safe to repeat.")
    changes: JSON = strawberry.field(
        description="What it changed: name, netPaymentTermsDays and endingBefore as they became, the ids of what was added "
        "(usage filters as they are), of removedOverrides and updatedBalances, and quantities."
    )

    @strawberry.field(description="When it was carried out.")
    def at(self, row: strawberry.Parent[tables.ContractEditRow]) -> datetime:
        return row.created_at

    @strawberry.field(description="Who asked for it.")
    def actor(self, row: strawberry.Parent[tables.ContractEditRow]) -> ContractEditActor:
        return ContractEditActor(kind=row.actor_kind, name=row.actor_name)


async def edit_history(
    info: Info, row: strawberry.Parent[tables.Contract], first: First = 25, after: After = None
) -> Connection[ContractEdit]:
    """The records of a contract's edits, newest first."""
    columns = tables.ContractEditRow.__table__.c  # type: ignore[attr-defined]
    statement = select(tables.ContractEditRow).where(columns.contract_id == row.id)
    # They tell who works for the seller, so a customer's own token sees none of them.
    if info.context.actor.customer_id is not None:
        statement = statement.where(false())
    return await connection(info, statement, sort=[columns.id], descending=True, first=first, after=after)
