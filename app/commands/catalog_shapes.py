"""What catalog files may say is what the schema's inputs take; what stands in the system is read back in the same shape.

Owns the way between the two. It follows the schema, so a new field of an input can be written in a file at once, and is
compared where the object shows a field of that name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    is_leaf_type,
)

from app.clock import parse_instant
from app.commands.catalog_file import Steps
from app.core.money import canonical as canonical_text
from app.core.money import parse_decimal

REFERENCES = {
    "metric": ("metricId", "metrics"),
    "product": ("productId", "products"),
    "products": ("productIds", "products"),
    "rateCard": ("rateCardId", "rateCards"),
    "customer": ("customerId", "customers"),
    "contract": ("contractId", "contracts"),
}
"""Instead of an id a file names the key of another entry: the field of the input, and the section of that entry."""
PRICES = {
    "FlatPrice": ("flat", "unitPrice"),
    "TieredPrice": ("tiered", "tiers"),
    "PercentagePrice": ("percentage", "fraction"),
    "TieredPercentagePrice": ("tieredPercentage", "tiers"),
    "VolumePrice": ("volume", "tiers"),
}
PRICE = (
    "{ __typename ... on FlatPrice { unitPrice } ... on TieredPrice { tiers { size unitPrice } } "
    "... on PercentagePrice { fraction } ... on TieredPercentagePrice { tiers { size unitPrice } } "
    "... on VolumePrice { tiers { size unitPrice } } ... on PackagePrice { size packagePrice } "
    "... on PercentagePerEventPrice { fraction minPerEvent maxPerEvent } ... on CustomPrice { rater parameters } }"
)

Resolve = Callable[[str, Any, Steps], Any]
"""The id of an entry, by its section and key; the way is where the key stands."""


class Unknown(Exception):
    """A field that the schema does not know, with the way to it."""

    def __init__(self, message: str, way: Steps) -> None:
        super().__init__(message)
        self.way = way


def fitted(kind: GraphQLInputType, value: Any, resolve: Resolve, way: Steps = ()) -> Any:
    """A definition as the input of a mutation: keys become ids, a mapping may stand for a list of keys with values."""
    kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(kind, GraphQLList):
        if isinstance(value, dict) and get_named_type(kind).name == "KeyValueInput":
            return [{"key": name, "value": text} for name, text in value.items()]
        if not isinstance(value, list):
            return value
        return [fitted(kind.of_type, item, resolve, (*way, str(place))) for place, item in enumerate(value)]
    if not isinstance(kind, GraphQLInputObjectType) or not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, item in value.items():
        target, section = REFERENCES.get(name, (name, ""))
        if name in kind.fields:
            found[name] = fitted(kind.fields[name].type, item, resolve, (*way, name))
        elif target in kind.fields:
            keys = [(key, (*way, name, str(place))) for place, key in enumerate(item)] if isinstance(item, list) else []
            found[target] = (
                [resolve(section, key, step) for key, step in keys]
                if isinstance(item, list)
                else resolve(section, item, (*way, name))
            )
        else:
            back: dict[str, str] = {target: name for name, (target, _) in REFERENCES.items()}
            names: list[str] = [one for one in kind.fields if one != "uniquenessKey"]
            known = ", ".join(sorted(back.get(one, one) for one in names))
            raise Unknown(f"there is no field {name!r}; there are {known}.", (*way, name))
    return found


def selection(kind: GraphQLInputObjectType, shown: GraphQLObjectType) -> str:
    """The fields of an object that say what the input said."""
    parts: list[str] = []
    for name, item in kind.fields.items():
        there, inner = _there(name), get_named_type(item.type)
        if there in shown.fields and not shown.fields[there].args:
            found = get_named_type(shown.fields[there].type)
            if inner.name == "PriceInput":
                parts.append(f"{there} {PRICE}")
            elif there != name:
                parts.append(f"{there} {{ id }}")
            elif isinstance(found, GraphQLObjectType) and isinstance(inner, GraphQLInputObjectType):
                parts.append(f"{there} {{ {selection(inner, found)} }}")
            elif is_leaf_type(found):
                parts.append(there)
    return " ".join(parts)


def as_input(kind: GraphQLInputObjectType, data: Mapping[str, Any]) -> dict[str, Any]:
    """What was read back, in the shape of the input; fields that the object does not show are left out."""
    found: dict[str, Any] = {}
    for name, item in kind.fields.items():
        there = _there(name)
        if there not in data:
            continue
        value, inner = data[there], get_named_type(item.type)
        if value is None:
            found[name] = None
        elif inner.name == "PriceInput":
            found[name] = _price(value)
        elif there != name:
            found[name] = [one["id"] for one in value] if isinstance(value, list) else value["id"]
        elif isinstance(inner, GraphQLInputObjectType):
            found[name] = [as_input(inner, one) for one in value] if isinstance(value, list) else as_input(inner, value)
        else:
            found[name] = value
    return found


def canonical(kind: GraphQLInputType, value: Any) -> Any:
    """A value in the one form in which equal ones are the same: defaults filled in, numbers and times as one text."""
    kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if value is None:
        return None
    if isinstance(kind, GraphQLList):
        items = [canonical(kind.of_type, item) for item in (value if isinstance(value, list) else [value])]
        # Tiers follow each other; all other lists are sets.
        is_ordered = get_named_type(kind).name == "TierInput"
        return items if is_ordered else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(kind, GraphQLInputObjectType) and isinstance(value, dict):
        filled = {
            name: canonical(item.type, value.get(name, None if item.default_value is Undefined else item.default_value))
            for name, item in kind.fields.items()
        }
        return {name: item for name, item in filled.items() if item is not None}
    return _leaf(get_named_type(kind).name, value)


def _leaf(name: str, value: Any) -> Any:
    try:
        if name == "Decimal":
            return canonical_text(parse_decimal(str(value)))
        if name == "DateTime":
            return parse_instant(str(value)).isoformat()
    except ValueError:
        return value  # What is no number or time is refused when it is carried out.
    return value


def _there(name: str) -> str:
    """The field of an object behind the field of an input that names it by id."""
    if name.endswith("Ids"):
        return f"{name[:-3]}s"
    return name[:-2] if name.endswith("Id") and name != "externalId" else name


def _price(value: Mapping[str, Any]) -> dict[str, Any]:
    kind = value["__typename"]
    if kind in PRICES:
        name, there = PRICES[kind]
        return {name: value[there]}
    parts = {name: item for name, item in value.items() if name != "__typename"}
    names = {"PackagePrice": "package", "PercentagePerEventPrice": "percentagePerEvent", "CustomPrice": "custom"}
    return {names[kind]: parts}
