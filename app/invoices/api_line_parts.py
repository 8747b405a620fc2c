"""Parts that lines, breakdowns and explanations share: group values, tiers, and what a line was rated from.

Owns their shape; what they mean is settled in the core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

from app.contracts.frozen import terms_from_json
from app.core.explain import has_start
from app.core.grants import Pot
from app.core.period import Period
from app.core.pots import pots_from_json
from app.core.terms import Terms
from app.graphql.values import Interval
from app.invoices.drafts import RatedStatement
from app.invoices.frozen_items import IMPORTED


@dataclass(frozen=True, slots=True)
class Origin:
    """What the lines of an invoice were rated from.

    `made_at` is when a final invoice was made. `is_stored` is false where the usage was given and not read.
    """

    terms: Terms
    pots: Sequence[Pot]
    made_at: datetime | None = None
    is_stored: bool = True

    @classmethod
    def of(cls, rated: RatedStatement, *, is_stored: bool = True) -> Origin:
        """That of a draft."""
        return cls(rated.terms, rated.pots, None, is_stored)

    @classmethod
    def frozen(cls, terms: Mapping[str, Any], pots: Sequence[Mapping[str, Any]], made_at: datetime) -> Origin:
        """That of a final invoice."""
        return cls(terms_from_json(terms), pots_from_json(pots), made_at, IMPORTED not in terms)


@strawberry.type(description="The value of one property by which usage was grouped.")
class GroupValue:
    key: str = strawberry.field(description="Name of the property.")
    value: str | None = strawberry.field(description="Its value; null for usage that did not have the property.")


@strawberry.type(description="The tier that gave a line its price.")
class LineTier:
    level: int = strawberry.field(description="Its number, from 1.")
    starting_at: Decimal = strawberry.field(description="The quantity of the period at which it begins.")
    size: Decimal | None = strawberry.field(description="How much it holds; null when it has no end.")


def groups(pairs: Any) -> list[GroupValue]:
    """Group values as they are shown, sorted by key."""
    return [GroupValue(key=key, value=value) for key, value in sorted(dict(pairs).items())]


def interval_shown(period: Period) -> Interval | None:
    """When a price holds; None for what has no start and no end."""
    if not has_start(period) and period.ending_before is None:
        return None
    return Interval(starting_at=period.starting_at, ending_before=period.ending_before)
