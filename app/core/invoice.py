"""From lines to an invoice: totals, the one rounding, states, identity and the digest of the content.

Owns what makes an invoice add up and stay provable. Where the lines come from is left to `rating`, storing to the
invoices slice. Everything here gives the same answer years later, which is what an audit asks for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from app.core.lines import Line, LineOrigin, LineType
from app.core.money import ZERO, Unit, canonical, exact, round_total
from app.core.period import Period

CORRECTION_TIME = timedelta(hours=2)
"""How long after a contract was made its first scheduled invoices stay drafts."""


class InvoiceType(StrEnum):
    """What an invoice was made for."""

    USAGE = "USAGE"
    SCHEDULED = "SCHEDULED"
    TRUEUP = "TRUEUP"
    USAGE_CONSOLIDATED = "USAGE_CONSOLIDATED"


class InvoiceStatus(StrEnum):
    """A draft is a view and has no row; finalized is a fact; a void invoice stays in place and counts no more."""

    DRAFT = "DRAFT"
    FINALIZED = "FINALIZED"
    VOID = "VOID"


class PaymentStatus(StrEnum):
    """What became of the payment of a final invoice, as far as whoever collects it tells."""

    NOT_SENT = "NOT_SENT"
    PENDING = "PENDING"
    OVERDUE = "OVERDUE"
    FAILED = "FAILED"
    PAID = "PAID"
    UNCOLLECTIBLE = "UNCOLLECTIBLE"
    CANCELED = "CANCELED"


class InvoiceTrigger(StrEnum):
    """What can be done to an invoice."""

    FINALIZE = "FINALIZE"
    VOID = "VOID"


_TRANSITIONS: dict[tuple[InvoiceStatus, InvoiceTrigger], InvoiceStatus] = {
    (InvoiceStatus.DRAFT, InvoiceTrigger.FINALIZE): InvoiceStatus.FINALIZED,
    (InvoiceStatus.FINALIZED, InvoiceTrigger.VOID): InvoiceStatus.VOID,
}


class IllegalTransition(Exception):
    """The state does not allow the step; names both."""

    def __init__(self, status: InvoiceStatus, trigger: InvoiceTrigger) -> None:
        super().__init__(f"An invoice that is {status} does not allow {trigger}.")
        self.status = status
        self.trigger = trigger


@dataclass(frozen=True, slots=True)
class Draft:
    """Exact lines and their exact sum; the total of a draft is its subtotal."""

    lines: tuple[Line, ...]
    subtotal: Decimal
    unit: Unit


@dataclass(frozen=True, slots=True)
class FinalInvoice:
    """Lines that add up to a total in whole smallest parts of the unit; `subtotal` is the sum before rounding."""

    lines: tuple[Line, ...]
    subtotal: Decimal
    total: Decimal
    unit: Unit


@dataclass(frozen=True, slots=True)
class InvoiceHeader:
    """What an invoice is, apart from what it says. `regeneration` counts from 0.

    Of a SCHEDULED invoice the period has no end: its start is the date. `ordinal` tells several of one date apart.
    """

    invoice_id: UUID
    customer_id: UUID
    contract_id: UUID
    invoice_type: InvoiceType
    period: Period
    regeneration: int
    issued_at: datetime
    ordinal: int = 0


def next_status(status: InvoiceStatus, trigger: InvoiceTrigger) -> InvoiceStatus:
    """The state after a step. `IllegalTransition` when the table has no such step."""
    following = _TRANSITIONS.get((status, trigger))
    if following is None:
        raise IllegalTransition(status, trigger)
    return following


def due_at(period: Period, grace: timedelta) -> datetime:
    """When a usage statement becomes final: `grace` after its end, during which late usage still joins it."""
    assert period.ending_before is not None, "a statement has an end"
    assert grace >= timedelta(0), "the grace period is not negative"
    return period.ending_before + grace


def scheduled_due_at(date: datetime, *, created_at: datetime) -> datetime:
    """When a scheduled invoice becomes final: at its date.

    A date within two hours after the contract was made waits until they are over, so that slips can be corrected
    (semantics 6.2); a date that has passed does not.
    """
    is_near = created_at < date <= created_at + CORRECTION_TIME
    return created_at + CORRECTION_TIME if is_near else date


def invoice_id(
    *,
    contract_id: UUID,
    invoice_type: InvoiceType,
    starting_at: datetime,
    regeneration: int,
    unit: str | None = None,
    ordinal: int = 0,
) -> UUID:
    """The id of an invoice: UUIDv8 of the SHA-256 of what it is for, so a draft keeps its id when it becomes final.

    Only one that shares its date with others, in another unit or after an earlier one, names `unit` and `ordinal`.

    *Source*: RFC 9562, section 5.8 (version 8, with 122 bits of the digest).
    """
    assert regeneration >= 0, "regenerations count from 0"
    text = f"invoice:{contract_id}:{invoice_type}:{_instant(starting_at)}:{regeneration}"
    if unit is not None:
        text += f":{unit}:{ordinal}"
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    bits = bits & ~(0xF << 76) | (8 << 76)
    return UUID(int=bits & ~(0b11 << 62) | (0b10 << 62))


def assemble(lines: Sequence[Line], unit: Unit) -> Draft:
    """A draft of lines that are in one unit, in the order given; its subtotal is exact."""
    assert all(line.unit == unit.code for line in lines if line.in_total), "a total is in one unit"
    return Draft(lines=tuple(lines), subtotal=_sum_in_total(lines), unit=unit)


def finalize(draft: Draft) -> FinalInvoice:
    """The draft with its total rounded half up; a line of type `rounding` carries the difference where there is one.

    Rounding happens here and nowhere else (shared decision 7).
    """
    assert draft.subtotal == _sum_in_total(draft.lines), "the lines of a draft add up to its subtotal"
    assert all(line.type is not LineType.ROUNDING for line in draft.lines), "an invoice is rounded once"
    total = round_total(draft.subtotal, draft.unit)
    with exact():
        difference = total - draft.subtotal
        assert 2 * abs(difference) <= Decimal(1).scaleb(-draft.unit.places), "rounding moves half a part at most"
    lines = draft.lines if not difference else (*draft.lines, _rounding_line(difference, draft.unit))
    assert _sum_in_total(lines) == total, "the lines of an invoice add up to its total"
    return FinalInvoice(lines=lines, subtotal=draft.subtotal, total=total, unit=draft.unit)


def put_together(parts: Sequence[tuple[UUID, FinalInvoice]]) -> FinalInvoice:
    """Invoices of one unit as one, by id: their lines one after the other, each with its origin, and the sum of totals.

    Every part was rounded by itself, so nothing is rounded here, and the subtotal is the total.
    """
    assert parts, "an invoice is made of something"
    [unit] = {part.unit for _, part in parts}
    lines = tuple(
        line._replace(origin=LineOrigin(identifier, position))
        for identifier, part in parts
        for position, line in enumerate(part.lines)
    )
    with exact():
        total = sum((part.total for _, part in parts), ZERO)
    assert _sum_in_total(lines) == total, "the lines of the parts add up to their totals"
    return FinalInvoice(lines=lines, subtotal=total, total=total, unit=unit)


def canonical_content(header: InvoiceHeader, invoice: FinalInvoice) -> bytes:
    """The invoice as one JSON text in UTF-8: keys sorted, no blanks, decimals canonical, instants with Z.

    Computing an invoice again from its recorded inputs must give the same bytes.
    """
    instants: dict[datetime | None, str | None] = {}
    content: dict[str, object] = {
        "id": str(header.invoice_id),
        "customer": str(header.customer_id),
        "contract": str(header.contract_id),
        "type": header.invoice_type,
        "starting_at": _instant(header.period.starting_at),
        "ending_before": _optional_instant(header.period.ending_before),
        "regeneration": header.regeneration,
        "issued_at": _instant(header.issued_at),
        "unit": invoice.unit.code,
        "subtotal": canonical(invoice.subtotal),
        "total": canonical(invoice.total),
        "lines": [_line_content(line, instants) for line in invoice.lines],
        **({"ordinal": header.ordinal} if header.ordinal else {}),
    }
    return _text(content).encode()


_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def fingerprint(header: InvoiceHeader, invoice: FinalInvoice) -> str:
    """SHA-256 of the canonical content, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_content(header, invoice)).hexdigest()


def _rounding_line(difference: Decimal, unit: Unit) -> Line:
    return Line(
        type=LineType.ROUNDING,
        product_id=None,
        product_name=None,
        unit=unit.code,
        quantity=None,
        unit_price=None,
        amount=difference,
        starting_at=None,
        ending_before=None,
    )


def _line_content(line: Line, instants: dict[datetime | None, str | None]) -> dict[str, object]:
    """`instants` are texts by instant, which the lines of an invoice share: most have its dates.

    The names are in their order already, so that sorting them costs little.
    """
    for instant in (line.starting_at, line.ending_before):
        if instant not in instants:
            instants[instant] = _optional_instant(instant)
    tier = None
    if line.tier is not None:
        start, size = canonical(line.tier.starting_at), _optional_decimal(line.tier.size)
        tier = {"level": line.tier.level, "starting_at": start, "size": size}
    return {
        "amount": canonical(line.amount),
        "ending_before": instants[line.ending_before],
        "in_total": line.in_total,
        "presentation": dict(line.presentation),
        "pricing": dict(line.pricing),
        "product": None if line.product_id is None else str(line.product_id),
        "product_name": line.product_name,
        "quantity": _optional_decimal(line.quantity),
        "rate": None if line.rate_id is None else str(line.rate_id),
        "starting_at": instants[line.starting_at],
        "tier": tier,
        "type": line.type,
        "unit": line.unit,
        "unit_price": _optional_decimal(line.unit_price),
        **{name: value for name, value in _later_content(line).items() if value is not None},
    }


def _later_content(line: Line) -> dict[str, object]:
    """What lines came to say later: named only where there is something, so that older invoices keep their digest."""
    return {
        "override": None if line.override_id is None else str(line.override_id),
        "grant": None if line.grant_id is None else str(line.grant_id),
        "segment": line.segment,
        "applied_to": line.applied_to,
        "converted_unit": line.converted_unit,
        "subscription": None if line.subscription_id is None else str(line.subscription_id),
        "charge": None if line.charge_id is None else str(line.charge_id),
        "charged_at": _optional_instant(line.charged_at),
        "ordinal": line.ordinal or None,
        "origin": None if line.origin is None else [str(line.origin.invoice_id), line.origin.position],
        "per_event": line.per_event,
    }


def _sum_in_total(lines: Sequence[Line]) -> Decimal:
    with exact():
        return sum((line.amount for line in lines if line.in_total), ZERO)


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _optional_instant(instant: datetime | None) -> str | None:
    return None if instant is None else _instant(instant)


def _optional_decimal(value: Decimal | None) -> str | None:
    return None if value is None else canonical(value)
