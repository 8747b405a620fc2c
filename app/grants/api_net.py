"""One number: what a customer can use now of its balances in one unit.

Owns the sum of semantics 5.6. Which drafts have drawn is told by the invoices slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from uuid import UUID

from app.checks import at_most
from app.core.ledger import GrantStatus, balance_at
from app.core.money import ZERO, exact
from app.grants import reading
from app.grants.api_filters import NetBalanceFilter, matching
from app.grants.api_types import status_of
from app.grants.references import check_unit
from app.graphql.context import Info
from app.graphql.values import described_enum

MAX_FILTERS = 20


class InclusionMode(Enum):
    """Which invoices have drawn on balances."""

    FINALIZED_AND_DRAFT = "FINALIZED_AND_DRAFT"
    FINALIZED = "FINALIZED"


InvoiceInclusionMode = described_enum(
    InclusionMode,
    name="InvoiceInclusionMode",
    description="Which invoices have drawn on balances.",
    sentences={
        InclusionMode.FINALIZED_AND_DRAFT: "Final ones and drafts.",
        InclusionMode.FINALIZED: "Only final ones.",
    },
)
_LOADERS = {
    InclusionMode.FINALIZED_AND_DRAFT: "balance.state",
    InclusionMode.FINALIZED: "balance.final_state",
}


async def net_amount(
    info: Info, customer_id: UUID, unit: str, mode: InclusionMode, filters: Sequence[NetBalanceFilter] | None
) -> Decimal:
    """What can be used now of the balances that any filter reaches. Errors: INVALID, CUSTOM_FIELD_UNKNOWN."""
    await check_unit(info.context.session, unit, path=("unit",))
    at_most(filters or (), MAX_FILTERS, path=("filters",))
    rows = [row for row in await reading.rows_of_customer(info.context.session, customer_id) if row.unit == unit]
    if filters is not None:
        reached = [
            row.id
            for place, wanted in enumerate(filters)
            for row in await matching(info, rows, wanted, path=("filters", str(place)))
        ]
        rows = [row for row in rows if row.id in set(reached)]
    states = await info.context.load_many(_LOADERS[mode], [row.id for row in rows])
    now = info.context.now
    with exact():
        return sum(
            (
                balance_at(state.grant, state.movements, at=now)
                for row, state in zip(rows, states, strict=True)
                if status_of(row, state, at=now) is GrantStatus.ACTIVE
            ),
            ZERO,
        )
