"""API keys: made, shown once, recognized, refused; scopes at every root field; what a customer's token may see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from graphql import GraphQLField, GraphQLNonNull, is_enum_type, is_input_object_type, is_list_type
from sqlalchemy import text
from starlette.applications import Starlette

from app import schema
from app.access import callers, keys
from app.access.scopes import SCOPES
from app.access.tables import ApiKey
from app.clock import Clock
from app.customers.tables import Customer
from app.errors import InvalidInput
from app.graphql.fields import ANY_KEY, SCOPE
from app.main import create_app
from app.settings import Settings
from app.store import ids
from app.store.engine import Store
from tests.api.conftest import BOOTSTRAP, CREATE_KEY, Api

BUILT = schema.build()[0]


async def test_the_secret_is_shown_once_and_stored_nowhere(api: Api, store: Store) -> None:
    made = (await api(CREATE_KEY, input={"name": "ci", "roles": ["USAGE_SENDER"]}))["apiKeyCreate"]
    secret = made["secretOnce"]
    assert secret.startswith("mg_")
    assert len(secret) == 3 + 43, "256 bits"
    found = await api("{ apiKeys { nodes { id name hint scopes expiresAt revokedAt customerId } } }")
    [shown] = [node for node in found["apiKeys"]["nodes"] if node["name"] == "ci"]
    assert shown["id"] == made["apiKey"]["id"]
    assert shown["scopes"] == ["usage:write"]
    assert shown["hint"] == f"{secret[:7]}…{secret[-4:]}"
    async with store.transaction() as session:
        for table in ("api_keys", "audit_entries", "idempotency_records"):
            rows = (await session.execute(text(f"select t::text from {table} t"))).scalars().all()
            assert rows == [] or not any(secret in row for row in rows), table


async def test_scopes_and_roles_add_up(api: Api) -> None:
    document = CREATE_KEY.replace("apiKey { id }", "apiKey { scopes }")
    made = await api(document, input={"name": "a", "scopes": ["audit:read"], "roles": ["USAGE_SENDER"]})
    assert made["apiKeyCreate"]["apiKey"]["scopes"] == ["audit:read", "usage:write"]


@pytest.mark.parametrize(
    ("given", "code", "path", "status"),
    [
        ({"name": "", "scopes": ["admin"]}, "INVALID", ["input", "name"], 400),
        ({"name": " " * 5, "scopes": ["admin"]}, "INVALID", ["input", "name"], 400),
        ({"name": "x" * 201, "scopes": ["admin"]}, "INVALID", ["input", "name"], 400),
        ({"name": "bootstrap", "scopes": ["admin"]}, "INVALID", ["input", "name"], 400),
        ({"name": "a"}, "REQUIRED", ["input", "scopes"], 400),
        ({"name": "a", "scopes": ["usage:wirte"]}, "INVALID", ["input", "scopes"], 400),
        (
            {"name": "a", "scopes": ["admin"], "expiresAt": "2026-11-02T12:00:00Z"},
            "INVALID",
            ["input", "expiresAt"],
            400,
        ),
        ({"name": "a", "scopes": ["admin"], "customerId": "nonsense"}, "INVALID", ["input", "customerId"], 400),
        (
            {"name": "a", "scopes": ["admin"], "customerId": f"cus_{'0' * 32}"},
            "NOT_FOUND",
            ["input", "customerId"],
            404,
        ),
    ],
)
async def test_bad_keys_are_user_errors(
    api: Api, given: dict[str, object], code: str, path: list[str], status: int
) -> None:
    made = (await api(CREATE_KEY, input=given))["apiKeyCreate"]
    assert (made["apiKey"], made["secretOnce"]) == (None, None)
    [error] = made["userErrors"]
    assert (error["code"], error["path"], error["status"]) == (code, path, status)
    assert (await api("{ apiKeys { totalCount } }"))["apiKeys"]["totalCount"] == 1, "the administrator's own"


async def test_a_revoked_key_is_refused_at_once(api: Api) -> None:
    made = (await api(CREATE_KEY, input={"name": "a", "scopes": ["admin"]}))["apiKeyCreate"]
    other = api.as_key(made["secretOnce"])
    assert await other("{ __typename }") == {"__typename": "Query"}
    revoke = "mutation ($id: ID!) { apiKeyRevoke(id: $id) { apiKey { revokedAt } userErrors { code } } }"
    for _twice in range(2):
        ended = await api(revoke, id=made["apiKey"]["id"])
        assert ended["apiKeyRevoke"] == {"apiKey": {"revokedAt": "2026-11-02T12:00:00Z"}, "userErrors": []}
    assert (await other.post("{ __typename }")).status_code == 401


async def test_revoking_what_does_not_exist(api: Api) -> None:
    revoke = "mutation ($id: ID!) { apiKeyRevoke(id: $id) { apiKey { id } userErrors { code status path } } }"
    for given, code, status in ((f"key_{'0' * 32}", "NOT_FOUND", 404), (f"cus_{'0' * 32}", "INVALID", 400)):
        refused = await api(revoke, id=given)
        assert refused["apiKeyRevoke"] == {
            "apiKey": None,
            "userErrors": [{"code": code, "status": status, "path": ["id"]}],
        }


async def test_keys_expire(api: Api, settings: Settings, store: Store, now: datetime) -> None:
    ends = now + timedelta(hours=1)
    key = (await api.with_scopes("admin", expiresAt=ends.isoformat())).key
    for moment, status in ((ends - timedelta(microseconds=1), 200), (ends, 401)):
        later = Api(create_app(settings, store, Clock(moment.isoformat())), key)
        assert (await later.post("{ __typename }")).status_code == status


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {BOOTSTRAP}", BOOTSTRAP, f"Bearer {BOOTSTRAP}x", "Bearer é",
     f"Bearer {BOOTSTRAP[:-1]}", "Bearer " + "x" * 5000, "Bearer null", f"Bearer {BOOTSTRAP.upper()}"],
)  # fmt: skip
async def test_what_is_no_key(app: Starlette, header: str) -> None:
    response = await Api(app, None).post("{ __typename }", headers={"authorization": header.encode("latin-1")})
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_another_bootstrap_key_replaces_the_first(api: Api, store: Store, now: datetime) -> None:
    assert await api("{ __typename }") == {"__typename": "Query"}
    settings = Settings(bootstrap_key="another-bootstrap-key-0123456789")
    moved = create_app(settings, store, Clock(now.isoformat()))
    assert (await Api(moved).post("{ __typename }")).status_code == 401
    assert (await Api(moved, settings.bootstrap_key).post("{ __typename }")).status_code == 200


async def test_the_last_use_is_remembered_now_and_then(store: Store, now: datetime) -> None:
    async with store.transaction() as session:
        row, secret = await keys.create_key(session, name="a", scopes={"admin"}, now=now)
    for minutes, expected in ((0, 0), (4, 0), (5, 5), (9, 5), (11, 11)):
        async with store.transaction() as session:
            await keys.authenticate(session, secret, now=now + timedelta(minutes=minutes))
        async with store.transaction() as session:
            found = await session.get(ApiKey, row.id)
            assert found is not None
            assert found.last_used_at == now + timedelta(minutes=expected)


BESIDE = {
    "invoicePreview": "contracts:read", "invoiceRebill": "invoices:finalize", "historicalInvoicesCreate": "admin",
}  # fmt: skip
"""Fields that ask for a second scope, which they name once the first is there."""


def root_fields() -> Iterator[tuple[str, str, GraphQLField, str]]:
    for operation, root in (("query", BUILT.query), ("mutation", BUILT.mutation)):
        core = BUILT._schema.query_type if operation == "query" else BUILT._schema.mutation_type
        assert core is not None
        for field in root.__strawberry_definition__.fields:
            name = BUILT.config.name_converter.get_graphql_name(field)
            yield operation, name, core.fields[name], field.metadata[SCOPE]


def literal(wanted: object) -> str:
    """Any value that validation takes for an argument of this type."""
    if isinstance(wanted, GraphQLNonNull):
        return literal(wanted.of_type)
    if is_list_type(wanted):
        return "[]"
    if is_enum_type(wanted):
        return next(iter(wanted.values))
    if is_input_object_type(wanted):
        needed = {name: field for name, field in wanted.fields.items() if isinstance(field.type, GraphQLNonNull)}
        # The installed core library does not know of inputs that want exactly one field.
        if wanted.extensions["strawberry-definition"].is_one_of:
            needed = dict([next(iter(wanted.fields.items()))])
        return "{" + ", ".join(f"{name}: {literal(field.type)}" for name, field in needed.items()) + "}"
    known = {
        "Int": "1",
        "Boolean": "false",
        "DateTime": '"2026-11-01T00:00:00Z"',
        "Date": '"2026-11-01"',
        "JSON": "{}",
        "CurrencyCode": '"USD"',
    }
    return known.get(str(wanted), '"1"')


def call(operation: str, name: str, field: GraphQLField) -> str:
    needed = {key: found for key, found in field.args.items() if isinstance(found.type, GraphQLNonNull)}
    arguments = ", ".join(f"{key}: {literal(found.type)}" for key, found in needed.items())
    return f"{operation} {{ {name}{f'({arguments})' if arguments else ''} {{ __typename }} }}"


async def test_the_scope_matrix(api: Api) -> None:
    """Every root field with a key of every single scope: FORBIDDEN unless the scope is the field's or admin."""
    callers_by_scope = {scope: await api.with_scopes(scope) for scope in sorted(SCOPES)}
    wrong: list[str] = []
    for operation, name, field, needed in root_fields():
        document = call(operation, name, field)
        for scope, caller in callers_by_scope.items():
            answer = (await caller.post(document)).json()
            codes = [error["extensions"].get("requiredScope") for error in answer.get("errors", [])]
            expected = [] if needed in (ANY_KEY, scope) or scope == "admin" else [needed]
            if name in BESIDE and scope == needed:
                expected = [BESIDE[name]]
            if [code for code in codes if code] != expected or answer.get("data", "absent") == "absent":
                wrong.append(f"{scope}: {document} -> {answer}")
    assert not wrong, "\n".join(wrong[:20])


async def test_a_customers_token_sees_only_what_is_opened_to_it(api: Api, store: Store, now: datetime) -> None:
    async with store.transaction() as session:
        mine, other = Customer(name="mine", created_at=now), Customer(name="other", created_at=now)
        session.add_all([mine, other])
    own_id = ids.to_text("customer", mine.id)
    token = await api.with_scopes("admin", customerId=own_id)
    for operation, name, field, needed in root_fields():
        response = await token.post(call(operation, name, field))
        codes = [error["extensions"]["code"] for error in response.json().get("errors", [])]
        if needed == ANY_KEY:
            assert codes == [], name
        elif codes == []:
            assert operation == "query", f"{name} must not be open to a customer's token"
    entries = await api("{ apiKeys { nodes { id customerId } } }")
    for node in entries["apiKeys"]["nodes"]:
        seen = (await token("query ($id: ID!) { node(id: $id) { id } }", id=node["id"]))["node"]
        assert (seen is not None) == (node["customerId"] == own_id)


async def test_nodes_come_in_the_order_of_their_ids(api: Api) -> None:
    made = [(await api(CREATE_KEY, input={"name": name, "scopes": ["admin"]}))["apiKeyCreate"] for name in "abc"]
    wanted = [made[2]["apiKey"]["id"], "nonsense", made[0]["apiKey"]["id"], made[2]["apiKey"]["id"]]
    data = await api("query ($ids: [ID!]!) { nodes(ids: $ids) { ... on ApiKey { name } } }", ids=wanted)
    assert data["nodes"] == [{"name": "c"}, None, {"name": "a"}, {"name": "c"}]
    [error] = await api.errors("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * 101)
    assert error["extensions"]["reason"] == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("forwarded", "trusted", "expected"),
    [
        ([], 0, "192.0.2.7"),
        (["203.0.113.5"], 0, "192.0.2.7"),
        (["203.0.113.5"], 1, "203.0.113.5"),
        (["6.6.6.6, 203.0.113.5"], 1, "203.0.113.5"),
        (["6.6.6.6", "203.0.113.5"], 1, "203.0.113.5"),
        (["203.0.113.5, 198.51.100.9"], 2, "203.0.113.5"),
        (["198.51.100.9"], 5, "198.51.100.9"),
        (["not an address"], 1, "192.0.2.7"),
        (["[2001:db8::1]"], 1, "2001:db8::1"),
        (["", ","], 1, "192.0.2.7"),
    ],
)
def test_the_address_comes_from_trusted_hops_only(forwarded: list[str], trusted: int, expected: str) -> None:
    assert callers.client_address("192.0.2.7", forwarded, trusted_proxies=trusted) == expected
    assert callers.client_address(None, [], trusted_proxies=trusted) is None


async def test_a_key_needs_a_known_customer(store: Store, now: datetime) -> None:
    with pytest.raises(InvalidInput, match="not a scope"):
        async with store.transaction() as session:
            await keys.create_key(session, name="a", scopes={"everything"}, now=now, customer_id=UUID(int=1))
