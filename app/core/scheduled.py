"""Scheduled charges: the dates and amounts that a schedule stands for.

Owns the instalments of semantics 4.4 and the stored form of a schedule. Instalments always add up to the amount,
because the last one takes what division and rounding left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import count, takewhile
from typing import Any

from app.core.fees import Distribution, RecurringSchedule, ScheduledCharge, ScheduledItem
from app.core.money import ONE, ZERO, Unit, canonical, divide, exact, parse_decimal
from app.core.period import Frequency, step


def scheduled_items(charge: ScheduledCharge) -> tuple[ScheduledItem, ...]:
    """Every instalment of a charge, in the order of its dates; those of one instant in the order given.

    Those of a discount are below zero.
    """
    written = _written(charge)
    if not charge.is_discount:
        return written
    with exact():
        return tuple(replace(item, unit_price=ZERO - item.unit_price) for item in written)


def occurrences(schedule: RecurringSchedule) -> Iterator[datetime]:
    """The dates of a recurring charge, one after the other; month steps are counted from its start."""
    dates = (step(schedule.starting_at, schedule.frequency, number) for number in count())
    return takewhile(lambda date: date < schedule.ending_before, dates)


def cut(charge: ScheduledCharge, *, end: datetime) -> tuple[ScheduledItem, ...] | RecurringSchedule:
    """The schedule without the instalments from an instant on; those before it keep their dates and amounts.

    Of a divided amount the rest is not shared out again: what was agreed for later is gone.
    """
    schedule = charge.schedule
    if all(item.at < end for item in _written(charge)):
        return schedule
    match schedule:
        case RecurringSchedule(starting_at=start, distribution=Distribution.EACH) if start < end:
            return replace(schedule, ending_before=end)
        case _:
            return tuple(item for item in _written(charge) if item.at < end)


def instalments(amount: Decimal, parts: int, distribution: Distribution, unit: Unit) -> tuple[Decimal, ...]:
    """An amount in equal parts; the last also takes the remainder, so that they add up to it.

    DIVIDED divides at 12 places; DIVIDED_ROUNDED takes whole smallest parts of the unit, rounded down (golden decision
    1), and those of a unit that is no currency are whole units.
    """
    assert distribution is not Distribution.EACH, "what is taken each time is not divided"
    assert amount >= 0, "a charge is not negative"
    places = unit.places if unit.is_fiat else 0
    with exact():
        if distribution is Distribution.DIVIDED_ROUNDED:
            part = (amount.scaleb(places) // parts).scaleb(-places)
        else:
            part = divide(amount, Decimal(parts))
        return (*[part] * (parts - 1), amount - part * (parts - 1))


def _written(charge: ScheduledCharge) -> tuple[ScheduledItem, ...]:
    """The instalments as the schedule has them, which is never below zero."""
    if isinstance(charge.schedule, RecurringSchedule):
        return _recurring_items(charge.schedule, charge.unit)
    return tuple(sorted(charge.schedule, key=lambda item: item.at))


def _recurring_items(schedule: RecurringSchedule, unit: Unit) -> tuple[ScheduledItem, ...]:
    dates = tuple(occurrences(schedule))
    if schedule.distribution is Distribution.EACH:
        return tuple(ScheduledItem(date, schedule.unit_price, schedule.quantity) for date in dates)
    with exact():
        amount = schedule.unit_price * schedule.quantity
    parts = instalments(amount, len(dates), schedule.distribution, unit)
    return tuple(ScheduledItem(date, part, ONE) for date, part in zip(dates, parts, strict=True))


def schedule_to_json(schedule: tuple[ScheduledItem, ...] | RecurringSchedule) -> dict[str, Any]:
    """The stored form of a schedule: `items`, or `recurring`; decimals as canonical text."""
    if isinstance(schedule, RecurringSchedule):
        return {
            "recurring": {
                "starting_at": schedule.starting_at.isoformat(),
                "ending_before": schedule.ending_before.isoformat(),
                "frequency": schedule.frequency,
                "distribution": schedule.distribution,
                "unit_price": canonical(schedule.unit_price),
                "quantity": canonical(schedule.quantity),
            }
        }
    return {
        "items": [
            {"at": item.at.isoformat(), "unit_price": canonical(item.unit_price), "quantity": canonical(item.quantity)}
            for item in schedule
        ]
    }


def schedule_from_json(form: Mapping[str, Any]) -> tuple[ScheduledItem, ...] | RecurringSchedule:
    """The schedule of a stored form. ValueError or KeyError for one that is none."""
    if "recurring" in form:
        item = form["recurring"]
        return RecurringSchedule(
            starting_at=datetime.fromisoformat(item["starting_at"]),
            ending_before=datetime.fromisoformat(item["ending_before"]),
            frequency=Frequency(item["frequency"]),
            unit_price=parse_decimal(item["unit_price"]),
            quantity=parse_decimal(item["quantity"]),
            distribution=Distribution(item["distribution"]),
        )
    return tuple(
        ScheduledItem(
            datetime.fromisoformat(item["at"]), parse_decimal(item["unit_price"]), parse_decimal(item["quantity"])
        )
        for item in form["items"]
    )
