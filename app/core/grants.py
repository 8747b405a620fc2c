"""Commits and credits as the engine sees them: what each may pay, and which pays first.

Owns eligibility and the burn order (semantics 5.2 and 5.3). What a balance is worth is counted elsewhere and comes in
with it; taking from it is left to `drawdown`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.period import Period
from app.core.terms import Group, Product, RateTarget, Specifier

DEFAULT_PRIORITY = Decimal(100)


class GrantType(StrEnum):
    """A commit paid in advance, one that is counted against what is paid as it happens, or a gift."""

    PREPAID = "PREPAID"
    POSTPAID = "POSTPAID"
    CREDIT = "CREDIT"


class PaymentGate(StrEnum):
    """Who tells that a commit was paid, before which nothing can be used of it: Stripe, or the caller."""

    STRIPE = "STRIPE"
    EXTERNAL = "EXTERNAL"


class GateStatus(StrEnum):
    """What became of the payment for which a commit waits."""

    PENDING = "PENDING"
    PAID = "PAID"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which an amount may be used. Segments are numbered from 0; each is a pot of its own."""

    number: int
    period: Period
    amount: Decimal

    def __post_init__(self) -> None:
        if self.period.ending_before is None:
            raise ValueError("a segment has an end")
        if not (self.amount.is_finite() and self.amount >= 0):
            raise ValueError(f"a segment's amount must be 0 or more, not {self.amount}")


@dataclass(frozen=True, slots=True)
class Grant:
    """A commit or credit. `unit` is the code of the unit in which it pays, and the only one that it can pay.

    It pays for products by id or by any of its tags, or what one of its specifiers reaches; without any of them it pays
    for everything. `contract_count` is how many contracts it may pay for, None for all of the customer's. `is_free`
    tells that nobody pays for it; `is_rollover` that it came over from an earlier contract; `is_refund` that it gives
    back what was paid too much. From `closes_at` on, when
    its contract was followed by another, it is over: no segment lasts longer, and none begins. `gate` is where the
    payment stands for which it waits; None for one that waits for none.
    """

    id: UUID
    type: GrantType
    unit: str
    segments: tuple[Segment, ...]
    created_at: datetime
    priority: Decimal = DEFAULT_PRIORITY
    product_ids: tuple[UUID, ...] = ()
    tags: tuple[str, ...] = ()
    specifiers: tuple[Specifier, ...] = ()
    contract_count: int | None = 1
    rate_type: RateTarget = RateTarget.LIST_RATE
    recurring_id: UUID | None = None
    is_free: bool = False
    is_rollover: bool = False
    is_refund: bool = False
    seat: tuple[str, str] | None = None
    closes_at: datetime | None = None
    gate: GateStatus | None = None

    @property
    def is_released(self) -> bool:
        """Whether it may be used, as far as its payment goes."""
        return self.gate in (None, GateStatus.PAID)

    @property
    def is_restricted(self) -> bool:
        """Whether it pays for some products or usage only."""
        return bool(self.product_ids or self.tags or self.specifiers)

    def access(self, segment: Segment) -> Period | None:
        """When one of its segments may be used; None when the grant is over before."""
        start, end = segment.period.starting_at, segment.period.ending_before
        assert end is not None, "a segment has an end"
        if self.closes_at is None or end <= self.closes_at:
            return segment.period
        return Period(start, self.closes_at) if start < self.closes_at else None


class SegmentKey(NamedTuple):
    """Names one segment of one grant."""

    grant_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Pot:
    """A segment and what may be drawn from it now; `shared` is when, for a child to which it is not always open."""

    grant: Grant
    segment: Segment
    available: Decimal
    shared: tuple[Period, ...] | None = None

    @property
    def key(self) -> SegmentKey:
        """The name of the segment."""
        return SegmentKey(self.grant.id, self.segment.number)

    @property
    def periods(self) -> list[Period]:
        """When it may pay, in order of time."""
        if self.shared is None:
            return [self.segment.period]
        parts = (self.segment.period.intersect(period) for period in self.shared)
        return [part for part in parts if part is not None]


def may_pay(grant: Grant, product: Product | None, pricing: Group = (), presentation: Group = ()) -> bool:
    """Whether the grant reaches a charge for a product, with its group values; None is a charge without a product.

    What has no product can be paid only by a grant without restriction (golden decision 27). A seat's grant pays only
    for usage that is presented by that seat.
    """
    if grant.seat is not None and grant.seat not in presentation:
        return False
    if not grant.is_restricted:
        return True
    if product is None:
        return False
    if product.id in grant.product_ids or not set(grant.tags).isdisjoint(product.tags):
        return True
    return any(
        specifier.product_id in (None, product.id)
        and set(specifier.tags) <= set(product.tags)
        and set(specifier.pricing) <= set(pricing)
        and set(specifier.presentation) <= set(presentation)
        for specifier in grant.specifiers
    )


def burn_order(pots: Collection[Pot], products: Sequence[Product]) -> list[Pot]:
    """The pots in the order in which they are emptied; `products` are those of the rate card, for counting tags.

    Rollovers first, postpaid ones among them before others; then prepaid commits and credits; then postpaid commits; then
    what gives money back, which so takes no usage from what counts it, or would be lost unused.
    Within each: lower priority, free before paid, fewer products, fewer specifiers by group values, earlier end,
    earlier start, fewer contracts; at last the older one, by id and segment.
    """
    reach = {pot.grant.id: _product_count(pot.grant, products) for pot in pots}
    return sorted(pots, key=lambda pot: _order(pot, reach[pot.grant.id]))


def _order(pot: Pot, products: tuple[bool, int]) -> tuple[object, ...]:
    grant, period = pot.grant, pot.segment.period
    is_postpaid = grant.type is GrantType.POSTPAID
    by_values = sum(not (specifier.product_id or specifier.tags) for specifier in grant.specifiers)
    last = (grant.created_at, grant.id, pot.segment.number)
    if grant.is_rollover:
        return (0, not is_postpaid, grant.priority, products, by_values, period.ending_before, *last)
    contracts = (grant.contract_count is None, grant.contract_count or 0)
    tier = 3 if grant.is_refund else 2 if is_postpaid else 1
    dates = (period.ending_before, period.starting_at)
    return (tier, grant.priority, not grant.is_free, products, by_values, *dates, contracts, *last)


def _product_count(grant: Grant, products: Sequence[Product]) -> tuple[bool, int]:
    """How many products a grant names, as something to sort by: one that names none can pay for any, and comes last."""
    named = {*grant.product_ids, *(item.product_id for item in grant.specifiers if item.product_id is not None)}
    named.update(product.id for product in products if not set(grant.tags).isdisjoint(product.tags))
    return (not named, len(named))
