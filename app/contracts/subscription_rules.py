"""What a subscription may say.

Owns the refusals of semantics 4.6, each with its code. What a subscription costs when is worked out in
`core.subscriptions`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.catalog.tables import ProductRow, RateRow
from app.checks import Path, hour_of, interval_of, name_of
from app.contracts.seat_rules import NewSeats, checked_seats
from app.contracts.tables import Contract, SubscriptionRow
from app.core.fees import Collection, FeePlacement, Proration
from app.core.period import Frequency
from app.core.terms import ProductType
from app.errors import ErrorCode, InvalidInput
from app.store.ids import new_id, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A subscription to add. Without a start and an end it lasts as long as the contract.

    With `seats` its quantity is made of them, and the initial one is their number.
    """

    product_id: UUID
    frequency: Frequency
    collection: Collection
    initial_quantity: Decimal
    starting_at: datetime | None = None
    ending_before: datetime | None = None
    proration: Proration = field(default_factory=Proration)
    placement: FeePlacement = FeePlacement.ON_USAGE_INVOICE
    anchor: datetime | None = None
    name: str | None = None
    seats: NewSeats | None = None
    custom_fields: dict[str, str] = field(default_factory=dict[str, str])
    id: UUID = field(default_factory=new_id)


async def check_product(session: AsyncSession, contract: Contract, entry: NewSubscription, *, path: Path) -> None:
    """It is a SUBSCRIPTION product, with a price of that frequency on the contract's card."""
    if entry.frequency is Frequency.SEMI_ANNUAL:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            "A billing frequency is WEEKLY, MONTHLY, QUARTERLY or ANNUAL, not SEMI_ANNUAL.",
            path=(*path, "billingFrequency"),
        )
    product = await session.get(ProductRow, entry.product_id)
    if product is not None and product.type != ProductType.SUBSCRIPTION:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{product.name[:80]!r} is a {product.type} product; only a SUBSCRIPTION product is subscribed to.",
            path=(*path, "productId"),
        )
    found = await session.execute(
        select(RateRow.id)
        .where(
            RateRow.rate_card_id == contract.rate_card_id,
            RateRow.product_id == entry.product_id,
            RateRow.billing_frequency == entry.frequency,
        )
        .limit(1)
    )
    if found.scalar_one_or_none() is None:
        raise InvalidInput(
            ErrorCode.PRODUCT_NOT_ON_CARD,
            f"Product {to_text('product', entry.product_id)} has no {entry.frequency} rate on the contract's rate card.",
            path=(*path, "productId"),
        )


def row_of(entry: NewSubscription, contract: Contract, *, added: int, path: Path, now: datetime) -> SubscriptionRow:
    """The row of a subscription that begins and ends on full hours within its contract."""
    start, end = interval_of(entry.starting_at or contract.starting_at, entry.ending_before, path=path)
    assert start is not None
    is_over = contract.ending_before is not None and start >= contract.ending_before
    if start < contract.starting_at or is_over:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"startingAt {start.isoformat()} lies outside the contract, which begins at "
            f"{contract.starting_at.isoformat()}"
            + ("." if contract.ending_before is None else f" and ends at {contract.ending_before.isoformat()}."),
            path=(*path, "startingAt"),
        )
    seats = None if entry.seats is None else checked_seats(entry.seats, path=(*path, "seats"))
    if entry.initial_quantity < 0:
        raise InvalidInput(
            ErrorCode.QUANTITY_NEGATIVE,
            f"initialQuantity is {entry.initial_quantity}; write 0 or more.",
            path=(*path, "initialQuantity"),
        )
    proration, rounding = entry.proration, entry.proration.rounding
    return SubscriptionRow(
        id=entry.id, created_at=now, contract_id=contract.id, product_id=entry.product_id,
        name=None if entry.name is None else name_of(entry.name, path=(*path, "name")),
        frequency=entry.frequency, collection=entry.collection, placement=entry.placement,
        anchor=None if entry.anchor is None else hour_of(entry.anchor, path=(*path, "anchor")),
        starting_at=start, ending_before=end, initial_quantity=entry.initial_quantity,
        prorate=proration.prorate, increases=proration.increases,
        rounding_method=None if rounding is None else rounding.method,
        rounding_places=None if rounding is None else rounding.places,
        seats_from=None if seats is None else start,
        seat_group_key=None if seats is None else seats.group_key,
        seat_ids=[] if seats is None else list(seats.seat_ids),
        unassigned_seats=0 if seats is None else seats.unassigned,
        added=added,
    )  # fmt: skip
