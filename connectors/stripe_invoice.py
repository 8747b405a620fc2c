"""How one of our invoices is said in Stripe's words: settings, minor units, times, lines, totals.

Owns the pure half of the Stripe connector, so that every trap of amounts and dates can be tested as a table. Leaves
calls, retries and failures of the wire to `connectors/stripe.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.core import money
from connectors.base import DocumentLine, InvoiceDocument, Problem, Terminal, document_to_json
from connectors.http import SettingsTable, customer_of, problems_of
from connectors.stripe_fields import FieldRules
from connectors.stripe_tax import KEY as TAX_KEY
from connectors.stripe_tax import Tax, parameters_of, read_tax

# docs.stripe.com/currencies, November 2026. Stripe's own table; ISO 4217 differs (ISK, UGX, MGA).
ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
# The smallest chargeable step in minor units: ISK and UGX are written with two decimals that must be 00, and
# three-decimal currencies end in 0.
STEPS = {"ISK": 100, "UGX": 100, **dict.fromkeys(THREE_DECIMAL, 10)}
# A charge has at most 8 digits in minor units, in IDR 12 (same page).
MAX_MINOR = 99_999_999
MAX_MINOR_OF = {"IDR": 999_999_999_999}
# Minimum charges in the major unit (same page); below them Stripe moves the total to the customer's balance.
MINIMUM_CHARGE = {
    "USD": "0.50", "EUR": "0.50", "GBP": "0.30", "CAD": "0.50", "AUD": "0.50", "CHF": "0.50", "JPY": "50",
    "SEK": "3.00", "NOK": "3.00", "DKK": "2.50", "SGD": "0.50", "NZD": "0.50", "BRL": "0.50", "INR": "0.50",
    "PLN": "2.00", "CZK": "15.00", "HKD": "4.00", "MXN": "10.00",
}  # fmt: skip
# docs.stripe.com/api/invoices/add_lines and /metadata, November 2026.
MAX_LINES = 250
MAX_DESCRIPTION = 500
MAX_METADATA = 50

INVOICE_KEY = "metrograph_invoice_id"
CONTRACT_KEY = "metrograph_contract_id"
NUMBER_KEY = "metrograph_invoice_number"
DIGEST_KEY = "metrograph_digest"
LINE_KEY = "metrograph_line"

NO_RULES, NO_TAX = FieldRules(), Tax()
_EFFECTIVE_AT: dict[object, str] = {
    "period_end": "period_end",
    "noon_utc": "noon_utc",
    "off": "off",
    True: "period_end",
    False: "off",
}
_COLLECTION: dict[object, str] = {name: name for name in ("charge_automatically", "send_invoice")}


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceOptions:
    """The settings that an account has and a customer or a document may override."""

    effective_at: str = "off"
    leave_in_draft: bool = False
    skip_zero: bool = False
    days_until_due: int = 30
    tax: Tax = NO_TAX


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerConfig:
    """Stripe's side of a billing configuration, with the account's options already merged in."""

    stripe_customer_id: str
    collection_method: str
    options: InvoiceOptions


def read_options(table: SettingsTable, defaults: InvoiceOptions, *, camel: bool = False) -> InvoiceOptions:
    """The options of a table; keys are snake_case in connections and camelCase in a customer's configuration."""

    def key(name: str) -> str:
        head, *tail = name.split("_")
        return head + "".join(word.capitalize() for word in tail) if camel else name

    options = InvoiceOptions(
        effective_at=table.choice(key("effective_at"), defaults.effective_at, among=_EFFECTIVE_AT),
        leave_in_draft=table.flag(key("leave_in_draft"), defaults.leave_in_draft),
        skip_zero=table.flag(key("skip_zero"), defaults.skip_zero),
        days_until_due=table.whole(key("days_until_due"), defaults.days_until_due, least=0, most=365),
        tax=read_tax(table, key("tax"), key("tax_rates"), defaults.tax),
    )
    if options.tax.way == "stripe" and options.effective_at != "off":
        # Stripe Tax computes with its own date, so the printed date and the tax point would disagree.
        table.fault(key("effective_at"), "must be off where Stripe computes the tax")
    return options


def read_customer(settings: Mapping[str, str], defaults: InvoiceOptions) -> CustomerConfig:
    """The customer's side. `SettingsError` with every problem."""
    table = SettingsTable("customer", settings, {})
    customer = CustomerConfig(
        stripe_customer_id=table.text("stripeCustomerId", pattern=r"cus_\w{1,200}", like="an id such as cus_A1b2C3"),
        collection_method=table.choice("collectionMethod", "charge_automatically", among=_COLLECTION),
        options=read_options(table, defaults, camel=True),
    )
    table.finish()
    return customer


def customer_problems(settings: Mapping[str, str]) -> list[Problem]:
    """Every problem of the customer's side; empty when it is complete."""
    return problems_of(lambda given: read_customer(given, InvoiceOptions()), settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that will be asked of Stripe for one invoice; computed before the first call.

    `total` is in Stripe's minor units; `lines` are add_lines entries in order, each with its place in the metadata.
    """

    document: InvoiceDocument
    customer: CustomerConfig
    digest: str
    create: dict[str, Any]
    lines: tuple[dict[str, Any], ...]
    total: int
    is_skipped: bool


def plan_invoice(
    document: InvoiceDocument, defaults: InvoiceOptions, rules: FieldRules = NO_RULES, *, seller: str = ""
) -> Plan:
    """The requests for a document; `seller` names the one line of what has too many. `Terminal` when Stripe could not take
    it as it is."""
    customer = customer_of(lambda given: read_customer(given, defaults), {**document.customer, **document.options})
    lines, total = _lines(document, rules, seller)
    limit = MAX_MINOR_OF.get(document.currency, MAX_MINOR)
    if total > limit:
        raise Terminal(
            "AMOUNT_TOO_LARGE",
            f"{money.canonical(document.total)} {document.currency} is above Stripe's limit for one charge.",
            hint="Split the invoice, or settle it outside Stripe and mark it delivered.",
        )
    if customer.options.tax.way == "stripe" and any(line["amount"] < 0 for line in lines):
        # docs.stripe.com/tax/invoicing, November 2026: Stripe refuses it when the draft is final already for us.
        raise Terminal(
            "NEGATIVE_WITH_TAX",
            "Stripe computes no tax on an invoice with negative lines.",
            hint="Set tax to off for this customer, or settle the invoice outside Stripe.",
        )
    minimum = Decimal(MINIMUM_CHARGE.get(document.currency, "0"))
    text = json.dumps(document_to_json(document), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Plan(
        document=document,
        customer=customer,
        digest=digest,
        create=_create_parameters(document, customer, digest, rules),
        lines=lines,
        total=total,
        is_skipped=customer.options.skip_zero and (document.total == 0 or 0 < document.total < minimum),
    )


def minor_units(amount: Decimal, currency: str) -> int:
    """An amount of the major unit in Stripe's minor units. `Terminal` when it is not exact there."""
    minor = amount.scaleb(places(currency))
    if minor != minor.to_integral_value():
        raise Terminal(
            "AMOUNT_NOT_EXACT", f"{money.canonical(amount)} {currency} has more digits than Stripe counts in."
        )
    # Stripe refuses "500.00" and expands no exponent; an int has one spelling.
    return int(minor)


def major_units(minor: int, currency: str) -> Decimal:
    """Stripe's minor units in the major unit, exact."""
    return Decimal(minor).scaleb(-places(currency))


def places(currency: str) -> int:
    """Decimal digits of Stripe's minor unit (docs.stripe.com/currencies, November 2026)."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def effective_at(document: InvoiceDocument, rule: str) -> datetime | None:
    """The date of issue that Stripe prints.

    `period_end`: last second of the service period. `noon_utc`: noon UTC of the last service day, which prints as that
    day from UTC-12 to UTC+11. An invoice without a service period has its own date instead. None when off. Source: docs.stripe.com/api/invoices/create,
    November 2026; it is settable only before finalization and changes nothing but the printed date.
    """
    instant = document.date
    if document.service_ending_before is not None:
        instant = document.service_ending_before - timedelta(seconds=1)
    if rule == "off" or instant is None:
        return None
    return instant if rule == "period_end" else instant.replace(hour=12, minute=0, second=0, microsecond=0)


def _create_parameters(
    document: InvoiceDocument, customer: CustomerConfig, digest: str, rules: FieldRules
) -> dict[str, Any]:
    options = customer.options
    parameters: dict[str, Any] = {
        "customer": customer.stripe_customer_id,
        "currency": document.currency.lower(),
        "collection_method": customer.collection_method,
        # Nothing may happen by itself before the totals were compared.
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        # The customer's own discount would change the total; ours is already in the lines.
        "discounts": "",
        **parameters_of(options.tax),
        "metadata": {
            **rules.metadata_of(document.custom_fields),
            INVOICE_KEY: document.reference,
            CONTRACT_KEY: document.contract,
            NUMBER_KEY: document.number,
            DIGEST_KEY: digest,
        },
    }
    printed = rules.printed_of(document.custom_fields)
    if printed:
        parameters["custom_fields"] = printed
    if customer.collection_method == "send_invoice":
        parameters["days_until_due"] = options.days_until_due
    if options.tax.is_external:
        parameters["metadata"][TAX_KEY] = options.tax.way
    instant = effective_at(document, options.effective_at)
    if instant is not None:
        parameters["effective_at"] = int(instant.timestamp())
    return parameters


def _lines(document: InvoiceDocument, rules: FieldRules, seller: str) -> tuple[tuple[dict[str, Any], ...], int]:
    """The add_lines entries and the total in minor units, after the currency's smallest step."""
    amounts = [minor_units(line.amount, document.currency) for line in document.lines]
    total = sum(amounts)
    step = STEPS.get(document.currency, 1)
    charged = int(money.round_half_up(Decimal(total) / step, places=0)) * step
    entries = [_line(line, amount, document, rules) for line, amount in zip(document.lines, amounts, strict=True)]
    if charged != total:
        text = f"Rounding to the smallest amount that can be charged in {document.currency}"
        entries.append({"amount": charged - total, "description": text, "discountable": False})
    if not entries or len(entries) > MAX_LINES:
        entries = [_summary_line(document, charged, seller)]
    for place, entry in enumerate(entries):
        entry["metadata"] = {**entry.get("metadata", {}), LINE_KEY: str(place)}
        _keep_place(entry, document, place)
    return tuple(entries), charged


def _keep_place(entry: dict[str, Any], document: InvoiceDocument, place: int) -> None:
    """Lines of one period keep our order where Stripe sorts them by time: each is shifted by a second for each line before
    it (semantics 7.3).

    Only the start moves, by some minutes at most, so the days that are printed stay. A line without a period gets an
    instant, which Stripe does not print.
    """
    since = document.service_starting_at or document.date or document.issued_at
    period = entry.get("period") or dict.fromkeys(("start", "end"), int(since.timestamp()))
    start = period["start"] + place
    entry["period"] = {"start": start, "end": max(start, period["end"])}


def _line(line: DocumentLine, amount: int, document: InvoiceDocument, rules: FieldRules) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "amount": amount,
        "description": _description(line, document.currency),
        "discountable": False,
        "metadata": _metadata({**line.metadata, **rules.metadata_of(line.custom_fields)}),
    }
    return _with_period(entry, line.starting_at, line.ending_before)


def _summary_line(document: InvoiceDocument, amount: int, seller: str) -> dict[str, Any]:
    """One line instead of none, or of more than Stripe takes on an invoice; that one is named after the seller."""
    number = len(document.lines)
    whose = f"{seller}, invoice {document.number}" if seller else f"Invoice {document.number}"
    text = f"{whose}: {number} lines, itemized in the billing portal" if number else "No charges"
    entry: dict[str, Any] = {"amount": amount, "description": text, "discountable": False}
    return _with_period(entry, document.service_starting_at, document.service_ending_before)


def _with_period(entry: dict[str, Any], starting_at: datetime | None, ending_before: datetime | None) -> dict[str, Any]:
    """Stripe's line periods include their end, ours do not: the end steps back one second, never before the start."""
    if starting_at is not None and ending_before is not None:
        start, end = int(starting_at.timestamp()), int(ending_before.timestamp()) - 1
        entry["period"] = {"start": start, "end": max(start, end)}
    return entry


def _description(line: DocumentLine, currency: str) -> str:
    """The line's name with quantity and unit price, which Stripe is not asked to multiply."""
    text = line.description
    if line.quantity is not None and line.unit_price is not None:
        text = f"{text}: {money.canonical(line.quantity)} × {money.canonical(line.unit_price)} {currency}"
    elif line.quantity is not None:
        text = f"{text}: {money.canonical(line.quantity)}"
    return text if len(text) <= MAX_DESCRIPTION else text[: MAX_DESCRIPTION - 1] + "…"


def _metadata(pairs: Mapping[str, str]) -> dict[str, str]:
    """What fits Stripe's metadata: 50 pairs (one is ours), keys of 40 characters without brackets, values of 500."""
    fitting = {key: value[:500] for key, value in pairs.items() if key and len(key) <= 40 and not set(key) & set("[]")}
    return dict(list(fitting.items())[: MAX_METADATA - 1])
