"""The overrides of a scenario's contracts, as the service takes them."""

from __future__ import annotations

from decimal import Decimal

from app.contracts.override_rules import NewOverride
from app.contracts.overrides import OwnPrices
from app.core.period import Frequency
from app.core.terms import OverridePriority, RateTarget, Specifier
from app.scenario.prices import optional_instant, price_of
from app.scenario.world import Json, World


def own_prices(world: World, contract: Json) -> OwnPrices:
    """The overrides of a contract, in list order, and how its multipliers are told apart."""
    return OwnPrices(
        [_override(world, override) for override in contract.get("overrides", [])],
        OverridePriority(contract.get("override_priority", "LOWEST_MULTIPLIER")),
    )


def _override(world: World, override: Json) -> NewOverride:
    # The type says which of the fields is the change.
    kind = override.get("type")
    tiers = override.get("tiers", []) if kind == "TIERED" else None
    found = NewOverride(
        multiplier=Decimal(override["multiplier"]) if kind == "MULTIPLIER" else None,
        overwrite=price_of(override["rate"]) if kind == "OVERWRITE" else None,
        tiers=None if tiers is None else [_tier(tier) for tier in tiers],
        entitled=override.get("entitled"),
        priority=override.get("priority"),
        starting_at=optional_instant(override.get("starting_at")),
        ending_before=optional_instant(override.get("ending_before")),
        product_id=world.products[override["product"]] if "product" in override else None,
        any_tags=override.get("tags", ()),
        specifiers=[_specifier(world, specifier) for specifier in override.get("specifiers", [])],
        is_commit_specific=override.get("commit_specific", False),
        target=RateTarget(override.get("target", RateTarget.LIST_RATE)),
    )
    if "id" in override:
        world.overrides[override["id"]] = found.id
    return found


def _tier(tier: Json) -> tuple[Decimal | None, Decimal]:
    return Decimal(tier["size"]) if "size" in tier else None, Decimal(tier["multiplier"])


def _specifier(world: World, specifier: Json) -> Specifier:
    frequency = specifier.get("billing_frequency")
    return Specifier(
        product_id=world.products[specifier["product"]] if "product" in specifier else None,
        tags=tuple(specifier.get("tags", ())),
        pricing=tuple(sorted(specifier.get("pricing", {}).items())),
        presentation=tuple(sorted(specifier.get("presentation", {}).items())),
        billing_frequency=None if frequency is None else Frequency(frequency),
        grant_ids=tuple(world.grants[name] for name in specifier.get("balances", ())),
        recurring_ids=tuple(world.recurring[name] for name in specifier.get("recurring", ())),
    )
