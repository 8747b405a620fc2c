"""Compares a column with many values as one parameter.

Owns that form. `in_` writes a parameter for each value: the text of the query is made and parsed anew for each number of
them, which costs a billing run more than the answer does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Dialect, Uuid, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped
from sqlalchemy.types import UserDefinedType


class _Ids(UserDefinedType[Collection[UUID | None]]):
    """Ids as one text. The driver writes a list value by value, which for some hundred takes longer than the answer."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "UUID[]"

    def bind_processor(self, dialect: Dialect) -> Any:
        return lambda values: "{" + ",".join(["NULL" if value is None else value.hex for value in values]) + "}"


def among(column: ColumnElement[Any] | Mapped[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of the values; of none, nothing has."""
    expression = cast("ColumnElement[Any]", column)
    if isinstance(expression.type, Uuid):
        return expression == any_(literal(list(values), _Ids()))
    return expression == any_(literal(list(values), ARRAY(expression.type)))
