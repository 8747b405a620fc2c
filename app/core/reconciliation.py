"""Comparing what we have with what a provider shows: two lists in, discrepancies out.

Owns what counts as a discrepancy and its reason. Neither side is right by itself; a person looks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.core.money import ZERO, exact


class Expected(StrEnum):
    """What our books expect of the provider: that it has the invoice, that it has it no more, or has none of it.

    OPEN: the invoice is on its way, or waits for a person; NONE: it was never to be sent.
    """

    THERE = "THERE"
    OPEN = "OPEN"
    TAKEN_BACK = "TAKEN_BACK"
    NONE = "NONE"


class Reason(StrEnum):
    """Why the two sides differ."""

    MISSING = "MISSING"
    EXTRA = "EXTRA"
    DUPLICATE = "DUPLICATE"
    AMOUNT = "AMOUNT"
    CURRENCY = "CURRENCY"
    VOIDED_THERE = "VOIDED_THERE"
    NOT_VOIDED_THERE = "NOT_VOIDED_THERE"
    UNCONFIRMED = "UNCONFIRMED"
    NOT_DELIVERED = "NOT_DELIVERED"
    UNPAID = "UNPAID"


REMEDIES = {
    Reason.MISSING: "The provider shows none, though it confirmed it: look there, then retry the delivery by hand.",
    Reason.EXTRA: "The provider has one that was never to be sent: find out who made it, and take it back there.",
    Reason.DUPLICATE: "The provider has it more than once: take all but one back there.",
    Reason.AMOUNT: "The amounts differ: somebody changed it at the provider, or it counts otherwise.",
    Reason.CURRENCY: "The currencies differ: somebody made it anew at the provider.",
    Reason.VOIDED_THERE: "It was taken back at the provider and not here: void it here, or bill it again.",
    Reason.NOT_VOIDED_THERE: "It was taken back here and stands at the provider: void it there.",
    Reason.UNCONFIRMED: "The provider has it and our books do not say so yet: the next sync finds out.",
    Reason.NOT_DELIVERED: "It has not reached the provider: see the error of its delivery.",
    Reason.UNPAID: "It is past due at the provider and not paid in full.",
}


@dataclass(frozen=True, slots=True)
class Ours:
    """One of our invoices, or a day of usage, by our reference."""

    reference: str
    amount: Decimal
    currency: str | None
    expected: Expected


@dataclass(frozen=True, slots=True)
class Theirs:
    """One object at the provider. `reference` is ours, None on what others made there; `is_gone`: void or deleted."""

    provider_reference: str
    reference: str | None
    amount: Decimal
    currency: str | None
    is_gone: bool = False
    is_unpaid: bool = False


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One difference. An amount is None where that side has nothing; `currency` is ours if we have one."""

    reason: Reason
    reference: str
    provider_references: tuple[str, ...]
    ours: Decimal | None
    theirs: Decimal | None
    currency: str | None

    @property
    def difference(self) -> Decimal:
        """Theirs less ours; what a side does not have counts as nothing."""
        with exact():
            return (self.theirs or ZERO) - (self.ours or ZERO)


def discrepancies(ours: Iterable[Ours], theirs: Iterable[Theirs]) -> list[Discrepancy]:
    """Every difference, by our reference; what carries no reference of ours is not looked at.

    Shape: at most one for each reference, the gravest first in the order of the rules below.
    """
    there: dict[str, list[Theirs]] = defaultdict(list)
    for item in sorted(theirs, key=lambda item: item.provider_reference):
        if item.reference is not None:
            there[item.reference].append(item)
    known = {item.reference: item for item in ours}
    found = [_compared(known.get(reference), there[reference], reference) for reference in sorted({*known, *there})]
    return [item for item in found if item is not None]


def _compared(ours: Ours | None, theirs: Sequence[Theirs], reference: str) -> Discrepancy | None:
    live = [item for item in theirs if not item.is_gone]
    reason = _reason(ours, live, has_gone=len(live) < len(theirs))
    if reason is None:
        return None
    with exact():
        amount = sum((item.amount for item in live), ZERO) if live else None
    references = tuple(item.provider_reference for item in live or theirs)
    owed = ours is not None and ours.expected in (Expected.THERE, Expected.OPEN)
    currency = ours.currency if ours is not None else theirs[0].currency
    return Discrepancy(reason, reference, references, ours.amount if ours and owed else None, amount, currency)


def _reason(ours: Ours | None, live: Sequence[Theirs], *, has_gone: bool) -> Reason | None:
    if ours is None or ours.expected is Expected.NONE:
        return Reason.EXTRA if live else None
    if ours.expected is Expected.TAKEN_BACK:
        return Reason.NOT_VOIDED_THERE if live else None
    if len(live) > 1:
        return Reason.DUPLICATE
    if ours.expected is Expected.OPEN:
        return Reason.UNCONFIRMED if live else Reason.NOT_DELIVERED
    if not live:
        return Reason.VOIDED_THERE if has_gone else Reason.MISSING
    [item] = live
    if item.currency != ours.currency:
        return Reason.CURRENCY
    if item.amount != ours.amount:
        return Reason.AMOUNT
    return Reason.UNPAID if item.is_unpaid else None


def totals(amounts: Iterable[tuple[str | None, Decimal]]) -> Mapping[str | None, Decimal]:
    """Sums by currency, in the order of the currencies; None (units of usage) first."""
    found: dict[str | None, Decimal] = defaultdict(lambda: ZERO)
    for currency, amount in amounts:
        with exact():
            found[currency] += amount
    return dict(sorted(found.items(), key=lambda item: item[0] or ""))
