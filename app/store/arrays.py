"""Compares a column with many values as one parameter.

Owns that form. `in_` writes a parameter for each value: the text of the query is made and parsed anew for each number of
them, which costs a billing run more than the answer does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from sqlalchemy import ColumnElement, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped


def among(column: ColumnElement[Any] | Mapped[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of the values; of none, nothing has."""
    expression = cast("ColumnElement[Any]", column)
    return expression == any_(literal(list(values), ARRAY(expression.type)))
