"""How much one request may ask for, checked before anything expensive is done with it.

Owns the numbers and the checks on bodies and on parsed documents. Depth, aliases and the rest are counted on the parsed
tree before validation, because validation itself is the cheapest attack: 1,000 conflicting selections in 18 kB hold a
worker for seconds when they are counted by a validation rule.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NoReturn

from graphql import (
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
)

from app.graphql.errors import ApiError, Code

INTROSPECTION = frozenset({"__schema", "__type"})
NUMBER_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one GraphQL request; these passed every attack that was tried, and full introspection."""

    body_bytes: int = 1_048_576
    document_bytes: int = 50_000
    json_depth: int = 32
    tokens: int = 4_000
    depth: int = 12
    aliases: int = 30
    fields: int = 500
    directives: int = 30
    operations: int = 10
    variables: int = 100
    errors: int = 5


def refuse(message: str, *, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> NoReturn:
    """Raise LIMIT_EXCEEDED."""
    raise ApiError(Code.LIMIT_EXCEEDED, message, status=status)


async def read_body(receive: Callable[[], Awaitable[Mapping[str, Any]]], *, at_most: int) -> bytes:
    """The body of a request, never more of it than the limit, whatever its length header says or leaves out."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(Code.BAD_REQUEST, "The connection was closed before the body was complete.")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > at_most:
            refuse(f"The body is larger than {at_most} bytes.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def decode_json(body: bytes, *, depth: int) -> Any:
    """Strict JSON: UTF-8, finite numbers of bounded length, fractions as exact Decimals, bounded depth, no NUL."""
    try:
        value = json.loads(body.decode("utf-8"), parse_float=_fraction, parse_int=_whole, parse_constant=_constant)
        _inspect(value, depth)
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeError):
            reason = "it is not UTF-8"
        else:
            reason = (
                str(error)[:120] if isinstance(error, json.JSONDecodeError | _BadJson) else "it is nested too deeply"
            )
        raise ApiError(Code.BAD_REQUEST, f"The JSON cannot be read: {reason}.") from error
    return value


class _BadJson(ValueError):
    """JSON that is well formed and still not taken."""


def _fraction(text: str) -> Decimal:
    value = Decimal(text) if len(text) <= NUMBER_LENGTH else Decimal("Infinity")
    if not value.is_finite() or abs(value.adjusted()) > NUMBER_LENGTH:
        raise _BadJson(f"the number {text[:20]} is out of range")
    return value


def _whole(text: str) -> int:
    if len(text) > NUMBER_LENGTH:
        raise _BadJson(f"the number {text[:20]}… is out of range")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise _BadJson(f"{text} is not JSON")


def _inspect(value: Any, depth: int) -> None:
    """PostgreSQL cannot store NUL and UTF-8 has no lone surrogates, so neither gets further than this."""
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        found, level = pending.pop()
        if isinstance(found, str):
            _text(found)
        elif isinstance(found, dict | list):
            if level >= depth:
                raise _BadJson(f"it is nested deeper than {depth} levels")
            if isinstance(found, dict):
                for key in found:
                    _text(key)
                pending.extend((entry, level + 1) for entry in found.values())
            else:
                pending.extend((entry, level + 1) for entry in found)


def _text(text: str) -> None:
    if "\0" in text:
        raise _BadJson("a string contains the character NUL")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise _BadJson("a string contains half of a surrogate pair") from error


@dataclass(frozen=True, slots=True)
class Shape:
    """What the check learned: whether the document asks for the schema itself."""

    introspects: bool


@dataclass(slots=True)
class _Size:
    depth: int = 0
    fields: int = 0


def check_document(document: DocumentNode, limits: Limits) -> Shape:
    """Refuse a parsed document that asks for too much; fragments count as often as they are spread."""
    try:
        return _Counter(document, limits).run()
    except RecursionError:
        refuse("The document is nested too deeply.")


class _Counter:
    """One walk over a document. Sizes of fragments are remembered, so a fragment bomb costs no more than its text."""

    def __init__(self, document: DocumentNode, limits: Limits) -> None:
        self.limits = limits
        self.document = document
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.sizes: dict[str, _Size | None] = {}
        self.aliases = self.directives = 0
        self.introspects = False

    def run(self) -> Shape:
        limits = self.limits
        operations = [node for node in self.document.definitions if isinstance(node, OperationDefinitionNode)]
        if len(operations) > limits.operations:
            refuse(f"The document has {len(operations)} operations; at most {limits.operations} are taken.")
        for operation in operations:
            variables = operation.variable_definitions or ()
            if len(variables) > limits.variables:
                refuse(f"The operation has {len(variables)} variables; at most {limits.variables} are taken.")
            self._count_directives(operation)
            for variable in variables:
                self._count_directives(variable)
                if variable.default_value is not None:
                    self._value(variable.default_value, 0)
            self._bound(self._selections(operation.selection_set, introspection=False))
        for name in self.fragments:
            if f"{name}/True" not in self.sizes and f"{name}/False" not in self.sizes:
                self._fragment(name, introspection=True)  # spread nowhere: validation will say so, cheaply
        return Shape(self.introspects)

    def _selections(self, selections: SelectionSetNode | None, *, introspection: bool) -> _Size:
        size = _Size()
        for node in selections.selections if selections else ():
            self._count_directives(node)
            if isinstance(node, FieldNode):
                found = self._field(node, introspection=introspection)
            elif isinstance(node, InlineFragmentNode):
                found = self._selections(node.selection_set, introspection=introspection)
            else:
                assert isinstance(node, FragmentSpreadNode)
                found = self._fragment(node.name.value, introspection=introspection)
            size.depth = max(size.depth, found.depth)
            size.fields += found.fields
        return self._bound(size)

    def _field(self, node: FieldNode, *, introspection: bool) -> _Size:
        if node.alias is not None:
            self.aliases += 1
            if self.aliases > self.limits.aliases:
                refuse(f"The document has more than {self.limits.aliases} aliases.")
        for argument in node.arguments or ():
            self._value(argument.value, 0)
        opens = node.name.value in INTROSPECTION
        self.introspects = self.introspects or opens
        below = self._selections(node.selection_set, introspection=introspection or opens)
        # The schema is nested deeper than any data; tokens, fields and a rule of the library bound that part.
        return _Size(below.depth if introspection or opens else below.depth + 1, below.fields + 1)

    def _fragment(self, name: str, *, introspection: bool) -> _Size:
        key = f"{name}/{introspection}"
        if key in self.sizes:
            size = self.sizes[key]
            if size is None:
                raise ApiError(Code.VALIDATION_FAILED, f"Fragment '{name[:60]}' spreads itself.")
            return size
        fragment = self.fragments.get(name)
        if fragment is None:  # validation names it
            return _Size()
        self.sizes[key] = None
        if not introspection:
            self._count_directives(fragment)
        size = self.sizes[key] = self._selections(fragment.selection_set, introspection=introspection)
        return size

    def _bound(self, size: _Size) -> _Size:
        if size.depth > self.limits.depth:
            refuse(f"The document is deeper than {self.limits.depth} levels.")
        if size.fields > self.limits.fields:
            refuse(f"The document selects more than {self.limits.fields} fields, counting every spread of a fragment.")
        return size

    def _count_directives(self, node: Node) -> None:
        for directive in getattr(node, "directives", None) or ():
            self.directives += 1
            if self.directives > self.limits.directives:
                refuse(f"The document has more than {self.limits.directives} directives.")
            for argument in directive.arguments or ():
                self._value(argument.value, 0)

    def _value(self, node: ValueNode, depth: int) -> None:
        if depth > self.limits.json_depth:
            refuse(f"A value is nested deeper than {self.limits.json_depth} levels.")
        if isinstance(node, IntValueNode | FloatValueNode) and len(node.value) > NUMBER_LENGTH:
            raise ApiError(Code.BAD_USER_INPUT, f"The number {node.value[:20]}… is out of range.")
        if isinstance(node, StringValueNode) and "\0" in node.value:
            raise ApiError(Code.BAD_USER_INPUT, "A string contains the character NUL.")
        if isinstance(node, ListValueNode):
            for entry in node.values:
                self._value(entry, depth + 1)
        elif isinstance(node, ObjectValueNode):
            for field in node.fields:
                self._value(field.value, depth + 1)
