"""A row that is made from its columns is like one that the model's constructor made: before it is written and after."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlmodel import col, select

from app.notices.tables import Notice
from app.store.engine import Store
from app.store.ids import new_id


async def test_a_row_of_columns_is_like_one_of_the_constructor(store: Store, now: datetime) -> None:
    said = {
        "created_at": now, "type": "invoice.finalized", "occurred_at": now, "subject_id": new_id(), "customer_id": None,
        "contract_id": None, "data": {"a": ["b", None]}, "once": None,
    }  # fmt: skip
    async with store.transaction() as session:
        rows = [Notice(**said), Notice.of_columns({"id": new_id(), **said})]
        session.add_all(rows)
        assert all(row in session.new for row in rows)
        rows[1].type = "invoice.voided"
        await session.flush()
        assert await session.get_one(Notice, rows[1].id) is rows[1]
        assert not session.dirty
        for row in rows:
            row.once = str(row.id)
        assert {row.id for row in session.dirty} == {row.id for row in rows}
    async with store.transaction() as session:
        read = (await session.scalars(select(Notice).order_by(col(Notice.id)))).all()
    assert [row.model_dump() for row in read] == [row.model_dump() for row in rows]
    assert [row.model_dump(exclude={"id", "type", "once"}) for row in read] == [
        {name: value for name, value in said.items() if name not in ("type", "once")}
    ] * 2
    assert [row.type for row in read] == ["invoice.finalized", "invoice.voided"]


def test_a_row_of_columns_has_a_value_for_each(now: datetime) -> None:
    with pytest.raises(AssertionError, match="every column"):
        Notice.of_columns({"created_at": now})
