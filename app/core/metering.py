"""How events become quantities: which events a metric sees, what each is worth, in which group and hour it counts.

Owns the reference meaning of every aggregation. Stores fold faster, in SQL, and must agree with it. One event is judged
by itself here, so a batch can be measured while it is being accepted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import cast

from app.core.money import ONE, ZERO, bounded, canonical, exact, parse_decimal
from app.core.outcomes import OutcomeKey, Sessions, Sighting, increments
from app.core.per_event import Measure
from app.core.period import floor_hour
from app.core.terms import Aggregation, Group, Metric, PropertyFilter


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `reference` is the customer as sent: an id or an alias.

    Numbers in `properties` are int or Decimal; a reader of JSON must never make floats of them.
    """

    reference: str
    event_type: str
    timestamp: datetime
    properties: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class HourQuantity:
    """What one full hour adds to a quantity; negative where usage was taken back."""

    hour: datetime
    quantity: Decimal


HoursByGroup = Mapping[Group, Sequence[HourQuantity]]
Carried = Mapping[OutcomeKey, Sighting]
"""What stands for all earlier events of participants and cases, in one group."""
NOTHING: Carried = MappingProxyType({})


def matches(metric: Metric, event: Event) -> bool:
    """True when the event passes the metric's event types and every property filter (semantics 1.3)."""
    if metric.event_types_in and event.event_type not in metric.event_types_in:
        return False
    if event.event_type in metric.event_types_not_in:
        return False
    return all(_passes(condition, event) for condition in metric.filters)


def measure(metric: Metric, event: Event) -> Decimal | None:
    """What the event adds to a COUNT or SUM, or None when it does not contribute.

    Decimal strings and JSON numbers count alike; anything else, true and false included, is no value, and the event
    then does not contribute (semantics 1.1). Negative values are the documented way to correct usage.
    """
    assert metric.aggregation.is_additive, "what other metrics make of an event depends on those before it"
    if not matches(metric, event):
        return None
    return ONE if metric.key is None else _number(event.properties.get(metric.key))


def contributes(metric: Metric, event: Event) -> bool:
    """Whether an event that matches brings a value that the metric can read."""
    return value_of(metric, event) is not None


def group_of(metric_or_keys: Metric | Sequence[str], event: Event) -> Group:
    """The values of the event for all group keys of a metric, or for the properties named; sorted by name.

    A missing property, null, a list or an object has the value None.
    """
    names = group_names(metric_or_keys) if isinstance(metric_or_keys, Metric) else sorted(set(metric_or_keys))
    return tuple((name, _text(event.properties.get(name))) for name in names)


def group_names(metric: Metric) -> tuple[str, ...]:
    """Every property by which the metric's usage may be split, sorted."""
    return tuple(sorted({name for names in metric.group_keys for name in names}))


def canonical_group(group: Group) -> str:
    """The one JSON text of a group: names sorted, no blanks, characters as they are. `{}` is the group of all."""
    if not group:
        return "{}"
    return json.dumps(dict(group), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def group_from_text(text: str) -> Group:
    """The group whose canonical text this is."""
    return tuple(sorted(cast("dict[str, str | None]", json.loads(text)).items()))


def fold(
    metric: Metric,
    events: Iterable[Event],
    *,
    by: Sequence[str] | None = None,
    since: datetime | None = None,
    carried: Mapping[Group, Carried] = MappingProxyType({}),
) -> HoursByGroup:
    """The hourly quantities of each group, hours ascending, hours that come to zero left out.

    An hour's quantity is the difference of the cumulative value since the first event given, which is 0 before it; so
    give the events of one statement period, in the order of their ingest (semantics 1.3). They are put into groups
    first and aggregated then (golden decision 8): by the properties `by`, by default all that the metric offers. Outcomes
    look back: give them the events before the statement too, or what was `carried` of those, and count `since` its start.
    """
    names = group_names(metric) if by is None else by
    groups: dict[Group, list[Event]] = defaultdict(list)
    for event in events:
        if matches(metric, event):
            groups[group_of(names, event)].append(event)
    folded = {
        group: cumulative(metric.aggregation, hourly(metric, chosen, since=since, carried=carried.get(group, NOTHING)))
        for group, chosen in groups.items()
    }
    return {group: hours for group, hours in folded.items() if hours}


def fold_measure(metric: Metric, events: Iterable[Event], asked: Measure, *, by: Sequence[str]) -> HoursByGroup:
    """The hourly quantities of one part of the events, as a price per event divides them; shapes as of `fold`.

    The metric adds up money, and each event is divided by itself, so these quantities add up as those of the metric do.
    """
    assert metric.aggregation is Aggregation.SUM, "only what is added up has events with a price each"
    groups: dict[Group, dict[datetime, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    with exact():
        for event in events:
            value = measure(metric, event)
            if value and asked.rate.part_of(value) is asked.part:
                groups[group_of(by, event)][floor_hour(event.timestamp)] += asked.rate.counted(value)
    folded = {group: cumulative(Aggregation.SUM, hours) for group, hours in groups.items()}
    return {group: hours for group, hours in folded.items() if hours}


def added(one: HoursByGroup, other: HoursByGroup) -> HoursByGroup:
    """The hours of two parts of the usage of a metric that adds up; hours that come to zero are left out."""
    found: dict[Group, tuple[HourQuantity, ...]] = {}
    for group in {*one, *other}:
        sums: dict[datetime, Decimal] = {}
        with exact():
            for item in (*one.get(group, ()), *other.get(group, ())):
                sums[item.hour] = sums.get(item.hour, ZERO) + item.quantity
        hours = tuple(HourQuantity(hour, quantity) for hour, quantity in sorted(sums.items()) if quantity)
        if hours:
            found[group] = hours
    return found


def hourly(
    metric: Metric, events: Iterable[Event], *, since: datetime | None = None, carried: Carried = NOTHING
) -> dict[datetime, Decimal]:
    """What the events of each hour come to by themselves; they match the metric and are in the order of their ingest.

    COUNT and SUM: their sum. MAX: the highest value. UNIQUE: how many values appear in this hour for the first time.
    LATEST: the value of the latest event, of the last ingested one where several are at the same instant. SESSION_COUNT:
    how many sessions begin; COUNT_LATEST: how many more cases count; both from `since` on and after what was `carried`.
    """
    if metric.aggregation.is_outcome:
        return _outcomes(metric, events, since=since, carried=carried)
    hours: dict[datetime, Decimal] = {}
    seen: set[str] = set()
    with exact():
        for event in sorted(events, key=lambda event: event.timestamp):
            hour = floor_hour(event.timestamp)
            value = value_of(metric, event)
            if value is None:
                continue
            if isinstance(value, str):
                hours[hour] = hours.get(hour, ZERO) + (value not in seen)
                seen.add(value)
            elif metric.aggregation is Aggregation.MAX:
                hours[hour] = max(hours.get(hour, value), value)
            elif metric.aggregation is Aggregation.LATEST:
                hours[hour] = value
            else:
                hours[hour] = hours.get(hour, ZERO) + value
    return hours


def cumulative(aggregation: Aggregation, hours: Mapping[datetime, Decimal]) -> tuple[HourQuantity, ...]:
    """The quantities of hours from what each comes to by itself, hours ascending, zero hours left out.

    MAX only ever rises, and from 0 (golden decision 7); LATEST moves to each hour's value, down as well as up.
    """
    assert aggregation is not Aggregation.SQL, "a query has a meaning of its own (`sql_values`)"
    found: list[HourQuantity] = []
    reached = ZERO
    with exact():
        for hour, value in sorted(hours.items()):
            match aggregation:
                case Aggregation.MAX:
                    increment = max(value - reached, ZERO)
                case Aggregation.LATEST:
                    increment = value - reached
                case _:
                    increment = value
            reached += increment
            if increment:
                found.append(HourQuantity(hour, increment))
    return tuple(found)


def value_of(metric: Metric, event: Event) -> Decimal | str | None:
    """What an event that matches brings: a number, for UNIQUE a text, or None when it does not contribute.

    It does not contribute to an outcome unless it names the participant, or the case and its state.
    """
    if metric.outcome is not None:
        return None if sighting_of(metric, event) is None else ONE
    if metric.key is None:
        return ONE
    value = event.properties.get(metric.key)
    return _text(value) if metric.aggregation is Aggregation.UNIQUE else _number(value)


def sighting_of(metric: Metric, event: Event) -> tuple[OutcomeKey, Sighting] | None:
    """Which participant or case an event is about, and what it says of it; None when it lacks one of the properties."""
    rule = metric.outcome
    assert rule is not None, "only outcomes are sighted"
    key = tuple(text for name in rule.keys if (text := _text(event.properties.get(name))) is not None)
    if len(key) < len(rule.keys):
        return None
    if isinstance(rule, Sessions):
        return key, Sighting(event.timestamp)
    state = _text(event.properties.get(rule.state))
    return None if state is None else (key, Sighting(event.timestamp, state in rule.counted))


def sighted(metric: Metric, events: Iterable[Event], *, by: Sequence[str]) -> set[tuple[Group, OutcomeKey]]:
    """The participants or cases that events are about, each in its group."""
    return {
        (group_of(by, event), found[0])
        for event in events
        if matches(metric, event) and (found := sighting_of(metric, event)) is not None
    }


def _outcomes(
    metric: Metric, events: Iterable[Event], *, since: datetime | None, carried: Carried
) -> dict[datetime, Decimal]:
    assert metric.outcome is not None, "what is counted is told"
    by_key: dict[OutcomeKey, list[Sighting]] = {key: [sighting] for key, sighting in carried.items()}
    hours: dict[datetime, Decimal] = {}
    for event in sorted(events, key=lambda event: event.timestamp):
        found = sighting_of(metric, event)
        if found is not None:
            by_key.setdefault(found[0], []).append(found[1])
            if since is None or event.timestamp >= since:
                hours[floor_hour(event.timestamp)] = ZERO
    with exact():
        for sightings in by_key.values():
            for at, step in increments(metric.outcome, sightings):
                if since is None or at >= since:
                    hours[floor_hour(at)] += step
    return hours


def _passes(condition: PropertyFilter, event: Event) -> bool:
    value = event.properties.get(condition.name)
    if condition.exists is not None and condition.exists is not (value is not None):
        return False
    text = _text(value)
    if condition.in_values and text not in condition.in_values:
        return False
    return text not in condition.not_in_values


def _text(value: object) -> str | None:
    """The text by which a property is grouped and compared: equal numbers have one text, as in 1.50 and 1.5."""
    assert not isinstance(value, float), "JSON numbers are read as Decimal, never as float"
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            number = _number(value)
            return str(value) if number is None else canonical(number)
        case _:
            return None


def _number(value: object) -> Decimal | None:
    assert not isinstance(value, float), "JSON numbers are read as Decimal, never as float"
    try:
        match value:
            case str():
                return parse_decimal(value)
            case bool():
                return None
            case int() | Decimal():
                return bounded(Decimal(value))
            case _:
                return None
    except ValueError:
        return None
