"""Balances for the tests of the core; what matters to a test is named there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.grants import Grant, GrantType, Pot, Segment
from app.core.lines import Line, LineType
from app.core.money import canonical
from app.core.period import Period
from tests.core.agreements import day

D = Decimal
PREPAID, POSTPAID, CREDIT = GrantType.PREPAID, GrantType.POSTPAID, GrantType.CREDIT


def grant(
    number: int,
    type: GrantType = CREDIT,
    *,
    segments: Sequence[tuple[str, str, str]] = (("100", "01-01", "12-31"),),
    **parts: Any,
) -> Grant:
    """A grant; `segments` are (amount, start, end)."""
    found = tuple(
        Segment(place, Period(day(start), day(end)), D(amount)) for place, (amount, start, end) in enumerate(segments)
    )
    parts.setdefault("unit", "USD")
    return Grant(UUID(int=1000 + number), type, segments=found, created_at=datetime(2025, 1, 1, tzinfo=UTC), **parts)


def pots(*grants: Grant, **left: str) -> list[Pot]:
    """Every segment full, unless said otherwise: pots(a, g3_0="5") leaves 5 in segment 0 of grant 3."""
    return [
        Pot(item, segment, D(left.get(f"g{item.id.int - 1000}_{segment.number}", segment.amount)))
        for item in grants
        for segment in item.segments
    ]


def spelled(lines: Sequence[Line]) -> list[str]:
    """type [product] [tier] [grant/segment] quantity@price=amount; (…) does not count; days where there are phases."""
    return [_spell(line) for line in lines]


def _spell(line: Line) -> str:
    parts: list[str] = [line.type if line.type is not LineType.APPLIED else f"applied to {line.applied_to}"]
    if line.product_name is not None:
        parts.append(line.product_name)
    if line.tier is not None:
        parts.append(f"t{line.tier.level}")
    if line.grant_id is not None:
        parts.append(f"g{line.grant_id.int - 1000}/{line.segment}")
    amount = canonical(line.amount)
    if line.quantity is not None and line.unit_price is not None:
        amount = f"{canonical(line.quantity)}@{canonical(line.unit_price)}={amount}"
    parts.append(amount)
    if line.unit != "USD":
        parts.append(line.unit)
    text = " ".join(parts)
    return text if line.in_total else f"({text})"
