"""What a contract of a scenario agrees on beside its dates, as the service takes it.

Owns the bundle; overrides and fees are translated by their own modules.
"""

from __future__ import annotations

from app.contracts.filters import NewUsageFilter
from app.contracts.own_terms import OwnTerms
from app.contracts.transitions import NewTransition
from app.core.rollover import FutureTrueUps, TransitionType
from app.scenario.fee_inputs import new_fees
from app.scenario.grants import name_grants, new_grant
from app.scenario.overrides import own_prices
from app.scenario.prices import optional_instant
from app.scenario.recurring import new_recurring
from app.scenario.world import Json, World


def own_terms(world: World, contract: Json) -> OwnTerms:
    """The terms of a contract, every list in the scenario's order."""
    balances = sorted(contract.get("balances", []), key=lambda item: item["id"])
    name_grants(world, balances)
    return OwnTerms(
        grants=[new_grant(world, balance) for balance in balances],
        recurring=[
            new_recurring(world, item) for item in sorted(contract.get("recurring", []), key=lambda item: item["id"])
        ],
        prices=own_prices(world, contract),
        usage_filters=[
            NewUsageFilter(item["key"], item["values"], optional_instant(item.get("starting_at")))
            for item in contract.get("usage_filter", [])
        ],
        fees=new_fees(world, contract),
        transition=_transition(world, contract.get("transition")),
    )


def _transition(world: World, found: Json | None) -> NewTransition | None:
    if found is None:
        return None
    return NewTransition(
        world.contracts[found["from"]], TransitionType(found["type"]),
        FutureTrueUps(found.get("trueup", FutureTrueUps.AS_IS)),
    )  # fmt: skip
