"""Who adds tax to an invoice at Stripe: nobody, Stripe, fixed rates, or tax software that works on the draft.

Owns the settings, what is refused together, and what is asked of Stripe for it. What we bill is without tax; how the tax
on top of it is told apart afterwards is in `stripe_totals.py`. Source: docs.stripe.com/billing/taxes/tax-rates and
docs.stripe.com/tax/invoicing, November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectors.http import SettingsTable

KEY = "metrograph_tax"
"""Metadata by which an invoice tells that tax software adds lines of its own to it."""
EXTERNAL = "external"
_WAYS: dict[object, str] = {way: way for way in ("off", "stripe", "rates", EXTERNAL)}
_RATES, _LIKE = r"txr_\w{1,100}(,txr_\w{1,100}){0,4}", "one to five tax rates of Stripe such as txr_A1b2,txr_C3d4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """A way, and the ids of Stripe's tax rates where that is `rates`.

    `external`: the draft is left to Stripe for about an hour, so that software such as Avalara's or Anrok's can add its lines
    before Stripe finalizes it. Software that is installed as Stripe's tax provider is `stripe`.
    """

    way: str = "off"
    rates: tuple[str, ...] = ()

    @property
    def is_external(self) -> bool:
        """Whether Stripe finalizes the draft by itself, later."""
        return self.way == EXTERNAL


def read_tax(table: SettingsTable, way: str, rates: str, defaults: Tax) -> Tax:
    """The tax of a table under these two keys."""
    found = Tax(
        way=table.choice(way, defaults.way, among=_WAYS),
        rates=tuple(filter(None, table.text(rates, ",".join(defaults.rates), pattern=_RATES, like=_LIKE).split(","))),
    )
    if found.way == "rates" and not found.rates:
        table.fault(rates, f"is required where {way} is rates: {_LIKE}")
    if found.way != "rates" and table.has(rates):
        table.fault(rates, f"needs {way} to be rates")
    return found if found.way == "rates" else Tax(way=found.way)


def parameters_of(tax: Tax) -> dict[str, Any]:
    """What an invoice says of its tax when it is created.

    Whether Stripe computes it is always said, since an account may do so for every invoice that leaves it open
    (docs.stripe.com/tax/invoicing/automatic-tax-default, November 2026).
    """
    asked: dict[str, Any] = {"automatic_tax": {"enabled": tax.way == "stripe"}}
    if tax.rates:
        asked["default_tax_rates"] = list(tax.rates)
    return asked
