"""What an override of a subscription's price may say.

Owns the rule of semantics 4.5 that it names the product and the billing frequency, with its refusals. Overrides without
the two reach usage only.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from app.checks import Path
from app.contracts.listed import Listed
from app.contracts.override_rules import NewOverride
from app.core.terms import PriceChange, ProductType, Specifier, TieredMultiplier
from app.errors import ErrorCode, InvalidInput


def check_subscriptions(
    entry: NewOverride, change: PriceChange | None, listed: Mapping[UUID, Listed], *, path: Path
) -> None:
    """Product and frequency go together, in a specifier; a fee is not split by tiers nor by what pays it."""
    if entry.product_id is not None and _is_subscription(listed, entry.product_id):
        raise InvalidInput(
            ErrorCode.REQUIRED,
            "An override of a subscription names its product and its billing frequency in a specifier.",
            path=(*path, "productId"),
        )
    for index, specifier in enumerate(entry.specifiers):
        place = (*path, "specifiers", str(index))
        _check_specifier(specifier, listed, path=place)
        if specifier.billing_frequency is None:
            continue
        if isinstance(change, TieredMultiplier):
            raise InvalidInput(
                ErrorCode.NOT_SUPPORTED,
                "The fee of a subscription is not split by tiers; give a multiplier or overwrite it.",
                path=(*path, "change", "tiered"),
            )
        if entry.is_commit_specific:
            raise InvalidInput(
                ErrorCode.NOT_SUPPORTED,
                "The fee of a subscription costs the same whatever balance pays it; leave commitSpecific out.",
                path=(*path, "commitSpecific"),
            )


def _check_specifier(specifier: Specifier, listed: Mapping[UUID, Listed], *, path: Path) -> None:
    if specifier.product_id is None:
        if specifier.billing_frequency is not None:
            raise InvalidInput(
                ErrorCode.REQUIRED, "A billing frequency goes with a product.", path=(*path, "productId")
            )
        return
    is_subscription = _is_subscription(listed, specifier.product_id)
    if is_subscription and specifier.billing_frequency is None:
        raise InvalidInput(
            ErrorCode.REQUIRED,
            "An override of a subscription names its billing frequency as well.",
            path=(*path, "billingFrequency"),
        )
    if not is_subscription and specifier.billing_frequency is not None:
        raise InvalidInput(
            ErrorCode.INVALID, "Only a subscription has a billing frequency.", path=(*path, "billingFrequency")
        )


def _is_subscription(listed: Mapping[UUID, Listed], product_id: UUID) -> bool:
    return listed[product_id].product.type == ProductType.SUBSCRIPTION
