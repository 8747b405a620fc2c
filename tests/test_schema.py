"""The schema as a promise: exported text up to date, everything described, every root field with a scope.

The checks walk the built schema, so a slice that joins is covered without a word here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    get_named_type,
)

from app import schema as schema_module
from app.access.scopes import ROLES, SCOPES
from app.errors import CODE_SENTENCES, ErrorCode
from app.graphql.fields import ACTION, ANY_KEY, SCOPE
from app.store import ids

ROOT = Path(__file__).resolve().parents[1]
BUILT = schema_module.build()[0]
CORE: GraphQLSchema = BUILT._schema


def root_fields() -> Iterator[tuple[str, str, dict[object, object]]]:
    for root in (BUILT.query, BUILT.mutation, BUILT.subscription):
        if root is None:
            continue
        definition = root.__strawberry_definition__
        for field in definition.fields:
            yield definition.name, BUILT.config.name_converter.get_graphql_name(field), field.metadata


def test_the_exported_text_is_up_to_date() -> None:
    file = ROOT / "schema.graphql"
    assert file.read_text(encoding="utf-8") == schema_module.export(), "run: metrograph schema export > schema.graphql"


def test_every_root_field_declares_a_known_scope() -> None:
    wrong = [f"{root}.{name}" for root, name, facts in root_fields() if facts.get(SCOPE) not in SCOPES | {ANY_KEY}]
    assert not wrong, f"made without query_field or mutation_field, or with an unknown scope: {wrong}"


def test_every_mutation_names_its_action_and_asks_for_more_than_a_key() -> None:
    mutations = [(name, facts) for root, name, facts in root_fields() if root == "Mutation"]
    actions = [str(facts[ACTION]) for _, facts in mutations]
    assert all("." in action for action in actions)
    assert len(set(actions)) == len(actions)
    assert [name for name, facts in mutations if facts[SCOPE] == ANY_KEY] == []


def test_only_node_lookups_and_server_facts_are_open_to_any_key() -> None:
    open_fields = {name for _, name, facts in root_fields() if facts[SCOPE] == ANY_KEY}
    assert open_fields == {"node", "nodes", "serverInfo"}


def test_every_mutation_returns_a_payload_with_user_errors() -> None:
    assert CORE.mutation_type is not None
    for name, field in CORE.mutation_type.fields.items():
        made = get_named_type(field.type)
        assert isinstance(field.type, GraphQLNonNull), name
        assert isinstance(made, GraphQLObjectType), name
        assert made.name.endswith("Payload"), name
        assert str(made.fields["userErrors"].type) == "[UserError!]!", name


def described() -> Iterator[tuple[str, str | None]]:
    for name, found in CORE.type_map.items():
        if name.startswith("__") or name in {"String", "Int", "Float", "Boolean", "ID"}:
            continue
        yield name, found.description
        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in found.fields.items():
                yield f"{name}.{field_name}", field.description
                for argument_name, argument in field.args.items():
                    yield f"{name}.{field_name}({argument_name})", argument.description
        elif isinstance(found, GraphQLInputObjectType):
            for field_name, field in found.fields.items():
                yield f"{name}.{field_name}", field.description
        elif isinstance(found, GraphQLEnumType):
            for value_name, value in found.values.items():
                yield f"{name}.{value_name}", value.description


def test_everything_is_described() -> None:
    wrong = [place for place, text in described() if not (text and text.strip().endswith((".", "?")))]
    assert not wrong, f"without a description that is a sentence: {wrong}"


def test_what_may_be_left_out_has_a_default() -> None:
    """Without one a resolver misses an argument, and the caller who leaves it out is told of a fault of ours."""
    wrong = [
        f"{name}.{field_name}({argument_name})"
        for name, found in CORE.type_map.items()
        if isinstance(found, GraphQLObjectType) and not name.startswith("__")
        for field_name, field in found.fields.items()
        for argument_name, argument in field.args.items()
        if not isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined
    ]
    assert not wrong, wrong


def test_lists_are_connections_with_one_shape() -> None:
    for name, found in CORE.type_map.items():
        if isinstance(found, GraphQLObjectType) and name.endswith("Connection"):
            assert list(found.fields) == ["edges", "nodes", "pageInfo", "totalCount"], name
            assert str(found.fields["totalCount"].type) == "Int", name


def test_node_is_nullable_as_relay_asks() -> None:
    assert CORE.query_type is not None
    assert str(CORE.query_type.fields["node"].type) == "Node"
    assert str(CORE.query_type.fields["nodes"].type) == "[Node]!"


def test_error_codes_are_the_public_list() -> None:
    codes = CORE.type_map["UserErrorCode"]
    assert isinstance(codes, GraphQLEnumType)
    assert set(codes.values) == {code.value for code in ErrorCode}
    assert {name: value.description for name, value in codes.values.items()} == {
        code.value: sentence for code, sentence in CODE_SENTENCES.items()
    }


def test_no_float_in_the_schema() -> None:
    assert "Float" not in CORE.type_map, "money and quantities are Decimal"


def test_roles_hold_known_scopes_only() -> None:
    assert all(scopes <= SCOPES for scopes in ROLES.values())


@pytest.mark.parametrize("kind", sorted(ids.PREFIXES))
def test_prefixes_are_short_and_used_once(kind: str) -> None:
    assert 3 <= len(ids.PREFIXES[kind]) <= 4
    assert ids.KINDS[ids.PREFIXES[kind]] == kind
