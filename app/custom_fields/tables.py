"""Rows of the custom-fields slice: registered keys, and their values on objects of any kind."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.store.base import Row, instant


class CustomFieldKey(Row, table=True):
    """A key that objects of one kind may have. A removed one stays, and its values with it, out of everybody's sight."""

    __tablename__ = "custom_field_keys"
    __table_args__ = (
        Index(
            "uq_custom_field_keys_registered",
            "entity",
            "key",
            unique=True,
            postgresql_where=text("removed_at is null"),
        ),
    )
    entity: str = Field(max_length=32)
    key: str = Field(max_length=100)
    enforce_uniqueness: bool = False
    removed_at: datetime | None = instant(default=None, nullable=True)


class CustomFieldValue(SQLModel, table=True):
    """The value of one key on one object, whose kind is that of the key.

    `unique_value` repeats the value where the key allows it once, so that an index of the database decides.
    """

    __tablename__ = "custom_field_values"
    __table_args__ = (
        UniqueConstraint("key_id", "unique_value"),
        Index("ix_custom_field_values_value", "key_id", "value"),
    )
    object_id: UUID = Field(primary_key=True)
    key_id: UUID = Field(foreign_key="custom_field_keys.id", primary_key=True)
    value: str = Field(max_length=200)
    unique_value: str | None = Field(default=None, max_length=200)
