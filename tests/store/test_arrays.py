"""A column compared with many values as one parameter: what is found, and that the question has one text."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Uuid, column, select
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.sql import values
from sqlalchemy.types import Text

from app.store.arrays import among
from app.store.engine import Store

A, B, C = (UUID(int=number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("sought", "found"), [([], []), ([A], [A]), ([C, A, A], [A, C]), ([None, B], [B]), ({UUID(int=9)}, [])]
)
async def test_ids_are_found(store: Store, sought: list[UUID], found: list[UUID]) -> None:
    ids = values(column("id", Uuid), name="ids").data([(A,), (B,), (C,)])
    async with store.transaction() as session:
        rows = await session.execute(select(ids.c.id).where(among(ids.c.id, sought)).order_by(ids.c.id))
        assert list(rows.scalars()) == found
        # Neither is an id that is unknown among others, nor is it known not to be.
        rows = await session.execute(select(ids.c.id).where(~among(ids.c.id, sought)).order_by(ids.c.id))
        assert list(rows.scalars()) == ([] if None in sought else [item for item in (A, B, C) if item not in found])


async def test_texts_are_found(store: Store) -> None:
    names = values(column("name", Text), name="names").data([("a,b",), ('"',), ("NULL",)])
    async with store.transaction() as session:
        rows = await session.execute(select(names.c.name).where(among(names.c.name, ["NULL", '"'])))
        assert sorted(rows.scalars()) == ['"', "NULL"]


def test_the_text_is_the_same_for_any_number() -> None:
    texts = {
        str(select(column("id", Uuid)).where(among(column("id", Uuid), ids)).compile(dialect=psycopg.dialect()))
        for ids in ([], [A], [A, B, C])
    }
    assert len(texts) == 1
