"""Rows to recurring commits and credits as the core reads them, and their children as definitions.

Owns both mappings; which children are missing is told by `recurring_children.py`.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from app.contracts.new_recurring import NewRecurringGrant, RecurringAmount, SubscriptionLink
from app.core.fees import ScheduledItem
from app.core.grants import GrantType
from app.core.money import ONE, canonical, exact
from app.core.overrides import specifier_from_json
from app.core.period import Frequency, Period
from app.core.recurring import Child, GrantProration, RecurringGrant
from app.core.seat_balances import Allocation
from app.core.terms import RateTarget
from app.grants.child_access import sharing_of
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule, Scope
from app.grants.tables import RecurringGrantRow
from app.store.ids import new_id, to_text


def recurring_of(row: RecurringGrantRow) -> RecurringGrant:
    """A recurring commit or credit as the core reads it."""
    with exact():
        access = row.access_unit_price * row.access_quantity
        invoice = None
        if row.invoice_unit_price is not None and row.invoice_quantity is not None:
            invoice = row.invoice_unit_price * row.invoice_quantity
    return RecurringGrant(
        period=Period(row.starting_at, row.ending_before, allow_empty=True),
        access_amount=access,
        invoice_amount=invoice,
        frequency=None if row.frequency is None else Frequency(row.frequency),
        duration=row.duration,
        proration=GrantProration(row.proration),
    )


def definition_of(row: RecurringGrantRow, child: Child) -> NewGrant:
    """A child as the grants slice makes it; it is paid for where its access begins."""
    start, end = child.access.starting_at, child.access.ending_before
    assert end is not None, "a period of a frequency has an end"
    payment = None
    if child.invoice_amount is not None:
        payment = PaymentSchedule((ScheduledItem(start, child.invoice_amount, ONE),), row.invoice_unit)
    return replace(_child(row), id=new_id(), segments=[NewSegment(child.access_amount, start, end)], payment=payment)


def entry_of(row: RecurringGrantRow) -> NewRecurringGrant:
    """A recurring commit or credit as it would be defined now."""
    price = None
    if row.invoice_unit_price is not None and row.invoice_quantity is not None:
        price = RecurringAmount(row.invoice_unit_price, row.invoice_quantity)
    return NewRecurringGrant(
        child=_child(row),
        access_amount=RecurringAmount(row.access_unit_price, row.access_quantity),
        invoice_amount=price,
        invoice_unit=row.invoice_unit,
        starting_at=row.starting_at,
        ending_before=row.ending_before,
        frequency=None if row.frequency is None else Frequency(row.frequency),
        duration=row.duration,
        proration=GrantProration(row.proration),
        link=link_of(row),
        id=row.id,
    )


def link_of(row: RecurringGrantRow) -> SubscriptionLink | None:
    """The subscription that it follows, if it does."""
    if row.subscription_id is None or row.allocation is None:
        return None
    return SubscriptionLink(row.subscription_id, Allocation(row.allocation), row.prorate_seat_increases)


def recurring_shown(row: RecurringGrantRow) -> dict[str, object]:
    """What the audit log says of a recurring commit or credit that can be changed."""
    price = None
    if row.invoice_unit_price is not None and row.invoice_quantity is not None:
        price = [canonical(row.invoice_unit_price), canonical(row.invoice_quantity), row.invoice_unit or row.unit]
    return {
        "contract": to_text("contract", row.contract_id),
        "accessAmount": [canonical(row.access_unit_price), canonical(row.access_quantity), row.unit],
        "invoiceAmount": price,
        "endingBefore": None if row.ending_before is None else row.ending_before.isoformat(),
        "rateType": row.rate_type,
        "childAccess": row.child_access,
        "childContracts": [to_text("contract", UUID(item)) for item in row.child_contract_ids or ()],
    }


def _child(row: RecurringGrantRow) -> NewGrant:
    return NewGrant(
        type=GrantType(row.type),
        segments=(),
        product_id=row.product_id,
        name=row.name,
        description=row.description,
        unit=row.unit,
        priority=row.priority,
        scope=Scope(
            product_ids=[UUID(item) for item in row.product_ids],
            tags=row.tags,
            specifiers=[specifier_from_json(item) for item in row.specifiers],
        ),
        rate_type=RateTarget(row.rate_type),
        rollover_fraction=row.rollover_fraction,
        sharing=sharing_of(row),
    )
