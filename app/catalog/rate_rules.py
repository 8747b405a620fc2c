"""What a dated price may say.

Owns the refusals of semantics 3.2, each with its code. Prices are stored by `rates.py`, and nothing is when one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.catalog.commit_rates import check_commit_rate
from app.catalog.composites import check_frequency, check_kind
from app.catalog.reading import refuse_archived
from app.catalog.tables import ProductRow
from app.checks import Path, at_most, text_of
from app.core.period import Frequency
from app.core.rates import Rate, Tiered, TieredPercentage, Volume
from app.core.terms import ProductType
from app.errors import ErrorCode, InvalidInput, NotFound
from app.store.ids import to_text

MAX_TIERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRate:
    """A price to add: of one product, for one combination of pricing group values or, empty, for all of them.

    Without a start it holds since ever, without an end for good. `entitled` False keeps the product off invoices.
    `unit` is a pricing unit for which the card has a conversion, None its currency. `minimum` belongs to percentages.
    The price of a SUBSCRIPTION product, and no other, is one of a `billing_frequency`.
    """

    product_id: UUID
    rate: Rate
    starting_at: datetime | None = None
    ending_before: datetime | None = None
    entitled: bool = True
    group_values: Mapping[str, str] = field(default_factory=dict)
    commit_rate: Rate | None = None
    unit: str | None = None
    minimum: Decimal | None = None
    billing_frequency: Frequency | None = None


def check_rate(
    entry: NewRate, product: ProductRow | None, *, keys: Sequence[Sequence[str]], is_money: bool, path: Path
) -> None:
    """Refuse a price that does not fit its product, whose pricing group keys are `keys` while the price holds."""
    if product is None:
        raise NotFound("Product", to_text("product", entry.product_id), path=(*path, "productId"))
    refuse_archived(product, path=(*path, "productId"))
    check_kind(entry.rate, product, is_money=is_money, path=(*path, "price"))
    check_frequency(entry.billing_frequency, product, path=(*path, "billingFrequency"))
    if entry.unit is not None and product.type == ProductType.SUBSCRIPTION:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            "A subscription is priced in the currency of the card; leave the unit out.",
            path=(*path, "unit"),
        )
    check_tiers(entry.rate, path=(*path, "price", "tiered"))
    check_commit_rate(entry.rate, entry.commit_rate, product, path=(*path, "commitPrice"))
    if entry.commit_rate is not None:
        check_tiers(entry.commit_rate, path=(*path, "commitPrice", "tiered"))
    if entry.minimum is not None and (product.type != ProductType.COMPOSITE or entry.minimum < 0):
        raise InvalidInput(
            ErrorCode.INVALID, "A minimum is 0 or more, and belongs to composite products.", path=(*path, "minimum")
        )
    if entry.group_values and not any(set(entry.group_values) == set(names) for names in keys):
        offered = "; ".join(dict.fromkeys(", ".join(names) or "none" for names in keys)) or "none"
        raise InvalidInput(
            ErrorCode.INVALID,
            f"The rate names {', '.join(sorted(entry.group_values))[:200]}; the pricing group key of product "
            f"{product.name[:80]!r} is {offered[:200]}. Give a value for each of its properties, or none for all values.",
            path=(*path, "groupValues"),
        )
    for name, value in entry.group_values.items():
        text_of(value, path=(*path, "groupValues", name), longest=2_000)


def check_tiers(rate: Rate, *, path: Path) -> None:
    """At most 100 tiers, and none after which there is no price."""
    if not isinstance(rate, Tiered | TieredPercentage | Volume):
        return
    at_most(rate.tiers, MAX_TIERS, path=path)
    # The core prices beyond a sized last tier as well; a caller who writes one expects something else.
    if rate.tiers[-1].size is not None:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"The last tier has the size {rate.tiers[-1].size}; leave it out, because the last tier has no end.",
            path=(*path, str(len(rate.tiers) - 1), "size"),
        )
