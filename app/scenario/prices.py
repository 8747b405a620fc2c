"""The prices of a scenario, as the services take them.

Owns their translation, for rates and for the rates of overrides alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from app.catalog.rate_rules import NewRate
from app.clock import parse_instant
from app.core.period import Frequency
from app.core.rates import Flat, Percentage, Rate, Tier, Tiered, TieredPercentage
from app.scenario.world import Json, World


def new_rate(world: World, rate: Json, *, of_card: Json) -> NewRate:
    """A rate of a card."""
    return NewRate(
        product_id=world.products[rate["product"]],
        rate=price_of(rate),
        starting_at=optional_instant(rate.get("starting_at")),
        ending_before=optional_instant(rate.get("ending_before")),
        entitled=rate.get("entitled", True),
        group_values=rate.get("group_values", {}),
        commit_rate=price_of(rate["commit_rate"]) if "commit_rate" in rate else None,
        unit=None if rate.get("unit") == of_card["unit"] else rate.get("unit"),
        billing_frequency=Frequency(rate["billing_frequency"]) if "billing_frequency" in rate else None,
    )


def price_of(rate: Json) -> Rate:
    """The price of a rate, or of an override's own rate."""
    kind = rate["rate_type"]
    if kind in ("FLAT", "PERCENTAGE"):
        return Flat(Decimal(rate["price"])) if kind == "FLAT" else Percentage(Decimal(rate["price"]))
    tiers: Sequence[Json] = rate["tiers"]
    parts = tuple(Tier(Decimal(tier["size"]) if "size" in tier else None, Decimal(tier["price"])) for tier in tiers)
    return Tiered(parts) if kind == "TIERED" else TieredPercentage(parts)


def optional_instant(text: str | None) -> datetime | None:
    """An instant that a scenario may leave out."""
    return None if text is None else parse_instant(text)
