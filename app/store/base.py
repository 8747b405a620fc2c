"""What every stored row has, and the mix-in for creates that are safe to repeat.

Owns `Row` and `Unique`. `created_at` is the caller's `now`, never the database's clock, so that demo, tests and
scenarios live in their own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import MetaData, inspect
from sqlalchemy.orm.attributes import instance_dict
from sqlmodel import Field, SQLModel

from app.store.ids import new_id
from app.store.types import ExactDecimal, UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING  # type: ignore[assignment]
METADATA: MetaData = SQLModel.metadata


class Row(SQLModel):
    """A stored record: a sortable id, and the instant at which it was made."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    created_at: datetime = Field(sa_type=UtcDateTime)  # type: ignore[call-overload]

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> Self:
        """A new row from the value of each of its columns, made as rows are that are read.

        For those that are made by the hundred: the constructor asks every field for its default and hands every value to
        a setter, which costs more than writing the row.
        """
        assert columns.keys() == cls.model_fields.keys(), "every column has a value"
        row: Self = inspect(cls).class_manager.new_instance()
        instance_dict(row).update(columns)
        return row


class Unique(SQLModel):
    """A row whose create may be repeated: the caller's own key, used at most once for ever."""

    uniqueness_key: str | None = Field(default=None, max_length=128, unique=True)


def exact(**options: Any) -> Any:
    """A NUMERIC column that refuses NaN: `amount: Decimal = exact()`."""
    return Field(sa_type=ExactDecimal, **options)  # type: ignore[call-overload]


def instant(**options: Any) -> Any:
    """A column of aware UTC instants: `starting_at: datetime = instant()`."""
    return Field(sa_type=UtcDateTime, **options)  # type: ignore[call-overload]
