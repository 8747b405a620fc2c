"""What a scheduled charge may say.

Owns the refusals of semantics 4.4, each with its code. The dates and amounts that a schedule stands for are worked out in
`core.scheduled`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from uuid import UUID

from app.catalog.tables import ProductRow
from app.checks import Path, at_most
from app.contracts.tables import Contract, ScheduledChargeRow
from app.core.fees import RecurringSchedule, ScheduledItem
from app.core.scheduled import occurrences, schedule_to_json
from app.core.terms import ProductType
from app.errors import ErrorCode, InvalidInput
from app.store.ids import new_id, to_text

MAX_ITEMS = 500
BY_SCHEDULE = (ProductType.FIXED, ProductType.PRO_SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCharge:
    """A scheduled charge to add: dated items, or a recurring schedule. Without a unit it is in the contract's.

    What a discount takes off is written above zero, as what a charge takes.
    """

    product_id: UUID
    items: Sequence[ScheduledItem] = ()
    recurring: RecurringSchedule | None = None
    unit: str | None = None
    is_discount: bool = False
    custom_fields: Mapping[str, str] = field(default_factory=dict[str, str])
    id: UUID = field(default_factory=new_id)


def check_product(product: ProductRow, *, path: Path) -> None:
    """Only products that are priced on the contract are charged by schedule."""
    if product.type not in BY_SCHEDULE:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{product.name[:80]!r} is a {product.type} product; charges are of {' or '.join(BY_SCHEDULE)} products.",
            path=path,
        )


def schedule_of(charge: NewCharge, contract: Contract, *, path: Path) -> tuple[ScheduledItem, ...] | RecurringSchedule:
    """The schedule of a charge: its amounts are not negative, and its dates lie before the contract's end."""
    if bool(charge.items) is (charge.recurring is not None):
        raise InvalidInput(ErrorCode.REQUIRED, "Give items or a recurring schedule, one of the two.", path=path)
    if charge.recurring is None:
        at_most(charge.items, MAX_ITEMS, path=(*path, "items"))
        for index, item in enumerate(charge.items):
            place = (*path, "items", str(index))
            _check_amount(item.unit_price, item.quantity, path=place)
            _check_date(item.at, contract, path=(*place, "at"))
        return tuple(charge.items)
    place = (*path, "recurring")
    _check_amount(charge.recurring.unit_price, charge.recurring.quantity, path=place)
    dates = list(islice(occurrences(charge.recurring), MAX_ITEMS + 1))
    at_most(dates, MAX_ITEMS, path=place)
    _check_date(dates[-1], contract, path=(*place, "endingBefore"))
    return charge.recurring


def _check_amount(unit_price: Decimal, quantity: Decimal, *, path: Path) -> None:
    if unit_price < 0:
        raise InvalidInput(ErrorCode.INVALID, f"unitPrice is {unit_price}; write 0 or more.", path=(*path, "unitPrice"))
    if quantity < 0:
        raise InvalidInput(
            ErrorCode.QUANTITY_NEGATIVE, f"quantity is {quantity}; write more than 0.", path=(*path, "quantity")
        )
    if quantity == 0:
        raise InvalidInput(ErrorCode.INVALID, "quantity is 0; write more than 0.", path=(*path, "quantity"))


def _check_date(at: datetime, contract: Contract, *, path: Path) -> None:
    if contract.ending_before is not None and at >= contract.ending_before:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The contract ends at {contract.ending_before.isoformat()}; {at.astimezone(UTC).isoformat()} is not "
            "before that and would never be charged.",
            path=path,
        )


def shown_charge(row: ScheduledChargeRow) -> dict[str, object]:
    """What the audit log keeps of a charge."""
    return {
        "id": to_text("scheduled_charge", row.id),
        "product": to_text("product", row.product_id),
        "currency": row.unit,
        **({"isDiscount": True} if row.is_discount else {}),
        **schedule_to_json(row.schedule),
    }
