"""Inputs of contracts with offsets in place of dates, and such inputs as JSON.

Owns how one follows from the other: a field that a term gets later is a field of packages without a word here. The
names of dates are those of `package_dates.py`.
"""

from __future__ import annotations

import dataclasses
import types
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import reduce
from operator import or_
from typing import Any, Union, get_args, get_origin, get_type_hints

import strawberry
from strawberry.types.base import get_object_definition

from app.checks import public_name
from app.core.money import canonical
from app.core.relative import SpanUnit
from app.graphql.values import described_enum

CalendarUnit = described_enum(
    SpanUnit,
    name="CalendarUnit",
    description="In what a stretch of time is counted.",
    sentences={
        SpanUnit.DAYS: "Days.",
        SpanUnit.WEEKS: "Seven days each.",
        SpanUnit.MONTHS: "Calendar months; where the last one is too short, its last day is taken.",
        SpanUnit.YEARS: "Twelve calendar months each.",
    },
)
LEFT_OUT = frozenset({"uniqueness_key"})
"""Fields that mean one object; a package makes many."""


@strawberry.input(description="A stretch of calendar time.")
class CalendarSpanInput:
    value: int = strawberry.field(description="How many, 0 to 1,000.")
    unit: CalendarUnit = strawberry.field(description="Of what.")  # type: ignore[valid-type]


Span = CalendarSpanInput
_MADE: dict[type, type] = {}


def relative(cls: type) -> Any:
    """The input class with offsets and durations in place of its dates, those of its parts included.

    `starting_at` becomes `starting_at_offset`, `ending_before` a `duration`, `at` a `date_offset`, and any other date
    an offset of its name. A class without dates stays.
    """
    if cls not in _MADE:
        _MADE[cls] = _made(cls) if _is_dated(cls) else cls
    return _MADE[cls]


def _made(cls: type) -> type:
    hints = get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.name not in LEFT_OUT}
    made: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for name, field in fields.items():
        if _is_date(hints[name]):
            other, hint, described, is_required = _told(name, hints[name], fields)
            annotations[other] = hint
            missing: Any = dataclasses.MISSING if is_required else None
            made[other] = strawberry.field(description=described, default=missing)
        else:
            annotations[name] = _swapped(hints[name])
            options = {key: getattr(field, key) for key in ("default", "default_factory")}
            given = {key: value for key, value in options.items() if value is not dataclasses.MISSING}
            made[name] = strawberry.field(description=field.description, **given)  # type: ignore[attr-defined]
    described = get_object_definition(cls, strict=True).description
    shape = type(f"Package{cls.__name__}", (), {"__annotations__": annotations, "__module__": __name__, **made})
    return strawberry.input(shape, description=described)


def _told(name: str, hint: Any, fields: dict[str, Any]) -> tuple[str, Any, str, bool]:
    """Name, type and description of what stands in place of a date, and whether it must be given."""
    is_required = hint is datetime
    if name == "ending_before":
        other = "overall_duration" if "duration" in fields else "duration"
        missing = "" if is_required else "; default: with the contract"
        chosen = (other, f"How long after its start it ends{missing}.", is_required)
    elif name == "at":
        chosen = ("date_offset", "Its date: how long after the contract's start.", is_required)
    else:
        what = "it begins" if name == "starting_at" else f"its {name.replace('_', ' ')} lies"
        missing = "with it" if name == "starting_at" else "there is none"
        chosen = (f"{name}_offset", f"How long after the contract's start {what}; default: {missing}.", False)
    return chosen[0], Span if chosen[2] else Span | None, chosen[1], chosen[2]


def _is_date(hint: Any) -> bool:
    return hint is datetime or datetime in get_args(hint)


def _is_dated(cls: type) -> bool:
    hints = get_type_hints(cls, include_extras=True)
    return any(_is_date(hint) or any(_is_dated(part) for part in _inputs_in(hint)) for hint in hints.values())


def _inputs_in(hint: Any) -> list[type]:
    """The input classes that a type is made of."""
    if get_args(hint):
        return [cls for part in get_args(hint) for cls in _inputs_in(part)]
    definition = get_object_definition(hint) if isinstance(hint, type) else None
    return [hint] if definition is not None and definition.is_input else []


def _swapped(hint: Any) -> Any:
    """The type with relative inputs in place of dated ones."""
    if get_origin(hint) is list:
        return list[_swapped(get_args(hint)[0])]  # type: ignore[misc]
    if get_origin(hint) in (Union, types.UnionType):
        return reduce(or_, [_swapped(part) for part in get_args(hint)])
    return relative(hint) if _inputs_in(hint) == [hint] else hint


def form_of(value: Any) -> Any:
    """An input as JSON, by the names of GraphQL. What is null is left out, but for offsets: they say that there is a date."""
    if isinstance(value, list):
        return [form_of(item) for item in value]
    if dataclasses.is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            public_name(name): form_of(part)
            for name, part in parts.items()
            if part is not strawberry.UNSET and (part is not None or name.endswith("_offset"))
        }
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Decimal):
        return canonical(value)
    return value.isoformat() if isinstance(value, datetime) else value


def read(hint: Any, form: Any) -> Any:
    """The input of a type from its JSON, the inverse of `form_of`."""
    if form is None:
        return None
    if get_origin(hint) in (Union, types.UnionType):
        return read(next(part for part in get_args(hint) if part is not types.NoneType), form)
    if get_origin(hint) is list:
        return [read(get_args(hint)[0], item) for item in form]
    if _inputs_in(hint) == [hint]:
        hints = get_type_hints(hint, include_extras=True)
        given = {name: form[public_name(name)] for name in hints if public_name(name) in form}
        return hint(**{name: read(hints[name], part) for name, part in given.items()})
    if hint is datetime:
        return datetime.fromisoformat(form)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint[form]
    return Decimal(form) if hint is Decimal else form
