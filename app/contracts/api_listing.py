"""Which contracts a list shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from app.contracts import tables
from app.contracts.api_inputs import ContractFilter
from app.contracts.api_standing import Status
from app.custom_fields.api_filters import Entity, with_custom_fields
from app.graphql.context import Info
from app.store import ids

COLUMNS: Any = tables.Contract.__table__.c  # type: ignore[attr-defined]


async def filtered(info: Info, wanted: ContractFilter) -> Select[Any]:
    """The contracts that are wanted."""
    statement: Select[Any] = select(tables.Contract)
    if wanted.customer_id is not None:
        customer_id = ids.from_text("customer", wanted.customer_id, path=("filter", "customerId"))
        statement = statement.where(COLUMNS.customer_id == customer_id)
    if wanted.covering_at is not None:
        statement = statement.where(_covers(wanted.covering_at))
    statement = await with_custom_fields(info, statement, Entity.CONTRACT, COLUMNS.id, wanted.custom_fields)
    if wanted.status is None:
        return statement.where(COLUMNS.archived_at.is_(None))
    return statement.where(or_(*(_stands(status, info.context.now) for status in wanted.status)))


def _covers(at: datetime) -> ColumnElement[bool]:
    return and_(COLUMNS.starting_at <= at, or_(COLUMNS.ending_before.is_(None), COLUMNS.ending_before > at))


def _stands(status: Status, now: datetime) -> ColumnElement[bool]:
    """The condition that `status_at` decides for one row."""
    alive = COLUMNS.archived_at.is_(None)
    return {
        Status.UPCOMING: and_(alive, COLUMNS.starting_at > now),
        Status.ACTIVE: and_(alive, _covers(now)),
        Status.ENDED: and_(alive, COLUMNS.ending_before <= now),
        Status.ARCHIVED: COLUMNS.archived_at.is_not(None),
    }[status]
