"""Payments for which commits wait, in GraphQL.

Owns their type; what tells their outcome is in the invoices slice.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.core import grants
from app.grants.api_kinds import PaymentGate, PaymentGateStatus
from app.grants.reading import gate_of
from app.grants.tables import GrantRow
from app.graphql.context import Info
from app.graphql.fields import object_field

if TYPE_CHECKING:
    from app.invoices.api_types import Invoice


@strawberry.type(description="The payment of a commit that can be used only once it is paid.")
class BalanceGate:
    collected_by: PaymentGate = strawberry.field(description="Who collects it.")  # type: ignore[valid-type]
    status: PaymentGateStatus = strawberry.field(description="What became of it.")  # type: ignore[valid-type]
    settled_at: datetime | None = strawberry.field(description="When that was told; null while it is awaited.")
    reason: str | None = strawberry.field(description="Why, in words; null while it is awaited.")
    row: strawberry.Private[GrantRow]

    @object_field(
        scope="invoices:read",
        description="The invoice that asks for it, the latest if it was made again; null before there is one. "
        "Scope: invoices:read.",
    )
    async def invoice(self, info: Info) -> Annotated[Invoice, strawberry.lazy("app.invoices.api_types")] | None:
        return await info.context.load("balance.purchase_invoice", self.row.id)


def gate_shown(row: GrantRow) -> BalanceGate | None:
    """The payment of a commit, as the API shows it."""
    status = gate_of(row)
    if row.gate is None or status is None:
        return None
    return BalanceGate(
        collected_by=grants.PaymentGate(row.gate), status=status, settled_at=row.gate_settled_at,
        reason=row.gate_reason, row=row,
    )  # fmt: skip
