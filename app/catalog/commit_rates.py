"""Commit rates: the price for usage that draws on a balance which asks for it.

Owns which of them fit a list price (semantics 3.2). How they price is left to the core.
"""

from __future__ import annotations

from app.catalog.tables import ProductRow
from app.checks import Path
from app.core.rates import Flat, Rate, Tiered
from app.core.terms import ProductType
from app.errors import ErrorCode, InvalidInput


def check_commit_rate(listed: Rate, commit_rate: Rate | None, product: ProductRow, *, path: Path) -> None:
    """Of usage only, and flat or tiered on both sides, because the two share their position in the tiers."""
    if commit_rate is None:
        return
    if product.type != ProductType.USAGE:
        raise InvalidInput(
            ErrorCode.INVALID, f"{product.name[:80]!r} is a {product.type} product; usage alone has commit rates.", path=path
        )  # fmt: skip
    if not (isinstance(listed, Flat | Tiered) and isinstance(commit_rate, Flat | Tiered)):
        raise InvalidInput(
            ErrorCode.INVALID, "A commit rate is flat or tiered, and so is the list price beside it.", path=path
        )
