"""Columns of rows as JSON, and back: what the history of a contract keeps of its terms.

Owns that form. Every kind of column has one, so that a row can be rebuilt as it was; people see it through `shown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Uuid, inspect
from sqlalchemy.dialects import postgresql

from app.checks import public_name
from app.core.money import canonical
from app.store.ids import to_text
from app.store.types import ExactDecimal, JsonOf, UtcDateTime

DIALECT = postgresql.dialect()
INNER = frozenset({
    "id", "created_at", "customer_id", "contract_id", "added", "revision", "uniqueness_key", "grant_id", "threshold_id",
    "is_refund",
})  # fmt: skip
"""Columns that tell where a row stands; nobody asked for a change of them."""
NAMED = {
    "product_id": "product", "product_ids": "product", "rate_card_id": "rate_card", "contract_ids": "contract",
    "invoice_contract_id": "contract", "billing_configuration_id": "billing_configuration",
    "subscription_id": "subscription", "package_id": "package", "parent_id": "contract", "child_contract_ids": "contract",
}  # fmt: skip
"""Columns that hold ids, with the kind of what they name."""


def columns_of(row_class: type) -> Mapping[str, Column[Any]]:
    """The columns of a class of rows by name."""
    return dict(inspect(row_class).columns.items())


def plain(column: Column[Any], value: Any) -> Any:
    """A value of a column as JSON."""
    if value is None:
        return None
    if isinstance(column.type, JsonOf):
        return column.type.process_bind_param(value, DIALECT)
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, datetime):
        return value.isoformat()
    # Members of an enumeration are stored by their text.
    return value.hex if isinstance(value, UUID) else str(value) if isinstance(value, str) else value


def parsed(column: Column[Any], value: Any) -> Any:
    """What `plain` was given."""
    if value is None:
        return None
    match column.type:
        case JsonOf():
            return column.type.process_result_value(value, DIALECT)
        case ExactDecimal():
            return Decimal(value)
        case UtcDateTime():
            return datetime.fromisoformat(value)
        case Uuid():
            return UUID(value)
        case _:
            return value


def shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as the API shows them: by their public names, ids with their prefix."""
    return {public_name(name): _named(name, value) for name, value in values.items() if name not in INNER}


def _named(name: str, value: Any) -> Any:
    if name == "child_access_changes":
        return [shown(change) for change in value or ()]
    kind = NAMED.get(name)
    if kind is None or value is None:
        return value
    return [to_text(kind, UUID(item)) for item in value] if isinstance(value, list) else to_text(kind, UUID(value))
