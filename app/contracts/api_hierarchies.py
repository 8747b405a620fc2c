"""Hierarchies of contracts in GraphQL: what callers send, and how it is shown.

Owns the inputs and types; the rules are in `hierarchies.py`. A token of one customer sees no contract of another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from sqlmodel import select

from app.contracts import tables
from app.contracts.hierarchies import PATH, NewChild, NewParent
from app.core import hierarchy
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.values import described_enum
from app.store import ids

if TYPE_CHECKING:
    from app.contracts.api_types import Contract

Payer = described_enum(
    hierarchy.Payer,
    name="ContractPayer",
    description="Who pays for the invoices of a child contract.",
    sentences={
        hierarchy.Payer.SELF: "The child; they go where the contract itself is billed.",
        hierarchy.Payer.PARENT: "The parent; all of them go where the parent is billed.",
    },
)
UsageStatements = described_enum(
    hierarchy.UsageStatements,
    name="UsageStatementBehavior",
    description="How the usage statements of a child contract go out.",
    sentences={
        hierarchy.UsageStatements.CONSOLIDATE: "With those of the parent, where they lie inside its period and are issued "
        "on the same day (UTC); needs the payer PARENT.",
        hierarchy.UsageStatements.SEPARATE: "By themselves.",
    },
)
Consolidation = described_enum(
    hierarchy.Consolidation,
    name="InvoiceConsolidationType",
    description="Whether a parent puts usage statements together.",
    sentences={
        hierarchy.Consolidation.CONCATENATE: "The lines of its own statement and of its children's, one after the other.",
        hierarchy.Consolidation.NONE: "Every statement goes out by itself.",
    },
)


@strawberry.input(description="The contract under which another one stands.")
class ParentContractInput:
    customer_id: strawberry.ID = strawberry.field(description="Whose contract the parent is; any customer's.")
    contract_id: strawberry.ID = strawberry.field(description="The parent, which has no parent itself.")


@strawberry.input(
    description="The place of a new contract in a hierarchy: a child names its parent, at most 10 run under one; a parent "
    "says whether it puts statements together. It stays so."
)
class ContractHierarchyInput:
    parent: ParentContractInput | None = strawberry.field(default=None, description="Of a child: its parent.")
    payer: Payer | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Of a child: who pays for its invoices; default: SELF."
    )
    usage_statement_behavior: UsageStatements | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Of a child: how its usage statements go out; default: SEPARATE."
    )
    invoice_consolidation_type: Consolidation | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Of a parent: whether it puts usage statements together; default: NONE."
    )


def hierarchy_of(found: ContractHierarchyInput | None) -> NewChild | NewParent | None:
    """A place in a hierarchy as the service takes it. Errors: INVALID for a child that is told to be a parent, REQUIRED."""
    if found is None:
        return None
    if found.parent is None:
        if found.payer is not None or found.usage_statement_behavior is not None:
            raise InvalidInput(
                ErrorCode.REQUIRED, "Only a child has a payer and a way for its statements; name its parent.",
                path=(*PATH, "parent"),
            )  # fmt: skip
        if found.invoice_consolidation_type is None:
            raise InvalidInput(
                ErrorCode.REQUIRED, "Name the parent of a child, or say whether a parent puts statements together.", path=PATH
            )  # fmt: skip
        return NewParent(found.invoice_consolidation_type)
    if found.invoice_consolidation_type is not None:
        raise InvalidInput(
            ErrorCode.INVALID, "A child is no parent: a hierarchy has one level. Leave it out, or the parent.",
            path=(*PATH, "invoiceConsolidationType"),
        )  # fmt: skip
    return NewChild(
        ids.from_text("customer", found.parent.customer_id, path=(*PATH, "parent", "customerId")),
        ids.from_text("contract", found.parent.contract_id, path=(*PATH, "parent", "contractId")),
        found.payer or hierarchy.Payer.SELF,
        found.usage_statement_behavior or hierarchy.UsageStatements.SEPARATE,
    )


@strawberry.type(description="The place of a contract in a hierarchy, as it was agreed when the contract was made.")
class ContractHierarchy:
    payer: Payer | None = strawberry.field(  # type: ignore[valid-type]
        description="Of a child: who pays for its invoices."
    )
    usage_statement_behavior: UsageStatements | None = strawberry.field(  # type: ignore[valid-type]
        description="Of a child: how its usage statements go out."
    )
    invoice_consolidation_type: Consolidation | None = strawberry.field(  # type: ignore[valid-type]
        description="Of a contract that was made to be a parent: whether it puts usage statements together."
    )
    parent_id: strawberry.Private[UUID | None]

    @strawberry.field(description="Of a child: its parent; null for tokens of a customer that does not have it.")
    async def parent(self, info: Info) -> Annotated[Contract, strawberry.lazy("app.contracts.api_types")] | None:
        if self.parent_id is None:
            return None
        found = await info.context.load("contract", self.parent_id)
        return found if info.context.actor.customer_id in (None, found.customer_id) else None


def hierarchy_shown(row: tables.Contract) -> ContractHierarchy | None:
    """What was agreed; None for a contract that is no child and was not made to be a parent."""
    if row.parent_id is None and row.consolidation is None:
        return None
    return ContractHierarchy(
        payer=None if row.payer is None else hierarchy.Payer(row.payer),
        usage_statement_behavior=None
        if row.usage_statements is None
        else hierarchy.UsageStatements(row.usage_statements),
        invoice_consolidation_type=None if row.consolidation is None else hierarchy.Consolidation(row.consolidation),
        parent_id=row.parent_id,
    )


def of_contract(row: strawberry.Parent[tables.Contract]) -> ContractHierarchy | None:
    """The place of a contract, as a field."""
    return hierarchy_shown(row)


async def children(
    info: Info, row: strawberry.Parent[tables.Contract], first: First = 25, after: After = None
) -> Connection[Annotated[Contract, strawberry.lazy("app.contracts.api_types")]]:
    """The children of a contract, oldest first, archived ones too."""
    columns: Any = tables.Contract.__table__.c  # type: ignore[attr-defined]
    statement = select(tables.Contract).where(columns.parent_id == row.id)
    own = info.context.actor.customer_id
    if own is not None:
        statement = statement.where(columns.customer_id == own)
    return await connection(info, statement, sort=[columns.id], first=first, after=after)
