"""What a contract of a scenario agrees on beside its dates, as the service takes it.

Owns the bundle; overrides and fees are translated by their own modules.
"""

from __future__ import annotations

from app.contracts.filters import NewUsageFilter
from app.contracts.own_terms import OwnTerms
from app.scenario.fee_inputs import new_fees
from app.scenario.overrides import own_prices
from app.scenario.prices import optional_instant
from app.scenario.world import Json, World


def own_terms(world: World, contract: Json) -> OwnTerms:
    """The terms of a contract, every list in the scenario's order."""
    return OwnTerms(
        prices=own_prices(world, contract),
        usage_filters=[
            NewUsageFilter(item["key"], item["values"], optional_instant(item.get("starting_at")))
            for item in contract.get("usage_filter", [])
        ],
        fees=new_fees(world, contract),
    )
