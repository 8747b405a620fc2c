"""Which kind of price fits which kind of product, and what a composite product is a percentage of.

Owns the rules of semantics 2.5 and 3.2: percentages are of money only, whether a metric measures it or other products
were charged it, and the price of a subscription is that of a period.
"""

from __future__ import annotations

from uuid import UUID

from app.catalog.tables import ProductRow
from app.checks import Path
from app.core.custom import Custom
from app.core.per_event import PercentagePerEvent
from app.core.period import Frequency
from app.core.rates import Flat, Percentage, Rate, TieredPercentage
from app.core.terms import Composite, CompositeScope, ProductType
from app.errors import ErrorCode, InvalidInput


def composite_of(row: ProductRow) -> Composite | None:
    """What the product is a percentage of, as the core reads it."""
    if row.composite_product_ids is None or row.composite_tags is None:
        return None
    products = tuple(UUID(item) for item in row.composite_product_ids)
    scope = CompositeScope(row.composite_scope)
    return Composite(products, tuple(row.composite_tags), row.exclude_free_usage, scope)


def check_kind(rate: Rate, product: ProductRow, *, is_money: bool, path: Path) -> None:
    """A percentage is one of money: of other products' charges, or of what a metric of money measures.

    A SUBSCRIPTION product has one price for each unit; what is charged by schedule has its price on the contract.
    """
    if product.type in (ProductType.FIXED, ProductType.PRO_SERVICE):
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"{product.name[:80]!r} is a {product.type} product, which is priced on the contract and not on a card.",
            path=path,
        )
    if product.type == ProductType.SUBSCRIPTION and not isinstance(rate, Flat):
        raise InvalidInput(
            ErrorCode.INVALID, f"{product.name[:80]!r} is a subscription product; its price is flat.", path=path
        )
    if product.type == ProductType.COMPOSITE and isinstance(rate, PercentagePerEvent):
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"{product.name[:80]!r} is a composite product, which has no events of its own; write its least as minimum.",
            path=path,
        )
    is_percentage = isinstance(rate, Percentage | TieredPercentage | PercentagePerEvent)
    if product.type == ProductType.COMPOSITE and not (is_percentage or isinstance(rate, Custom)):
        raise InvalidInput(
            ErrorCode.INVALID, f"{product.name[:80]!r} is a composite product; its price is a percentage.", path=path
        )
    if product.type == ProductType.USAGE and is_percentage and not is_money:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"The metric of {product.name[:80]!r} does not measure money; a percentage needs one that does.",
            path=path,
        )


def check_frequency(frequency: Frequency | None, product: ProductRow, *, path: Path) -> None:
    """The price of a SUBSCRIPTION product says for how long it pays; others have no frequency."""
    if product.type != ProductType.SUBSCRIPTION:
        if frequency is not None:
            raise InvalidInput(
                ErrorCode.INVALID,
                f"{product.name[:80]!r} is no subscription product; leave billingFrequency out.",
                path=path,
            )
    elif frequency is None:
        raise InvalidInput(
            ErrorCode.REQUIRED,
            f"{product.name[:80]!r} is a subscription product; write for how long its price pays.",
            path=path,
        )
    elif frequency is Frequency.SEMI_ANNUAL:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            "A billing frequency is WEEKLY, MONTHLY, QUARTERLY or ANNUAL, not SEMI_ANNUAL.",
            path=path,
        )
