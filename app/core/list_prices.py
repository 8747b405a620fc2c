"""What the unit of a line costs on the list, next to what it was billed at.

Owns the way back from a line to the entry of the rate card behind it. The answer follows from the terms alone, so it
is the same for a draft and, from frozen terms, for an old invoice.
"""

from __future__ import annotations

from decimal import Decimal

from app.core.custom import Custom
from app.core.lines import Line, LineType
from app.core.per_event import PercentagePerEvent
from app.core.rates import Flat, Package, Percentage, Tiered, TieredPercentage, Volume
from app.core.terms import Overwrite, Terms


def list_unit_price(line: Line, terms: Terms) -> Decimal | None:
    """The list price of one unit, before overrides and commit rates.

    None where a line has no price, and where the list has no one price for it: its units may lie in several tiers of
    the list when another table of tiers priced them, packages and events are no units, and a rater tells no price without a position.
    """
    entry = next((entry for entry in terms.rates if entry.id == line.rate_id), None)
    if entry is None or line.unit_price is None or line.type is LineType.MINIMUM:
        return None
    override = next((override for override in terms.overrides if override.id == line.override_id), None)
    other = override.change.rate if override is not None and isinstance(override.change, Overwrite) else None
    if other is None and line.grant_id is not None:
        # A balance may have paid at the commit rate; a line does not tell.
        other = entry.commit_rate
    match entry.rate:
        case Custom():
            return line.unit_price if override is None and other is None else None
        case Flat(price) | Percentage(price):
            return None if isinstance(other, Package | PercentagePerEvent) else price
        case PercentagePerEvent():
            return entry.rate.price_of(line.per_event) if other is None and line.per_event is not None else None
        case Package(_, price):
            return price if other is None else None
        case Tiered(tiers) | TieredPercentage(tiers) | Volume(tiers):  # pragma: no branch - the type checker proves it
            return tiers[line.tier.level - 1].price if other is None and line.tier is not None else None
