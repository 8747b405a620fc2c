"""The tax of the stand-in for Stripe: rates whose id says what they are, and a tenth where Stripe is to compute it.

Owns that arithmetic. `txr_exclusive20` puts 20 % on top, `txr_inclusive20` finds it in the price; others do not exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from connectors.sandbox.stripe_form import Refusal

_RATE = re.compile(r"txr_(exclusive|inclusive)(\d{1,2})")
_AUTOMATIC = 10


def known(values: Mapping[str, Any]) -> list[str]:
    """The default tax rates of an invoice, which must exist and exclude the tax that Stripe computes."""
    rates = cast("list[str]", values.get("default_tax_rates") or [])
    for rate in rates:
        if _RATE.fullmatch(rate) is None:
            raise Refusal(f"No such tax rate: {rate}", code="resource_missing", param="default_tax_rates", status=404)
    if rates and values.get("automatic_tax") == {"enabled": "true"}:
        raise Refusal("Tax rates and automatic tax exclude each other", param="default_tax_rates")
    return rates


def totals(subtotal: int, rates: Sequence[str], *, is_automatic: bool) -> dict[str, int]:
    """The totals of an invoice whose lines come to so many minor units; halves are rounded up."""
    found = [match for rate in rates if (match := _RATE.fullmatch(rate)) is not None]
    exclusive = sum(int(match[2]) for match in found if match[1] == "exclusive") + _AUTOMATIC * is_automatic
    inclusive = sum(int(match[2]) for match in found if match[1] == "inclusive")
    on_top = (subtotal * exclusive + 50) // 100
    within = subtotal - (2 * subtotal * 100 + 100 + inclusive) // (2 * (100 + inclusive))
    return {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - within,
        "total": subtotal + on_top,
        "total_excluding_tax": subtotal - within,
    }
