"""An invoice as texts for paper: amounts and dates in the way of a locale, lines grouped by product.

Owns the wording and the formatting; `invoice.typ` only places what stands here. Lines show exact amounts, since only the
total is rounded, so the column adds up.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from babel.core import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from app.core.currencies import MINOR_DIGITS
from app.core.invoice import InvoiceStatus, InvoiceType
from app.core.lines import Line, LineType
from app.core.money import exact, round_half_up
from app.core.per_event import EventPart
from app.invoices.document_facts import DocumentFacts

TITLES = {
    InvoiceType.USAGE: "Invoice", InvoiceType.SCHEDULED: "Invoice", InvoiceType.TRUEUP: "True-up invoice",
    InvoiceType.USAGE_CONSOLIDATED: "Invoice",
}  # fmt: skip
KINDS = {
    LineType.COMPOSITE: "Percentage of other charges",
    LineType.MINIMUM: "Minimum",
    LineType.CPU_CONVERSION: "Converted units",
    LineType.COMMIT_PURCHASE: "Commit",
    LineType.TRUEUP: "Committed and not used",
    LineType.SUBSCRIPTION: "Subscription",
    LineType.SCHEDULED: "Scheduled charge",
    LineType.ROUNDING: "Rounding",
}
BOUNDS = {EventPart.MINIMUM: "Events at the minimum", EventPart.MAXIMUM: "Events at the maximum"}


def printed(facts: DocumentFacts, *, seller: str, seller_details: tuple[str, ...], locale: Locale) -> dict[str, Any]:
    """The content of the page: texts, and lists of texts. Nothing in it is markup."""
    # Formatting puts amounts into their digits, for which 28 of them, the usual precision, may be too few.
    with exact():
        return _page(facts, seller=seller, seller_details=seller_details, locale=locale)


def _page(facts: DocumentFacts, *, seller: str, seller_details: tuple[str, ...], locale: Locale) -> dict[str, Any]:
    page = _Page(locale, facts)
    watermark = "" if facts.status is InvoiceStatus.FINALIZED else facts.status.value
    return {
        "title": TITLES[InvoiceType(facts.type)] if facts.status is not InvoiceStatus.DRAFT else "Draft invoice",
        "seller": seller,
        "seller_details": list(seller_details),
        "customer": facts.customer_name,
        "facts": [list(pair) for pair in page.facts()],
        "groups": [group for group in page.groups() if group["rows"]],
        "totals": [list(pair) for pair in page.totals()],
        "total_label": "Total" if facts.status is not InvoiceStatus.DRAFT else "Total so far",
        "total": page.money(facts.total, facts.currency, whole=facts.status is not InvoiceStatus.DRAFT),
        "notes": list(page.notes()),
        "watermark": watermark,
        "footer": facts.number or "Draft",
    }


class _Page:
    def __init__(self, locale: Locale, facts: DocumentFacts) -> None:
        self.locale, self.of = locale, facts

    def facts(self) -> Iterator[tuple[str, str]]:
        of = self.of
        if of.number is not None:
            yield "Invoice number", of.number
        if of.issued_at is not None:
            yield "Date", self.date(of.issued_at)
        if of.payment_due_at is not None:
            yield "Payment due", self.date(of.payment_due_at)
        if of.ending_before is not None:
            yield "Service period", self.span(of.starting_at, of.ending_before)
        if of.contract_name is not None:
            yield "Contract", of.contract_name
        yield "Currency", of.currency

    def groups(self) -> Iterator[dict[str, Any]]:
        for name, lines in groupby(self.of.lines, key=self.heading):
            rows = [self.row(line) for line in lines if line.type is not LineType.ROUNDING]
            yield {"name": name, "rows": rows}

    def heading(self, line: Line) -> str:
        name = _heading(line)
        if line.origin is None or not name:
            return name
        return f"{self.of.origins[line.origin.invoice_id].heading}: {name}"

    def row(self, line: Line) -> dict[str, Any]:
        return {
            "text": self.text(line),
            "details": [detail for detail in self.details(line) if detail],
            "quantity": "" if line.quantity is None else self.number(line.quantity),
            "price": "" if line.unit_price is None else self.money(line.unit_price, line.unit),
            "amount": self.money(line.amount, line.unit),
            "kind": "applied" if line.type is LineType.APPLIED else "counted" if line.in_total else "shown",
        }

    def text(self, line: Line) -> str:
        if line.type is LineType.APPLIED:
            assert line.grant_id is not None, "a balance pays"
            name = self.of.balance_names.get(line.grant_id)
            what = "commit or credit" if name is None else f"“{name}”"
            return f"Paid from {what}" if line.in_total else f"Counts towards {what}"
        groups = ", ".join(f"{key}: {value or '–'}" for key, value in dict((*line.pricing, *line.presentation)).items())
        kind = KINDS.get(line.type, "Usage")
        if line.type is LineType.CPU_CONVERSION:
            kind = f"{line.converted_unit} in {line.unit}"
        return groups or kind

    def details(self, line: Line) -> Iterator[str]:
        if line.type is LineType.APPLIED:
            return
        if line.tier is not None:
            start, size = line.tier.starting_at, line.tier.size
            end = "" if size is None else f" to {self.number(start + size)}"
            yield f"Tier {line.tier.level}: from {self.number(start)}{end}"
        if line.per_event is not None and line.per_event in BOUNDS:
            yield BOUNDS[line.per_event]
        if line.starting_at is not None and (line.starting_at, line.ending_before) != (
            self.of.starting_at, self.of.ending_before,
        ):  # fmt: skip
            yield self.span(line.starting_at, line.ending_before)
        elif line.charged_at is not None:
            yield self.date(line.charged_at)
        if line.grant_id is not None and line.type is LineType.COMMIT_PURCHASE:
            yield self.of.balance_names.get(line.grant_id, "")

    def totals(self) -> Iterator[tuple[str, str]]:
        if self.of.subtotal != self.of.total:
            yield "Sum of the lines", self.money(self.of.subtotal, self.of.currency)
            yield "Rounding", self.money(self.of.total - self.of.subtotal, self.of.currency)

    def notes(self) -> Iterator[str]:
        if self.of.status is InvoiceStatus.DRAFT:
            yield "This is a draft. It changes with usage and prices, and nothing is owed yet."
        if self.of.status is InvoiceStatus.VOID:
            yield "This invoice is void and counts no more."
        if any(not line.in_total for line in self.of.lines):
            yield "Lines in gray are shown for information and do not count towards the total."
        if self.of.content_hash is not None:
            yield f"Content hash {self.of.content_hash}"

    def money(self, amount: Decimal, unit: str, *, whole: bool = False) -> str:
        if unit not in MINOR_DIGITS:
            return f"{self.number(amount)} {unit}"
        digits = MINOR_DIGITS[unit]
        # The locale's data has its own opinion of digits: none for the Serbian dinar, which invoices round to hundredths.
        form = copy(self.locale.currency_formats["standard"])
        form.frac_prec = (digits, digits)
        shown = round_half_up(amount, places=digits) if whole else amount
        return format_currency(
            shown, unit, format=form, locale=self.locale, currency_digits=False, decimal_quantization=False
        )

    def number(self, value: Decimal) -> str:
        return format_decimal(value, locale=self.locale, decimal_quantization=False)

    def date(self, instant: datetime) -> str:
        return format_date(instant.astimezone(UTC).date(), format="long", locale=self.locale)

    def span(self, start: datetime, end: datetime | None) -> str:
        if end is None:
            return self.date(start)
        # The last day that belongs to it.
        return f"{self.date(start)} – {self.date(end - timedelta(microseconds=1))}"


def _heading(line: Line) -> str:
    if line.type is LineType.ROUNDING:
        return ""
    return line.product_name or KINDS.get(line.applied_to or line.type, "Other")
