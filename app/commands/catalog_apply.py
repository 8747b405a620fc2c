"""Brings the system to what catalog files say: makes what is missing, changes what may change in place, refuses the rest.

Owns the steps. All of them run in one open transaction through the mutations of the API, so the same rules hold as for any
caller; a plan is the same work, taken back. What stands under a key is found by its uniqueness key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema
from sqlmodel import col, or_, select

from app.catalog.tables import MetricRow, ProductRow, RateCard
from app.commands import catalog_shapes as shapes
from app.commands.catalog_file import Entry, Steps
from app.contracts.tables import Contract
from app.customers.tables import Customer
from app.graphql.context import Context
from app.graphql.execution import Gateway, Operation
from app.store import ids


class Kind(NamedTuple):
    """What a section holds: its mutation, its type in the API and among ids, its rows, and what may change in place."""

    create: str
    shown: str
    kind: str
    rows: Any
    changeable: Mapping[str, str] = {}

    @property
    def field(self) -> str:
        """The field of a payload that holds it."""
        return self.shown[0].lower() + self.shown[1:]


KINDS = {
    "metrics": Kind("billableMetricCreate", "BillableMetric", "metric", MetricRow),
    "products": Kind("productCreate", "Product", "product", ProductRow),
    "rateCards": Kind(
        "rateCardCreate", "RateCard", "rate_card", RateCard,
        {
            "name": "($id: ID!, $value: String!) { rateCardUpdate(id: $id, input: {name: $value})",
            "description": "($id: ID!, $value: String) { rateCardUpdate(id: $id, input: {description: $value})",
        },
    ),
    "customers": Kind(
        "customerCreate", "Customer", "customer", Customer,
        {
            "name": "($id: ID!, $value: String!) { customerUpdate(id: $id, input: {name: $value})",
            "ingestAliases": "($id: ID!, $value: [String!]!) { customerSetIngestAliases(id: $id, aliases: $value)",
        },
    ),
    "contracts": Kind("contractCreate", "Contract", "contract", Contract),
}  # fmt: skip
REMEDIES = {
    "metrics": "A metric never changes; give the changed one a key of its own.",
    "products": "Change it with productAddVersion, or give the changed one a key of its own.",
    "rateCards": "Give the changed card a key of its own.",
    "customers": "Change it through the API, or give the changed one a key of its own.",
    "contracts": "Change a contract with contractEdit or contractAmend, and leave its entry as it was made.",
}
ADD_RATES = "($id: ID!, $value: [RateInput!]!) { rateCardAddRates(id: $id, rates: $value)"
RATES = """query ($id: ID!, $after: String) { rateCard(id: $id) { rates(first: 100, after: $after) {
  nodes { %s } pageInfo { hasNextPage endCursor } } } }"""
Written = Callable[[list[str]], list[str]]
WAY_IN_VARIABLE = re.compile(r"at \.?([\w.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one entry: `create`, `change` or `none`, and the changes in words."""

    action: str
    entry: Entry
    changes: tuple[str, ...] = ()


@dataclass(slots=True)
class Applying:
    """One pass over the entries of some files, in an open transaction."""

    gateway: Gateway
    context: Context
    made: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    async def step(self, entry: Entry) -> Step:
        """Bring one object to what its entry says. Error: CatalogError with the line, and nothing may be kept."""
        kind, stored = KINDS[entry.section], await self._stored(entry.section, entry.key)
        await self._look_up(entry)
        given = self._fitted(entry, self._input(kind), entry.definition)
        own_key = entry.key if entry.section != "contracts" else f"{entry.key}#{entry.digest}"
        if stored is None:
            answer = await self._run(
                entry, kind, f"($value: {kind.create[0].upper()}{kind.create[1:]}Input!) {{ {kind.create}(input: $value)",
                {"value": {**given, "uniquenessKey": own_key}},
            )  # fmt: skip
            self.made[entry.section, entry.key] = answer["id"]
            return Step("create", entry)
        identifier, stored_key = stored
        self.made[entry.section, entry.key] = identifier
        if entry.section == "contracts" and stored_key == own_key:
            return Step("none", entry)
        changes = await self._differences(entry, kind, identifier, given)
        if entry.section == "contracts":
            raise entry.error(
                f"it was made from another definition ({'; '.join(changes) or 'of its terms'}). {REMEDIES['contracts']}"
            )
        if entry.section == "rateCards":
            changes += await self._add_rates(entry, identifier, given.get("rates", []))
        return Step("change" if changes else "none", entry, tuple(changes))

    async def _differences(self, entry: Entry, kind: Kind, identifier: str, given: Mapping[str, Any]) -> list[str]:
        """What differs from the object as it stands; carried out where it may change in place."""
        takes, shown = self._input(kind), self._schema.type_map[kind.shown]
        assert isinstance(shown, GraphQLObjectType), "what is made is an object"
        document = (
            f"query ($id: ID!) {{ node(id: $id) {{ ... on {kind.shown} {{ {shapes.selection(takes, shown)} }} }} }}"
        )
        data = (await self._answer(entry, document, {"id": identifier}))["node"]
        there = shapes.as_input(takes, data)
        said = shapes.canonical(takes, given)
        stands = shapes.canonical(takes, there)
        if "ingestAliases" in there and given.get("externalId") not in said.get("ingestAliases", []):
            stands["ingestAliases"] = [one for one in stands["ingestAliases"] if one != given.get("externalId")]
        changes: list[str] = []
        for name in given:
            was, will = stands.get(name), said.get(name)
            if name not in there or was == will:
                continue
            text = f"{name}: {_short(was)} -> {_short(will)}"
            if entry.section != "contracts":
                if name not in kind.changeable:
                    raise entry.error(f"{text}. {REMEDIES[entry.section]}", (_written(entry, name),))
                await self._run(entry, kind, kind.changeable[name], {"id": identifier, "value": given[name]})
            changes.append(text)
        return changes

    async def _add_rates(self, entry: Entry, identifier: str, rates: Sequence[Mapping[str, Any]]) -> list[str]:
        """Add the prices that the card does not have yet; those that the file does not name stay."""
        takes = self._schema.type_map["RateInput"]
        shown = self._schema.type_map["Rate"]
        assert isinstance(takes, GraphQLInputObjectType), "a rate is given by one input"
        assert isinstance(shown, GraphQLObjectType), "a rate is an object"
        document, after = RATES % shapes.selection(takes, shown), None
        known: list[Any] = []
        while True:
            found = (await self._answer(entry, document, {"id": identifier, "after": after}))["rateCard"]["rates"]
            known += [shapes.canonical(takes, shapes.as_input(takes, one)) for one in found["nodes"]]
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                break
        places: list[int] = []
        for place, rate in enumerate(rates):
            form = shapes.canonical(takes, rate)
            if form in known:
                known.remove(form)
            else:
                places.append(place)
        missing = [rates[place] for place in places]

        def written(steps: list[str]) -> list[str]:
            """Where a part of the prices that are added stands in the file."""
            rest = steps[1:] if steps[:1] == ["rates"] else steps
            return ["rates", str(places[int(rest[0])]), *rest[1:]] if rest and rest[0].isdigit() else ["rates"]

        if missing:
            variables = {"id": identifier, "value": missing}
            await self._run(entry, KINDS["rateCards"], ADD_RATES, variables, written=written)
        names = {identifier: key for (_, key), identifier in self.made.items()}
        return [
            f"+ price of {names.get(str(rate['productId']), rate['productId'])}: {_short(rate['price'])}"
            for rate in missing
        ]

    async def _look_up(self, entry: Entry) -> None:
        """Know the ids of what the entry names and no file holds, and find what it names at all."""
        for section, key in _named(entry.definition):
            if (section, key) not in self.made:
                stored = await self._stored(section, key)
                if stored is not None:
                    self.made[section, key] = stored[0]

    async def _stored(self, section: str, key: str) -> tuple[str, str] | None:
        """The id and the uniqueness key of what stands under a key; that of a contract has the digest behind it."""
        kind = KINDS[section]
        own_key = col(kind.rows.uniqueness_key)
        is_meant = own_key == key
        if section == "contracts":
            is_meant = or_(is_meant, own_key.startswith(f"{key}#", autoescape=True))
        found = await self.context.session.execute(
            select(kind.rows.id, kind.rows.uniqueness_key).where(is_meant).order_by(own_key, col(kind.rows.id))
        )
        row = found.first()
        return None if row is None else (ids.to_text(kind.kind, row[0]), row[1])

    @property
    def _schema(self) -> GraphQLSchema:
        return self.gateway.schema._schema

    def _input(self, kind: Kind) -> GraphQLInputObjectType:
        found = self._schema.type_map[f"{kind.create[0].upper()}{kind.create[1:]}Input"]
        assert isinstance(found, GraphQLInputObjectType), "a create takes one input"
        return found

    def _fitted(self, entry: Entry, takes: GraphQLInputObjectType, value: Any) -> dict[str, Any]:
        def resolve(section: str, key: Any, way: Steps) -> str:
            if not isinstance(key, str):
                raise shapes.Unknown(f"name one of {section} by its key.", way)
            if ids.parse(key) is not None:
                return key
            if (section, key) not in self.made:
                known = ", ".join(sorted(name for place, name in self.made if place == section))
                raise shapes.Unknown(
                    f"there is none of {section} with the key {key!r}; there are {known or 'none'}.", way
                )
            return self.made[section, key]

        try:
            return shapes.fitted(takes, value, resolve)
        except shapes.Unknown as error:
            raise entry.error(str(error), error.way) from error

    async def _run(
        self, entry: Entry, kind: Kind, call: str, variables: dict[str, Any], *, written: Written = list
    ) -> Any:
        """Carry a mutation out; gives the object. `written` leads from a way through its input to one through the file."""
        document = f"mutation {call} {{ {kind.field} {{ id }} userErrors {{ code message path }} }} }}"
        [payload] = (await self._answer(entry, document, variables, written=written)).values()
        for error in payload["userErrors"]:
            way = written([step for step in error["path"] or () if step != "input"])
            raise entry.error(f"{error['code']}: {error['message']}", _way(entry, way))
        return payload[kind.field]

    async def _answer(
        self, entry: Entry, document: str, variables: dict[str, Any], *, written: Written = list
    ) -> dict[str, Any]:
        result = await self.gateway.execute(Operation(document, variables), self.context)
        if result.errors or result.data is None:
            message = result.errors[0].message
            found = WAY_IN_VARIABLE.search(message)
            way = [] if found is None else written(re.findall(r"\w+", found[1]))
            raise entry.error(message, _way(entry, way))
        return result.data


def _named(value: Any) -> list[tuple[str, str]]:
    """Every key of another entry that a definition names, with its section."""
    if isinstance(value, list):
        return [found for item in value for found in _named(item)]
    if not isinstance(value, dict):
        return []
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        keys = item if isinstance(item, list) else [item]
        if name in shapes.REFERENCES:
            found += [(shapes.REFERENCES[name][1], key) for key in keys if isinstance(key, str)]
        found += _named(item)
    return found


def _way(entry: Entry, steps: Sequence[str]) -> list[str]:
    """A way through the input as a way through the file, as far as the two agree."""
    found: list[str] = []
    for step in steps:
        found.append(next((one for one in (step, _back(step)) if (*found, one) in entry.lines), step))
    return found


def _written(entry: Entry, name: str) -> str:
    return name if (name,) in entry.lines else _back(name)


def _back(name: str) -> str:
    return next((one for one, (target, _) in shapes.REFERENCES.items() if target == name), name)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
