"""What callers send to change list prices on a contract.

Owns the GraphQL inputs and their way to the service. What an override may say is checked by `override_rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import strawberry

from app.catalog.api_card_inputs import PriceInput, rate_of
from app.checks import Path, distinct
from app.contracts.override_rules import NewOverride
from app.contracts.overrides import OwnPrices
from app.core import terms
from app.errors import NotFound
from app.grants.api_kinds import BalanceRateType
from app.graphql.values import Cadence, KeyValueInput, group_of
from app.store import ids


@strawberry.input(description="A band of the statement's quantity and its multiplier.")
class MultiplierTierInput:
    size: Decimal | None = strawberry.field(
        default=None, description="Width of the band, above 0; only the last may be without."
    )
    multiplier: Decimal = strawberry.field(description="By which number, 0 or more.")


@strawberry.input(one_of=True, description="What an override makes of the list price: give exactly one.")
class PriceChangeInput:
    multiplier: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Multiplies the list price, 0 or more."
    )
    overwrite: PriceInput | None = strawberry.field(
        default=strawberry.UNSET, description="Another price; it needs a product, and all pricing values if it has any."
    )
    tiered: list[MultiplierTierInput] | None = strawberry.field(
        default=strawberry.UNSET, description="Multipliers by quantity, at most 100; it needs explicit priorities."
    )


@strawberry.input(description="What an override reaches; every given part must hold.")
class OverrideSpecifierInput:
    product_id: strawberry.ID | None = strawberry.field(default=None, description="This product.")
    tags: list[str] = strawberry.field(default_factory=list, description="Products that have all these tags.")
    pricing: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Usage with these values of the pricing group key."
    )
    presentation: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Usage with these values of the presentation group key."
    )
    billing_frequency: Cadence | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Subscriptions of this frequency; needed with a SUBSCRIPTION product, and only there."
    )
    balance_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="Usage that draws on any of these commits and credits, by id or by the temporaryId of one that comes "
        "with the same contract; a recurring one means all that it makes. Only for commitSpecific overrides.",
    )


@strawberry.input(description="A contract's own change of list prices. Without a target it reaches every product.")
class OverrideInput:
    starting_at: datetime | None = strawberry.field(
        default=None, description="First instant, a full hour; default: since ever."
    )
    ending_before: datetime | None = strawberry.field(
        default=None, description="First instant after it, a full hour; default: for good."
    )
    change: PriceChangeInput | None = strawberry.field(default=None, description="What it makes of the list price.")
    entitled: bool | None = strawberry.field(default=None, description="Whether what it reaches is billed.")
    priority: int | None = strawberry.field(
        default=None, description="With explicit priorities, the lowest number counts; 1 or more."
    )
    commit_specific: bool = strawberry.field(
        default=False, description="Price only what draws on a commit or credit, on any unless specifiers name some."
    )
    target: BalanceRateType = strawberry.field(  # type: ignore[valid-type]
        default=terms.RateTarget.LIST_RATE, description="Which price a commitSpecific override changes."
    )
    product_id: strawberry.ID | None = strawberry.field(default=None, description="The one product it reaches.")
    any_tags: list[str] = strawberry.field(
        default_factory=list, description="Products with any of these tags, at most 50."
    )
    specifiers: list[OverrideSpecifierInput] = strawberry.field(
        default_factory=list, description="Whatever any of these reaches, at most 50."
    )


@dataclass(frozen=True, slots=True)
class ComingBalances:
    """Balances and recurring ones that come with the same request, by temporary id."""

    once: Mapping[str, UUID]
    recurring: Mapping[str, UUID]


def coming_balances(
    once: Iterable[tuple[str | None, UUID]], recurring: Iterable[tuple[str | None, UUID]]
) -> ComingBalances:
    """Those that have a temporary id; INVALID for one that two have, because it would mean either."""
    found = [[(name, identifier) for name, identifier in items if name] for items in (once, recurring)]
    distinct([name for items in found for name, _ in items], path=("input", "temporaryId"))
    return ComingBalances(*map(dict, found))


def coming_objects(found: Iterable[tuple[str | None, UUID]]) -> dict[str, UUID]:
    """Objects of one kind by temporary id; INVALID for one that two have."""
    named = [(name, identifier) for name, identifier in found if name]
    distinct([name for name, _ in named], path=("input", "temporaryId"))
    return dict(named)


def own_prices(
    inputs: Sequence[OverrideInput], priority: terms.OverridePriority, *, coming: ComingBalances, path: Path
) -> OwnPrices:
    """What a contract changes of list prices; `path` is that of the list."""
    found = [_new_override(item, coming, path=(*path, str(index))) for index, item in enumerate(inputs)]
    return OwnPrices(found, priority)


def _new_override(found: OverrideInput, coming: ComingBalances, *, path: Path) -> NewOverride:
    change = found.change or PriceChangeInput()
    product_id = None
    if found.product_id is not None:
        product_id = ids.from_text("product", found.product_id, path=(*path, "productId"))
    return NewOverride(
        multiplier=change.multiplier if isinstance(change.multiplier, Decimal) else None,
        overwrite=rate_of(change.overwrite, path=(*path, "change", "overwrite")) if change.overwrite else None,
        tiers=[(tier.size, tier.multiplier) for tier in change.tiered] if isinstance(change.tiered, list) else None,
        entitled=found.entitled,
        priority=found.priority,
        starting_at=found.starting_at,
        ending_before=found.ending_before,
        product_id=product_id,
        any_tags=found.any_tags,
        specifiers=[
            _specifier(item, coming, path=(*path, "specifiers", str(index)))
            for index, item in enumerate(found.specifiers)
        ],
        is_commit_specific=found.commit_specific,
        target=found.target,
    )


def _specifier(found: OverrideSpecifierInput, coming: ComingBalances, *, path: Path) -> terms.Specifier:
    product_id = None
    if found.product_id is not None:
        product_id = ids.from_text("product", found.product_id, path=(*path, "productId"))
    return terms.Specifier(
        product_id=product_id,
        tags=tuple(found.tags),
        pricing=group_of(found.pricing, path=(*path, "pricing")),
        presentation=group_of(found.presentation, path=(*path, "presentation")),
        billing_frequency=found.billing_frequency,
        grant_ids=tuple(
            coming.once.get(item) or _balance_id(item, path=(*path, "balanceIds", str(index)))
            for index, item in enumerate(found.balance_ids)
            if item not in coming.recurring
        ),
        recurring_ids=tuple(coming.recurring[item] for item in found.balance_ids if item in coming.recurring),
    )


def _balance_id(text: str, *, path: Path) -> UUID:
    found = ids.parse(text)
    if found is None or found[0] not in ("commit", "credit"):
        raise NotFound("Balance", text, path=path)
    return found[1]
