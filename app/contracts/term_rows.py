"""Which rows say what was agreed in a contract.

Owns the list, with what the history calls each kind, and their reading. A new kind of term joins here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.contracts import tables
from app.contracts.row_values import columns_of
from app.core.ledger import TransferKind
from app.grants.shown import KINDS
from app.grants.tables import GrantRow, RecurringGrantRow, SegmentRow, TransferRow
from app.store.base import Row

TERMS: Mapping[type[Row], str] = {
    tables.Contract: "contract",
    tables.BillingConfigurationUpdateRow: "billing_configuration_update",
    tables.OverrideRow: "override",
    tables.UsageFilterRow: "usage_filter",
    tables.ScheduledChargeRow: "scheduled_charge",
    tables.SubscriptionRow: "subscription",
    tables.QuantityUpdateRow: "quantity_update",
    tables.SeatChangeRow: "seat_change",
    tables.ThresholdRow: "threshold",
    RecurringGrantRow: "recurring_grant",
    GrantRow: "balance",
    SegmentRow: "segment",
    TransferRow: "transfer",
}
"""Class of rows -> what the history calls them. Those that have no parent name their contract."""
PARENTS: Mapping[type[Row], tuple[type[Row], str]] = {
    tables.QuantityUpdateRow: (tables.SubscriptionRow, "subscription_id"),
    tables.SeatChangeRow: (tables.SubscriptionRow, "subscription_id"),
    SegmentRow: (GrantRow, "grant_id"),
    TransferRow: (GrantRow, "grant_id"),
}
"""Rows that belong to a contract through another row of its terms, and the column that names it."""


def is_agreed(row: Row) -> bool:
    """Whether a row says what people agreed: of transfers only entries by hand do, the others are the ledger's."""
    return not isinstance(row, TransferRow) or row.kind == TransferKind.MANUAL


def kind_of(row: Row) -> str:
    """What the history calls a row."""
    return KINDS[row.type] if isinstance(row, GrantRow) else TERMS[type(row)]


async def parent_of(session: AsyncSession, row: Row) -> Any:
    """The row through which this one belongs to a contract; None for one that names its contract itself."""
    if type(row) not in PARENTS:
        return None
    parent_class, column = PARENTS[type(row)]
    return await session.get_one(parent_class, getattr(row, column))


async def rows_of(session: AsyncSession, contract: tables.Contract) -> list[Any]:
    """All rows of a contract's terms but transfers, removed and archived ones too."""
    found: list[Any] = [contract]
    for row_class in TERMS:
        if row_class in (tables.Contract, TransferRow):
            continue
        if row_class in PARENTS:
            parent_class, column = PARENTS[row_class]
            parents: list[UUID] = [row.id for row in found if isinstance(row, parent_class)]
            rows = await session.scalars(select(row_class).where(columns_of(row_class)[column].in_(parents)))
        else:
            rows = await session.scalars(select(row_class).where(columns_of(row_class)["contract_id"] == contract.id))
        found += rows.all()
    return found
