"""What other contracts of a customer were charged, as a composite product of the whole customer counts it.

Owns the value, which stands in the terms of a statement and is frozen with them, and its JSON form. It is made in
`customer_spend`, and added to the base where the statement is charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from app.core.money import canonical, parse_decimal
from app.core.period import Period


class SpentHour(NamedTuple):
    """What one hour of usage was charged, in one unit: after overrides, before balances."""

    hour: datetime
    unit: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The part of a composite product's base that lies on other contracts, by hour and unit.

    In the periods of `billed`, which do not overlap, another contract bills the product, on this one's charges as well.
    """

    product_id: UUID
    spent: tuple[SpentHour, ...] = ()
    billed: tuple[Period, ...] = ()

    def is_billed(self, at: datetime) -> bool:
        """Whether another contract bills the product at an instant."""
        return any(period.contains(at) for period in self.billed)


def elsewhere_to_json(found: Elsewhere) -> dict[str, object]:
    """The stored form; decimals are canonical text."""
    return {
        "product": str(found.product_id),
        "spent": [[item.hour.isoformat(), item.unit, canonical(item.amount)] for item in found.spent],
        "billed": [
            [period.starting_at.isoformat(), None if period.ending_before is None else period.ending_before.isoformat()]
            for period in found.billed
        ],
    }


def elsewhere_from_json(form: Mapping[str, Any]) -> Elsewhere:
    """The value of a stored form."""
    return Elsewhere(
        product_id=UUID(form["product"]),
        spent=tuple(SpentHour(_instant(hour), unit, parse_decimal(amount)) for hour, unit, amount in form["spent"]),
        billed=tuple(Period(_instant(start), None if end is None else _instant(end)) for start, end in form["billed"]),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
