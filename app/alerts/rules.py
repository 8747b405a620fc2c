"""What one may say about an alert: what fits its type, and what must exist.

Owns the refusals. Legacy types of the reference product are none of ours, so the API does not know them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.alerts.tables import AlertRow
from app.catalog.tables import MetricRow
from app.catalog.units import offered_units
from app.checks import Path, at_most, text_of
from app.core.alerts import BALANCES, COMMITS, CREDITS, DAYS, INVOICES, AlertType
from app.core.currencies import MINOR_DIGITS
from app.custom_fields.service import check_registered
from app.errors import BillingError, ErrorCode, InvalidInput, LimitExceeded, NotFound
from app.store.ids import to_text

DEFAULT_UNIT = "USD"
MAX_KEYS, MAX_FILTERS = 3, 20
_INPUT: Path = ("input",)


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """A custom field that an object must carry. `entity` is that of custom fields: CONTRACT, COMMIT or CREDIT."""

    entity: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class GroupValue:
    """A group key and its value; None watches each value by itself."""

    key: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlert:
    """An alert as a caller asks for it. Without a unit it is USD where one is needed."""

    name: str
    type: AlertType
    threshold: Decimal
    unit: str | None = None
    customer_id: UUID | None = None
    metric_id: UUID | None = None
    custom_field_filters: Sequence[FieldFilter] = ()
    group_values: Sequence[GroupValue] = ()
    seat: GroupValue | None = None
    invoice_types: Sequence[str] = ()
    hysteresis: Decimal | None = None
    evaluate_on_create: bool = True
    notify_on_resolve: bool = False
    custom_fields: Mapping[str, str] = field(default_factory=dict[str, str])
    uniqueness_key: str | None = None


async def check_alert(session: AsyncSession, wanted: NewAlert) -> str | None:
    """Refuse what does not fit; gives the alert's unit.

    Errors: INVALID, REQUIRED, CUSTOM_FIELD_UNKNOWN, LIMIT_EXCEEDED, `NotFound`, ARCHIVED for a pricing unit.
    """
    kind = wanted.type
    if wanted.threshold < 0:
        raise _invalid("threshold", "threshold is 0 or more.")
    if wanted.hysteresis is not None and (wanted.hysteresis < 0 or kind in DAYS):
        raise _invalid("hysteresis", "hysteresis is 0 or more, and days have none.")
    if wanted.notify_on_resolve and kind not in BALANCES:
        raise _invalid("notifyOnResolve", "Only alerts of balances tell that they are resolved.")
    is_usage = kind is AlertType.USAGE_THRESHOLD_REACHED
    if is_usage is (wanted.metric_id is None):
        raise _of(is_usage, "billableMetricId", "A usage alert names its metric, and no other does.")
    if wanted.metric_id is not None and await session.get(MetricRow, wanted.metric_id) is None:
        raise NotFound("Billable metric", to_text("metric", wanted.metric_id), path=(*_INPUT, "billableMetricId"))
    is_seat = kind is AlertType.LOW_REMAINING_SEAT_BALANCE_REACHED
    if is_seat is (wanted.seat is None):
        raise _of(is_seat, "seatFilter", "A seat alert names the property of its seats, and no other does.")
    if wanted.invoice_types and kind not in INVOICES:
        raise _invalid("invoiceTypes", "Only alerts of invoice totals choose types of invoices.")
    await _check_filters(session, wanted)
    await _check_groups(session, wanted)
    return await _unit(session, wanted)


async def _check_filters(session: AsyncSession, wanted: NewAlert) -> None:
    path = (*_INPUT, "customFieldFilters")
    at_most(wanted.custom_field_filters, MAX_FILTERS, path=path)
    kind = wanted.type
    fits: set[str] = set()
    if kind in INVOICES or kind is AlertType.SPEND_THRESHOLD_REACHED:
        fits.add("CONTRACT")
    if kind in COMMITS or kind is AlertType.LOW_REMAINING_SEAT_BALANCE_REACHED:
        fits.add("COMMIT")
    if kind in CREDITS or kind is AlertType.LOW_REMAINING_SEAT_BALANCE_REACHED:
        fits.add("CREDIT")
    for item in wanted.custom_field_filters:
        if item.entity not in fits:
            accepted = " or ".join(sorted(fits)) or "no filter"
            raise _invalid("customFieldFilters", f"{kind} takes {accepted}, not {item.entity}.")
        await check_registered(session, [item.entity], [item.key], path=path)  # type: ignore[list-item]


async def _check_groups(session: AsyncSession, wanted: NewAlert) -> None:
    path = (*_INPUT, "groupValues")
    if not wanted.group_values:
        return
    if wanted.type is not AlertType.SPEND_THRESHOLD_REACHED:
        raise _invalid("groupValues", "Only spend alerts take group values.")
    keys = {text_of(item.key, path=path, longest=200) for item in wanted.group_values}
    if len(keys) < len(wanted.group_values):
        raise _invalid("groupValues", "groupValues names a key twice.")
    rows = await session.execute(
        select(AlertRow.group_values).where(
            col(AlertRow.archived_at).is_(None),
            True
            if wanted.customer_id is None
            else or_(col(AlertRow.customer_id).is_(None), AlertRow.customer_id == wanted.customer_id),  # type: ignore[arg-type]
        )
    )
    taken = {item["key"] for found in rows.scalars() for item in found}
    if len(keys | taken) > MAX_KEYS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"Alerts of a customer watch at most {MAX_KEYS} group keys; there are {', '.join(sorted(taken))[:200]}.",
            path=path,
        )


async def _unit(session: AsyncSession, wanted: NewAlert) -> str | None:
    kind = wanted.type
    if kind is AlertType.USAGE_THRESHOLD_REACHED or kind in DAYS:
        if wanted.unit is not None:
            raise _invalid("unit", f"{kind} counts no money; leave unit out.")
        return None
    unit = wanted.unit or DEFAULT_UNIT
    if unit in MINOR_DIGITS:
        return unit
    if kind in INVOICES:
        raise _invalid("unit", "Invoices are in a currency; write an ISO 4217 code such as USD.")
    if unit not in await offered_units(session, [unit], path=(*_INPUT, "unit")):
        raise _invalid("unit", f"{unit[:40]!r} is neither a currency nor a pricing unit.")
    return unit


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(ErrorCode.INVALID, message, path=(*_INPUT, field))


def _of(is_missing: bool, field: str, message: str) -> BillingError:
    return InvalidInput(ErrorCode.REQUIRED if is_missing else ErrorCode.INVALID, message, path=(*_INPUT, field))
