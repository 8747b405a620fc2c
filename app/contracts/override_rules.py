"""What an override may say.

Owns the refusals of semantics 4.5, each with its code. Which override counts in the end is settled in `core.overrides`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.catalog.composites import check_kind
from app.catalog.per_event import check_per_event
from app.catalog.rate_rules import check_tiers
from app.checks import Path, at_most, within
from app.contracts.listed import Listed
from app.core.rates import Rate
from app.core.terms import (
    Multiplier,
    MultiplierTier,
    OverridePriority,
    Overwrite,
    PriceChange,
    RateTarget,
    Specifier,
    TieredMultiplier,
)
from app.errors import ErrorCode, InvalidInput
from app.store.ids import new_id, to_text

MAX_SPECIFIERS = 50
MAX_TAGS = 50
MAX_TIERS = 100
MAX_PRIORITY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOverride:
    """An override to add: at most one change of price, and at most one way of targeting.

    Without a start it holds since ever, without an end for good; without a target it reaches every product. `tiers`
    are pairs of size and multiplier; `any_tags` reach products with any of them, a specifier those with all of its own.
    """

    multiplier: Decimal | None = None
    overwrite: Rate | None = None
    tiers: Sequence[tuple[Decimal | None, Decimal]] | None = None
    entitled: bool | None = None
    priority: int | None = None
    starting_at: datetime | None = None
    ending_before: datetime | None = None
    product_id: UUID | None = None
    any_tags: Sequence[str] = ()
    specifiers: Sequence[Specifier] = ()
    is_commit_specific: bool = False
    target: RateTarget = RateTarget.LIST_RATE
    id: UUID = field(default_factory=new_id)


def change_of(entry: NewOverride, *, path: Path) -> PriceChange | None:
    """The change of price, if there is one."""
    if sum(part is not None for part in (entry.multiplier, entry.overwrite, entry.tiers)) > 1:
        raise InvalidInput(ErrorCode.INVALID, "An override changes a price in one way only.", path=path)
    factors = [factor for _, factor in entry.tiers or ()] if entry.multiplier is None else [entry.multiplier]
    for factor in factors:
        if not factor >= 0:
            raise InvalidInput(
                ErrorCode.MULTIPLIER_NEGATIVE, f"The multiplier is {factor}; write 0 or more.", path=(*path, "change")
            )
    if entry.multiplier is not None:
        return Multiplier(entry.multiplier)
    if entry.overwrite is not None:
        check_tiers(entry.overwrite, path=(*path, "change", "overwrite", "tiered"))
        return Overwrite(entry.overwrite)
    if entry.tiers is None:
        return None
    at_most(entry.tiers, MAX_TIERS, path=(*path, "change", "tiered"))
    try:
        return TieredMultiplier(tuple(MultiplierTier(size, factor) for size, factor in entry.tiers))
    except ValueError as error:
        raise InvalidInput(
            ErrorCode.INVALID, f"The tiers are not acceptable: {error}.", path=(*path, "change", "tiered")
        ) from error


def check_target(entry: NewOverride, listed: Mapping[UUID, Listed], *, path: Path) -> None:
    """At most one way of targeting; every product that is named has a rate on the card and the values named."""
    if sum(bool(part) for part in (entry.product_id, entry.any_tags, entry.specifiers)) > 1:
        raise InvalidInput(ErrorCode.INVALID, "Target by product, by tags or by specifiers, not by several.", path=path)
    at_most(entry.any_tags, MAX_TAGS, path=(*path, "anyTags"))
    at_most(entry.specifiers, MAX_SPECIFIERS, path=(*path, "specifiers"))
    if entry.product_id is not None and entry.product_id not in listed:
        raise _not_on_card(entry.product_id, path=(*path, "productId"))
    for index, specifier in enumerate(entry.specifiers):
        place = (*path, "specifiers", str(index))
        if specifier == Specifier():
            raise InvalidInput(ErrorCode.REQUIRED, "A specifier says what it reaches.", path=place)
        if specifier.product_id is None:
            continue
        found = listed.get(specifier.product_id)
        if found is None:
            raise _not_on_card(specifier.product_id, path=(*place, "productId"))
        for place_name, values, keys in (
            ("pricing", specifier.pricing, found.pricing),
            ("presentation", specifier.presentation, found.presentation),
        ):
            wanted = {name for name, _ in values}
            if wanted and not any(wanted <= names for names in keys):
                names = sorted(set[str]().union(*keys))
                unknown = sorted(wanted - set(names)) or sorted(wanted)
                raise InvalidInput(
                    ErrorCode.INVALID,
                    f"Product {found.product.name[:80]!r} has no {', '.join(unknown)[:200]} in its {place_name} group key; "
                    f"it has {', '.join(names)[:200] or 'none'}.",
                    path=(*place, place_name),
                )


def _not_on_card(product_id: UUID, *, path: Path) -> InvalidInput:
    return InvalidInput(
        ErrorCode.PRODUCT_NOT_ON_CARD,
        f"Product {to_text('product', product_id)} has no rate on the contract's rate card.",
        path=path,
    )


def check_commits(entry: NewOverride, *, path: Path) -> None:
    """Only an override for what draws on a balance names balances, or a rate to change; it always changes a price."""
    if not entry.is_commit_specific:
        if entry.target is not RateTarget.LIST_RATE:
            raise InvalidInput(
                ErrorCode.TARGET_NEEDS_COMMIT_SPECIFIC,
                "Only an override for what draws on a balance chooses which rate it changes.",
                path=(*path, "target"),
            )
        if any(item.grant_ids or item.recurring_ids for item in entry.specifiers):
            raise InvalidInput(
                ErrorCode.INVALID, "Only a commitSpecific override names balances.", path=(*path, "specifiers")
            )
    elif entry.entitled is not None:
        raise InvalidInput(
            ErrorCode.INVALID,
            "What draws on a balance is billed already; leave entitled out.",
            path=(*path, "entitled"),
        )


def check_overwrite(entry: NewOverride, listed: Mapping[UUID, Listed], *, path: Path) -> None:
    """An overwrite says whose price it is: a product, and all its pricing values where prices differ by them."""
    targets = list(entry.specifiers) or [Specifier(product_id=entry.product_id)]
    for target in targets:
        if entry.any_tags or target.tags or target.product_id is None:
            raise InvalidInput(
                ErrorCode.OVERWRITE_NEEDS_PRODUCT, "An overwrite names a product, not tags or everything.", path=path
            )
        product, by_values, priced, keys, _, _ = listed[target.product_id]
        if entry.overwrite is not None:
            place = (*path, "change", "overwrite")
            check_kind(entry.overwrite, product, is_money=priced.is_money, path=place)
            check_per_event(entry.overwrite, product, priced, path=place)
        if by_values and frozenset(name for name, _ in target.pricing) not in keys:
            raise InvalidInput(
                ErrorCode.OVERWRITE_NEEDS_PRODUCT,
                f"Prices of product {product.name[:80]!r} differ by {_shown(keys)}; "
                "an overwrite names a value for each, in a specifier.",
                path=path,
            )


def _shown(keys: Sequence[frozenset[str]]) -> str:
    return "; ".join(dict.fromkeys(", ".join(sorted(names)) for names in keys if names))[:200]


def check_priority(entry: NewOverride, change: PriceChange | None, priority: OverridePriority, *, path: Path) -> None:
    """Multipliers are told apart by their numbers where the contract says so, and only there may they be tiered."""
    if entry.priority is not None:
        within(entry.priority, low=1, high=MAX_PRIORITY, path=(*path, "priority"))
    if isinstance(change, TieredMultiplier) and priority is not OverridePriority.EXPLICIT:
        raise InvalidInput(
            ErrorCode.TIERED_NEEDS_EXPLICIT,
            "A tiered multiplier needs overridePriority EXPLICIT on the contract.",
            path=(*path, "change", "tiered"),
        )
    is_multiplier = isinstance(change, Multiplier | TieredMultiplier)
    if is_multiplier and priority is OverridePriority.EXPLICIT and entry.priority is None:
        raise InvalidInput(
            ErrorCode.PRIORITY_REQUIRED,
            "With overridePriority EXPLICIT every multiplier has a priority.",
            path=(*path, "priority"),
        )
