"""The three column types that money and time need; no other module declares such a column.

`ExactDecimal` is NUMERIC behind the database domain `exact_numeric`, which refuses NaN and infinities: PostgreSQL sorts
NaN above every number, so an ordinary CHECK (x >= 0) would let it through.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, UserDefinedType


class _ExactNumeric(UserDefinedType[Decimal]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "exact_numeric"


class ExactDecimal(TypeDecorator[Decimal]):
    """A finite Decimal, kept to the last digit. Floats and integers are refused: amounts are Decimal everywhere."""

    impl = _ExactNumeric
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | None:
        if value is not None and not (isinstance(value, Decimal) and value.is_finite()):
            raise ValueError(f"{value!r} is not a finite Decimal")
        return value


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, stored and returned in UTC; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


class JsonOf(TypeDecorator[Any]):
    """A core value in a JSONB column, through its own pair of codec functions."""

    impl = JSONB
    cache_ok = True

    def __init__(self, dump: Callable[[Any], Any], load: Callable[[Any], Any]) -> None:
        super().__init__(none_as_null=True)
        # Under the parameters' own names they are part of the key by which compiled statements are found again.
        self.dump, self.load = dump, load

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.dump(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.load(value)
