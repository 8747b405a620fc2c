"""What alerts read from drafts and balances, as numbers.

Owns the arithmetic of semantics 8.1: spend before balances, what is left of balances, days and percentages. Which drafts
and balances count for an alert is decided by the alerts slice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from app.core.alerts import Subject
from app.core.grants import Grant, Segment
from app.core.ledger import Movement, remaining
from app.core.lines import Line, LineType
from app.core.money import ZERO, divide, exact, round_half_up
from app.core.terms import ProductType, Terms

HUNDRED = Decimal(100)
DAY = timedelta(days=1)
SPEND = frozenset({LineType.USAGE, LineType.COMPOSITE})
"""Lines that are usage charges. What balances pay is taken off by lines of another type."""


def spend_of(lines: Iterable[Line], unit: str) -> Decimal:
    """Usage charges in a unit before balances; purchases, fees and what is in other units do not count."""
    with exact():
        return sum((line.amount for line in lines if line.type in SPEND and line.unit == unit), ZERO)


def spend_by(lines: Iterable[Line], unit: str, keys: Sequence[str]) -> dict[Subject, Decimal]:
    """The same for each combination of values of some group keys; lines that lack one of them do not count."""
    found: dict[Subject, Decimal] = {}
    with exact():
        for line in lines:
            group = dict((*line.pricing, *line.presentation))
            subject = tuple((key, value) for key in sorted(keys) if (value := group.get(key)) is not None)
            if line.type in SPEND and line.unit == unit and len(subject) == len(keys):
                found[subject] = found.get(subject, ZERO) + line.amount
    return found


def presented_by(terms: Terms, keys: Collection[str], metric_ids: Collection[UUID]) -> Terms:
    """Terms in which some keys are presentation keys of all usage products whose metrics offer them; others are left out.

    So tiers, rounding and maxima are those of each value by itself. `metric_ids` are the metrics that offer the keys.
    """
    offered = [
        product
        for product in terms.products
        if product.type is ProductType.USAGE
        and {product.metric_id, *(version.metric_id for version in product.versions)} <= set(metric_ids)
    ]
    products = tuple(
        replace(
            product,
            presentation_group_key=_with(product.presentation_group_key, product.pricing_group_key, keys),
            versions=tuple(
                replace(
                    version,
                    presentation_group_key=_with(version.presentation_group_key, version.pricing_group_key, keys),
                )
                for version in product.versions
            ),
        )
        for product in offered
    )
    return replace(terms, products=products)


def _with(own: Collection[str], pricing: Collection[str], keys: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted({*own, *(set(keys) - set(pricing))}))


def active_segments(grant: Grant, *, at: datetime) -> list[Segment]:
    """The segments that can be used at an instant; none before the grant is paid."""
    if not grant.is_released:
        return []
    return [segment for segment in grant.segments if (access := grant.access(segment)) and access.contains(at)]


def has_begun(grant: Grant, *, at: datetime) -> bool:
    """Whether it could ever be used by an instant. One that could not is no data."""
    return grant.is_released and any(segment.period.starting_at <= at for segment in grant.segments)


def left_and_granted(grant: Grant, movements: Sequence[Movement], *, at: datetime) -> tuple[Decimal, Decimal]:
    """What is left of the active segments, each at least zero, and what they were."""
    active = active_segments(grant, at=at)
    with exact():
        left = sum((max(ZERO, remaining(segment, movements)) for segment in active), ZERO)
        return left, sum((segment.amount for segment in active), ZERO)


def percentage(left: Decimal, granted: Decimal) -> Decimal | None:
    """Of a hundred, what is left; None of nothing."""
    with exact():
        return divide(HUNDRED * left, granted) if granted else None


def days_until(end: datetime, *, now: datetime) -> Decimal:
    """Days to an end, with the fraction of the last one, to six places; whole days are exact."""
    left = end - now
    whole = Decimal(left // timedelta(microseconds=1))
    return round_half_up(divide(whole, Decimal(DAY // timedelta(microseconds=1))), places=6)
