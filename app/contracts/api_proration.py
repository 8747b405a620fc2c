"""The proration of a subscription in GraphQL.

Owns its types; what a part of a period costs is worked out in `core.subscriptions`.
"""

from __future__ import annotations

import strawberry

from app.contracts import tables
from app.contracts.api_fee_kinds import FeeRoundingMethod, IncreaseBilling


@strawberry.type(description="How a prorated fee is rounded.")
class FeeRounding:
    method: FeeRoundingMethod = strawberry.field(description="Where a fee between two steps goes.")  # type: ignore[valid-type]
    decimal_places: int = strawberry.field(description="Decimals of the major unit; negative for tens and hundreds.")


@strawberry.type(description="What a part of a billing period costs.")
class SubscriptionProration:
    prorate: bool = strawberry.field(description="Whether a part costs its share of the time; else the whole fee.")
    increases: IncreaseBilling = strawberry.field(  # type: ignore[valid-type]
        description="When an increase in mid-period is charged."
    )
    rounding: FeeRounding | None = strawberry.field(description="How a share is rounded; null: it stays exact.")


def proration_shown(row: tables.SubscriptionRow) -> SubscriptionProration:
    """What a part of a billing period of a subscription costs."""
    rounding = None
    if row.rounding_method is not None and row.rounding_places is not None:
        rounding = FeeRounding(method=FeeRoundingMethod(row.rounding_method), decimal_places=row.rounding_places)
    return SubscriptionProration(prorate=row.prorate, increases=IncreaseBilling(row.increases), rounding=rounding)
