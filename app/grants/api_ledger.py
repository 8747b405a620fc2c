"""How the ledger of a balance is shown.

Owns the GraphQL type of an entry; which entries there are is worked out by the core.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from app.core import ledger
from app.grants.api_terms import ContractRef
from app.graphql.context import Info
from app.graphql.nodes import visible
from app.graphql.values import Money
from app.store import ids


@strawberry.type(description="An entry in the ledger of a balance.")
class LedgerEntry:
    type: str = strawberry.field(
        description="What it is, such as CREDIT_SEGMENT_START, PREPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION, "
        "POSTPAID_COMMIT_TRUEUP or CREDIT_EXPIRATION."
    )
    at: datetime = strawberry.field(description="Under which instant it stands.")
    segment: int = strawberry.field(description="Number of its segment.")
    amount: Money = strawberry.field(description="Above zero into the balance, below zero out of it.")
    running_balance: Money = strawberry.field(description="Sum of the segment's entries up to and with this one.")
    reason: str | None = strawberry.field(description="Why, for an entry by hand.")
    is_draft: bool = strawberry.field(description="Whether it is the draw of a draft, which may change still.")
    invoice_id: strawberry.ID | None = strawberry.field(
        description="Id of the invoice or draft that drew it, billed what was missing, or gave it back."
    )
    row_of_contract: strawberry.Private[UUID | None]

    @strawberry.field(
        description="The contract for which it was drawn, or into which it rolled over; null for tokens of one customer "
        "when it is a child of another."
    )
    async def contract(self, info: Info) -> ContractRef | None:
        if self.row_of_contract is None:
            return None
        found = await info.context.load("contract", self.row_of_contract)
        return found if visible(info.context.actor, found) else None


def entry_shown(entry: ledger.LedgerEntry, unit: str) -> LedgerEntry:
    """An entry of the core as GraphQL shows it, in the unit of its balance."""
    return LedgerEntry(
        type=entry.type,
        at=entry.at,
        segment=entry.segment,
        amount=Money.of(entry.amount, unit),
        running_balance=Money.of(entry.balance, unit),
        reason=entry.reason,
        is_draft=entry.is_draft,
        invoice_id=None if entry.invoice_id is None else strawberry.ID(ids.to_text("invoice", entry.invoice_id)),
        row_of_contract=entry.contract_id,
    )
