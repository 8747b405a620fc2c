"""Folds metrics from the events of one period: one row for each group and hour leaves the database.

Owns the SQL of a metric's definition. The readings of a property are functions of the database (revision 0006); the
meaning of every aggregation is `core.metering`, with which this module agrees event for event.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters, stretches
from app.core.outcomes import Sessions
from app.core.per_event import EventPart, Measure, PercentagePerEvent
from app.core.period import Period
from app.core.terms import Aggregation, Group, Metric, UsageFilter

SEEN = """
select {groups} as groups, date_trunc('hour', occurred_at, 'UTC') as hour, {value} as value, occurred_at, batch, place
from events
where reference = any(:references) and ({parts}){conditions}
"""
ADDED = "select groups, hour, sum(value) from seen where value is not null group by groups, hour"
BY_HOUR = {
    Aggregation.COUNT: ADDED,
    Aggregation.SUM: ADDED,
    Aggregation.MAX: "select groups, hour, max(value) from seen where value is not null group by groups, hour",
    # The first time of each value: later ones add nothing.
    Aggregation.UNIQUE: "select groups, hour, cast(count(*) as numeric) from (select groups, min(hour) as hour "
    "from seen where value is not null group by groups, value) first_times group by groups, hour",
    Aggregation.LATEST: "select distinct on (groups, hour) groups, hour, value from seen where value is not null "
    "order by groups, hour, occurred_at desc, batch desc, place desc",
}

# Each price divides the events by itself: a share is compared with the bounds, and a bound that is not there holds none.
PER_EVENT = """
, divided as (
    select groups, hour, value, price, case
        when abs(value) * fraction < minimum then 'MINIMUM' when abs(value) * fraction > maximum then 'MAXIMUM'
        else 'BETWEEN' end as part
    from seen cross join unnest(
        cast(:fractions as numeric[]), cast(:minimums as numeric[]), cast(:maximums as numeric[])
    ) with ordinality as prices (fraction, minimum, maximum, price)
    where value <> 0
), counted as (
    select price, part, groups, hour, sum(case part when 'BETWEEN' then value else sign(value) end) as quantity
    from divided group by price, part, groups, hour
)
select price, part, groups, hour, quantity from counted where quantity <> 0
"""


async def hourly_from_events(
    session: AsyncSession,
    metric: Metric,
    *,
    by: Sequence[str],
    references: Sequence[str],
    starting_at: dt.datetime,
    ending_before: dt.datetime,
    filters: Filters = (),
) -> dict[Group, dict[dt.datetime, Decimal]]:
    """What the events of each hour that pass the filters come to by themselves, by the values of the properties `by`."""
    names = sorted(set(by))
    seen, values = _seen(metric, names, references, Period(starting_at, ending_before), filters)
    found = await session.execute(text(f"with seen as ({seen}) {BY_HOUR[metric.aggregation]}"), values)
    groups: dict[Group, dict[dt.datetime, Decimal]] = {}
    for found_values, hour, value in found:
        group: Group = tuple(zip(names, found_values, strict=True))
        groups.setdefault(group, {})[hour.astimezone(dt.UTC)] = value
    return groups


async def hourly_per_event(
    session: AsyncSession,
    metric: Metric,
    rates: Sequence[PercentagePerEvent],
    *,
    by: Sequence[str],
    references: Sequence[str],
    starting_at: dt.datetime,
    ending_before: dt.datetime,
    filters: Filters = (),
) -> dict[Measure, dict[Group, dict[dt.datetime, Decimal]]]:
    """What prices per event ask of each hour, by the values of the properties `by`."""
    assert metric.aggregation is Aggregation.SUM, "only what is added up has events with a price each"
    names = sorted(set(by))
    seen, values = _seen(metric, names, references, Period(starting_at, ending_before), filters)
    values |= {
        "fractions": [rate.fraction for rate in rates],
        "minimums": [rate.minimum for rate in rates],
        "maximums": [rate.maximum for rate in rates],
    }
    found = await session.execute(text(f"with seen as ({seen}) {PER_EVENT}"), values)
    hours: dict[Measure, dict[Group, dict[dt.datetime, Decimal]]] = {}
    for price, part, found_values, hour, quantity in found:
        group: Group = tuple(zip(names, found_values, strict=True))
        of_part = hours.setdefault(Measure(rates[price - 1], EventPart(part)), {})
        of_part.setdefault(group, {})[hour.astimezone(dt.UTC)] = quantity
    return hours


def _seen(
    metric: Metric, names: Sequence[str], references: Sequence[str], period: Period, filters: Filters
) -> tuple[str, dict[str, Any]]:
    """The statement of the events that a metric counts, with their groups and hours, and its parameters."""
    values: dict[str, Any] = {"references": list(references)}
    values |= {f"by{place}": name for place, name in enumerate(names)}
    seen = SEEN.format(
        groups=f"cast(array[{', '.join(text_of(f'by{place}') for place in range(len(names)))}] as text[])",
        value=reading_of(metric, values),
        parts=" or ".join(parts_of(stretches(filters, period), values)),
        conditions="".join(f"\n  and {condition}" for condition in conditions_of(metric, values)),
    )
    return seen, values


def parts_of(parts: Sequence[tuple[Period, UsageFilter | None]], values: dict[str, Any]) -> list[str]:
    """For each stretch of time, what an event in it must meet; what is compared is put into `values`."""
    conditions: list[str] = []
    for place, (period, wanted) in enumerate(parts):
        name = f"part{place}"
        values |= {f"{name}_start": period.starting_at, f"{name}_end": period.ending_before}
        condition = f"occurred_at >= :{name}_start and occurred_at < :{name}_end"
        if wanted is not None:
            values |= {name: wanted.key, f"{name}_in": list(wanted.values)}
            condition += f" and {text_of(name)} = any(:{name}_in)"
        conditions.append(f"({condition})")
    return conditions


def reading_of(metric: Metric, values: dict[str, Any]) -> str:
    """What an event brings: a number, for UNIQUE a text, or nothing; the property's name is put into `values`."""
    if metric.outcome is not None:
        needed: list[str] = []
        sighting_of(metric, needed, values)
        return f"case when {' and '.join(needed)} then 1 end"
    if metric.key is None:
        return "cast(1 as numeric)"
    values["key"] = metric.key
    reading = "event_text" if metric.aggregation is Aggregation.UNIQUE else "event_number"
    return f"{reading}(properties -> cast(:key as text))"


class Sighted(NamedTuple):
    """What an event says of an outcome: the key of the participant or case, and whether its state counts."""

    key: str
    is_counted: str


def sighting_of(metric: Metric, conditions: list[str], values: dict[str, Any]) -> Sighted:
    """How an outcome is read; events that lack one of its properties are ruled out by what is added to `conditions`."""
    rule = metric.outcome
    assert rule is not None, "only outcomes are sighted"
    names = [f"key{place}" for place in range(len(rule.keys))]
    values |= dict(zip(names, rule.keys, strict=True))
    conditions += [f"{text_of(name)} is not null" for name in names]
    key = f"cast(array[{', '.join(map(text_of, names))}] as text[])"
    if isinstance(rule, Sessions):
        values["seconds"] = rule.window.total_seconds()
        return Sighted(key, "true")
    values |= {"state": rule.state, "counted": list(rule.counted)}
    conditions.append(f"{text_of('state')} is not null")
    return Sighted(key, f"{text_of('state')} = any(:counted)")


def conditions_of(metric: Metric, values: dict[str, Any]) -> list[str]:
    """What an event must meet to be seen; what is compared is put into `values`."""
    conditions: list[str] = []
    if metric.event_types_in:
        values["types_in"] = list(metric.event_types_in)
        conditions.append("event_type = any(:types_in)")
    if metric.event_types_not_in:
        values["types_not_in"] = list(metric.event_types_not_in)
        conditions.append("event_type <> all(:types_not_in)")
    for place, wanted in enumerate(metric.filters):
        name = f"filter{place}"
        values[name] = wanted.name
        if wanted.exists is not None:
            # A JSON null is as good as no property.
            absent = f"coalesce(jsonb_typeof(properties -> cast(:{name} as text)), 'null') = 'null'"
            conditions.append(f"not {absent}" if wanted.exists else absent)
        if wanted.in_values:
            values[f"{name}_in"] = list(wanted.in_values)
            conditions.append(f"{text_of(name)} = any(:{name}_in)")
        if wanted.not_in_values:
            values[f"{name}_not_in"] = list(wanted.not_in_values)
            conditions.append(f"coalesce({text_of(name)} <> all(:{name}_not_in), true)")
    return conditions


def text_of(parameter: str) -> str:
    """The text of the property that a parameter names."""
    return f"event_text(properties -> cast(:{parameter} as text))"
