"""What a commit or credit may say.

Owns the refusals of semantics 5.1, each with its code, and the form in which a payment schedule is kept. Rows are
written by `service.py`, and nothing is stored when one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.checks import Path, at_most, interval_of, name_of, text_of
from app.core import currencies, hierarchy
from app.core.fees import RecurringSchedule, ScheduledCharge, ScheduledItem
from app.core.grants import GrantType, PaymentGate
from app.core.money import ONE, ZERO, exact, fiat
from app.core.scheduled import schedule_from_json, schedule_to_json, scheduled_items
from app.core.terms import RateTarget, Specifier
from app.errors import ErrorCode, InvalidInput
from app.store.ids import new_id

MAX_SEGMENTS = 1_000
MAX_SCOPE = 100
MAX_PRIORITY = Decimal(1_000_000)
NIL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class NewSegment:
    """An amount that may be used from a full hour on and before another."""

    amount: Decimal
    starting_at: datetime
    ending_before: datetime


@dataclass(frozen=True, slots=True)
class PaymentSchedule:
    """What is paid for a commit, on dates or again and again. `unit` None is that of its access.

    With `do_not_invoice` the amounts are recorded, and no invoice asks for them.
    """

    schedule: tuple[ScheduledItem, ...] | RecurringSchedule
    unit: str | None = None
    do_not_invoice: bool = False

    def items(self, unit: str) -> tuple[ScheduledItem, ...]:
        """Every payment, in order of time; `unit` is that of the access."""
        counted = fiat(self.unit or unit)
        return scheduled_items(ScheduledCharge(NIL, None, counted, self.schedule, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a balance may pay for: products, or tags, or what specifiers reach; nothing named is everything."""

    product_ids: Sequence[UUID] = ()
    tags: Sequence[str] = ()
    specifiers: Sequence[Specifier] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A commit or credit to make. The id may be chosen before, so that overrides of the same request can name it.

    `priority` may be left out on a contract (100); a customer's own needs one. `contract_ids` (empty: all) and
    `invoice_contract_id` belong to a customer's own, `sharing` with children to a contract's. With a `gate` it can be used
    once its one payment was made; a refund is used after everything else.
    """

    type: GrantType
    segments: Sequence[NewSegment]
    id: UUID = field(default_factory=new_id)
    product_id: UUID | None = None
    name: str | None = None
    description: str | None = None
    unit: str = "USD"
    priority: Decimal | None = None
    scope: Scope = field(default_factory=Scope)
    contract_ids: Sequence[UUID] = ()
    invoice_contract_id: UUID | None = None
    rate_type: RateTarget = RateTarget.LIST_RATE
    rollover_fraction: Decimal | None = None
    payment: PaymentSchedule | None = None
    trueup_disabled: bool = False
    sharing: hierarchy.Sharing = field(default_factory=hierarchy.Sharing)
    gate: PaymentGate | None = None
    threshold_id: UUID | None = None
    is_refund: bool = False
    custom_fields: Mapping[str, str] = field(default_factory=dict[str, str])
    uniqueness_key: str | None = None


def check_grant(entry: NewGrant, *, of_customer: bool, path: Path) -> None:
    """Refuse a definition that breaks a rule. What it refers to is looked up by the service."""
    if entry.name is not None:
        name_of(entry.name, path=(*path, "name"))
    if entry.description is not None:
        text_of(entry.description, path=(*path, "description"), longest=2_000)
    if of_customer and entry.priority is None:
        raise InvalidInput(
            ErrorCode.PRIORITY_REQUIRED, "A customer's own balance needs a priority.", path=(*path, "priority")
        )
    if entry.priority is not None and not ZERO <= entry.priority <= MAX_PRIORITY:
        raise _invalid(f"priority is {entry.priority}; write 0 to {MAX_PRIORITY}.", (*path, "priority"))
    if entry.rollover_fraction is not None and not ZERO <= entry.rollover_fraction <= ONE:
        raise _invalid("rolloverFraction is a fraction; write 0 to 1.", (*path, "rolloverFraction"))
    if not of_customer and (entry.contract_ids or entry.invoice_contract_id):
        raise _invalid("Only a customer's own balance names contracts.", (*path, "contractIds"))
    if entry.type is GrantType.POSTPAID and entry.unit not in currencies.MINOR_DIGITS:
        # What is missing of it is billed in its own unit, which nothing else would turn into money.
        raise _invalid(f"A postpaid commit is counted in a currency; {entry.unit[:40]!r} is none.", (*path, "unit"))
    at_most(entry.contract_ids, MAX_SCOPE, path=(*path, "contractIds"))
    if entry.trueup_disabled and entry.type is not GrantType.POSTPAID:
        raise _invalid("Only a postpaid commit has a true-up.", (*path, "trueUpDisabled"))
    check_scope(entry.scope, path=path)
    _check_segments(entry, path=(*path, "segments"))
    _check_payment(entry, of_customer=of_customer, path=(*path, "payment"))
    if entry.gate is not None:
        _check_gate(entry, path=(*path, "paymentGate"))


def check_scope(scope: Scope, *, path: Path) -> None:
    """Products and tags, or specifiers, not both; each specifier says something."""
    for name, items in (("productIds", scope.product_ids), ("tags", scope.tags), ("specifiers", scope.specifiers)):
        at_most(items, MAX_SCOPE, path=(*path, name))
    for tag in scope.tags:
        text_of(tag, path=(*path, "tags"), longest=100)
    if scope.specifiers and (scope.product_ids or scope.tags):
        raise InvalidInput(
            ErrorCode.SCOPE_EXCLUSIVE, "Name products and tags, or specifiers, not both.", path=(*path, "specifiers")
        )
    for index, specifier in enumerate(scope.specifiers):
        if specifier == Specifier():
            place = (*path, "specifiers", str(index))
            raise InvalidInput(ErrorCode.REQUIRED, "A specifier says what it reaches.", path=place)


def _check_segments(entry: NewGrant, *, path: Path) -> None:
    at_most(entry.segments, MAX_SEGMENTS, path=path)
    if not entry.segments:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one segment of access.", path=path)
    if entry.type is GrantType.POSTPAID and len(entry.segments) != 1:
        raise _invalid(f"A postpaid commit has one segment, not {len(entry.segments)}.", path)
    for index, segment in enumerate(entry.segments):
        check_segment(segment, path=(*path, str(index)))


def check_segment(segment: NewSegment, *, path: Path) -> None:
    """Full hours, the end after the start, and an amount that is not negative."""
    interval_of(segment.starting_at, segment.ending_before, path=path)
    if segment.amount < ZERO:
        raise _invalid(f"amount is {segment.amount}; write 0 or more.", (*path, "amount"))


def _check_payment(entry: NewGrant, *, of_customer: bool, path: Path) -> None:
    payment = entry.payment
    is_postpaid = entry.type is GrantType.POSTPAID
    if of_customer and entry.invoice_contract_id is None:
        billed = payment is not None and not payment.do_not_invoice
        if is_postpaid or billed:
            raise InvalidInput(
                ErrorCode.REQUIRED, "Name the contract on which it is billed.", path=(*path[:-1], "invoiceContractId")
            )
    if payment is None:
        return
    if entry.type is GrantType.CREDIT:
        raise _invalid("Nobody pays for a credit.", path)
    if payment.unit is None and entry.unit not in currencies.MINOR_DIGITS:
        raise InvalidInput(
            ErrorCode.REQUIRED, f"{entry.unit} is no currency; name the one in which it is paid.", path=(*path, "unit")
        )
    if isinstance(payment.schedule, RecurringSchedule):
        _check_item(payment.schedule.unit_price, payment.schedule.quantity, path=(*path, "recurring"))
    items = payment.items(entry.unit)
    at_most(items, MAX_SEGMENTS, path=path)
    if not items:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one payment.", path=path)
    for index, item in enumerate(items):
        _check_item(item.unit_price, item.quantity, path=(*path, "items", str(index)))
    if not is_postpaid:
        return
    if payment.unit not in (None, entry.unit):
        raise _invalid(
            f"A postpaid commit in {entry.unit} is billed in {entry.unit}, not in another unit.", (*path, "unit")
        )
    [segment] = entry.segments
    if len(items) != 1 or amount_of(items[0]) != segment.amount:
        raise InvalidInput(
            ErrorCode.POSTPAID_AMOUNTS_DIFFER,
            "A postpaid commit is paid once, and what is paid is what may be used.",
            path=path,
        )
    if items[0].at < segment.ending_before:
        raise InvalidInput(
            ErrorCode.TRUEUP_BEFORE_ACCESS_END, "What is missing of a commit is billed after its access.", path=path
        )


def _check_gate(entry: NewGrant, *, path: Path) -> None:
    """What a commit waits for is one payment that an invoice asks for."""
    items = () if entry.payment is None or entry.payment.do_not_invoice else entry.payment.items(entry.unit)
    if entry.type is not GrantType.PREPAID or len(items) != 1 or not amount_of(items[0]):
        raise _invalid("Only a PREPAID commit waits for its payment: one, invoiced, and above 0.", path)


def _check_item(unit_price: Decimal, quantity: Decimal, *, path: Path) -> None:
    if unit_price < ZERO or quantity < ZERO:
        raise _invalid("A payment is 0 or more.", path)


def amount_of(item: ScheduledItem) -> Decimal:
    """What a payment comes to."""
    with exact():
        return item.unit_price * item.quantity


def billed_in(entry: NewGrant) -> str | None:
    """The currency in which an invoice will ask for it; None when nothing does."""
    unit = None
    if entry.type is GrantType.POSTPAID and not entry.trueup_disabled:
        unit = entry.unit
    elif entry.payment is not None and not entry.payment.do_not_invoice:
        unit = entry.payment.unit or entry.unit
    return unit if unit in currencies.MINOR_DIGITS else None


def payment_to_json(schedule: PaymentSchedule) -> dict[str, Any]:
    """The stored form of a payment schedule."""
    form = schedule_to_json(schedule.schedule)
    return {"unit": schedule.unit, "do_not_invoice": schedule.do_not_invoice, "schedule": form}


def payment_from_json(form: Mapping[str, Any]) -> PaymentSchedule:
    """The payment schedule of a stored form."""
    return PaymentSchedule(schedule_from_json(form["schedule"]), form["unit"], form["do_not_invoice"])


def _invalid(message: str, path: Path) -> InvalidInput:
    return InvalidInput(ErrorCode.INVALID, message, path=path)
