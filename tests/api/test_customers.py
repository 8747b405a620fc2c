"""Customers over GraphQL: creates that are safe to repeat, aliases that move, archives, provider configurations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from starlette.applications import Starlette

from app.clock import Clock
from app.main import create_app
from app.settings import Settings
from app.store import ids
from app.store.engine import Store
from app.usage.references import references_of
from tests import builders as build
from tests.api.accounts import STRIPE, connections
from tests.api.conftest import Api

AUDIT = "{ auditLog(first: 100) { nodes { action outcome code resourceId before after } } }"
LIST = """
query ($filter: CustomerFilter, $order: CustomerOrder, $first: Int! = 25, $after: String) {
  customers(filter: $filter, orderBy: $order, first: $first, after: $after) {
    nodes { name } totalCount pageInfo { hasNextPage endCursor }
  }
}
"""


@pytest.fixture
async def app(settings: Settings, store: Store, now: datetime) -> AsyncIterator[Starlette]:
    accounts = connections(now)
    yield create_app(settings, store, Clock(now.isoformat()), providers=accounts)
    await accounts.close()


async def names(api: Api, **variables: Any) -> list[str]:
    return [node["name"] for node in (await api(LIST, **variables))["customers"]["nodes"]]


async def set_aliases(api: Api, customer: dict[str, Any], *aliases: str) -> dict[str, Any]:
    return await build.change(
        api,
        "customerSetIngestAliases(id: $id, aliases: $aliases)",
        "customer",
        id=customer["id"],
        aliases=list(aliases),
    )


async def test_a_customer_has_an_id_a_name_and_references(api: Api) -> None:
    made = await build.customer(api, " Acme ", externalId="acme-1", ingestAliases=["acme", "acme-eu", "acme"])
    assert ids.parse(made["id"])[0] == "customer"  # type: ignore[index]
    assert made["name"] == "Acme"
    assert made["ingestAliases"] == ["acme", "acme-1", "acme-eu"]
    by_id = await api("query ($id: ID!) { customer(id: $id) { name } node(id: $id) { id } }", id=made["id"])
    assert by_id == {"customer": {"name": "Acme"}, "node": {"id": made["id"]}}
    assert (await api('{ customer(externalId: "acme-1") { id } }'))["customer"] == {"id": made["id"]}
    assert await api('{ customer(externalId: "other") { id } }') == {"customer": None}
    [error] = await api.errors("{ customer { id } }")
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"name": ""}, "REQUIRED", ["input", "name"]),
        ({"name": "   "}, "REQUIRED", ["input", "name"]),
        ({"name": "x" * 201}, "INVALID", ["input", "name"]),
        ({"name": "two\nlines"}, "INVALID", ["input", "name"]),
        ({"externalId": ""}, "REQUIRED", ["input", "externalId"]),
        ({"externalId": "x" * 129}, "INVALID", ["input", "externalId"]),
        ({"ingestAliases": [""]}, "REQUIRED", ["input", "ingestAliases"]),
        ({"ingestAliases": ["x" * 129]}, "INVALID", ["input", "ingestAliases"]),
        ({"ingestAliases": ["cus_" + "0" * 32]}, "INVALID", ["input", "ingestAliases"]),
        ({"ingestAliases": [f"a{n}" for n in range(2_001)]}, "LIMIT_EXCEEDED", ["input", "ingestAliases"]),
        ({"uniquenessKey": ""}, "INVALID", ["input", "uniquenessKey"]),
        ({"uniquenessKey": "x" * 129}, "INVALID", ["input", "uniquenessKey"]),
    ],
)
async def test_bad_customers(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    error = await build.refusal(api, "customer", **({"name": "Acme"} | fields))
    assert (error["code"], error["path"]) == (code, path)
    assert await names(api) == []


async def test_a_uniqueness_key_is_used_once_and_names_the_first(api: Api) -> None:
    first = await build.customer(api, "Acme", externalId="acme", uniquenessKey="key")
    error = await build.refusal(api, "customer", name="Acme", externalId="acme", uniquenessKey="key")
    assert error["code"] == "UNIQUENESS_KEY_CONFLICT"
    assert error["status"] == 409
    assert error["conflicting"] == {"id": first["id"]}
    assert await names(api) == ["Acme"]


async def test_a_failed_create_consumes_no_key(api: Api) -> None:
    holder = await build.customer(api, "Holder", ingestAliases=["taken"])
    error = await build.refusal(api, "customer", name="Acme", ingestAliases=["free", "taken"], uniquenessKey="key")
    assert (error["code"], error["conflicting"]) == ("ALIAS_TAKEN", {"id": holder["id"]})
    made = await build.customer(api, "Acme", ingestAliases=["free"], uniquenessKey="key")
    assert made["ingestAliases"] == ["free"]


@pytest.mark.parametrize("external_id", [None, "acme"])
async def test_fifty_at_once_with_one_key_make_one_customer(api: Api, external_id: str | None) -> None:
    fields = {"name": "Acme", "externalId": external_id, "uniquenessKey": "key"}
    payloads = await asyncio.gather(*(build.attempt(api, "customer", **fields) for _ in range(50)))
    made = [payload["customer"]["id"] for payload in payloads if payload["customer"]]
    errors = [error for payload in payloads for error in payload["userErrors"]]
    assert len(made) == 1
    assert [error["code"] for error in errors] == ["UNIQUENESS_KEY_CONFLICT"] * 49
    assert {error["conflicting"]["id"] for error in errors} == set(made)
    assert await names(api) == ["Acme"]


async def test_an_external_id_is_an_alias_like_any_other(api: Api) -> None:
    first = await build.customer(api, "First", externalId="one", ingestAliases=["two"])
    for fields in ({"externalId": "one"}, {"externalId": "two"}, {"ingestAliases": ["one"]}):
        error = await build.refusal(api, "customer", name="Second", **fields)
        assert (error["code"], error["conflicting"]) == ("ALIAS_TAKEN", {"id": first["id"]})
    assert (await set_aliases(api, first))["customer"]["ingestAliases"] == ["one"]


async def test_setting_aliases_replaces_the_set_and_can_be_repeated(api: Api) -> None:
    made = await build.customer(api, ingestAliases=["a", "b"])
    for _ in range(2):
        assert (await set_aliases(api, made, "c", "b"))["customer"]["ingestAliases"] == ["b", "c"]
    assert (await set_aliases(api, made))["customer"]["ingestAliases"] == []
    many = [f"alias-{n}" for n in range(2_000)]
    assert len((await set_aliases(api, made, *many))["customer"]["ingestAliases"]) == 2_000


async def test_an_alias_moves_with_its_usage(api: Api, store: Store) -> None:
    first = await build.customer(api, "First", ingestAliases=["shared", "own"])
    second = await build.customer(api, "Second", ingestAliases=["other"])
    payload = await set_aliases(api, second, "other", "shared")
    assert payload["customer"] is None
    [error] = payload["userErrors"]
    assert (error["code"], error["conflicting"]) == ("ALIAS_TAKEN", {"id": first["id"]})
    assert "First" in error["message"]

    await set_aliases(api, first, "own")
    assert (await set_aliases(api, second, "other", "shared"))["userErrors"] == []
    async with store.transaction() as session:
        found = {
            name: await references_of(session, ids.from_text("customer", made["id"]))
            for name, made in (("first", first), ("second", second))
        }
    assert found == {"first": sorted([first["id"], "own"]), "second": sorted([second["id"], "other", "shared"])}


async def test_one_of_many_racing_for_an_alias_gets_it(api: Api) -> None:
    made = [await build.customer(api, f"Customer {n}") for n in range(8)]
    payloads = await asyncio.gather(*(set_aliases(api, customer, "prize", "also") for customer in made))
    winners = [payload["customer"] for payload in payloads if payload["customer"]]
    assert [winner["ingestAliases"] for winner in winners] == [["also", "prize"]]
    assert [error["code"] for payload in payloads for error in payload["userErrors"]] == ["ALIAS_TAKEN"] * 7


async def test_lists_are_searched_sorted_and_paged(api: Api) -> None:
    for name, external_id in (("Bolt", "b-1"), ("acorn", None), ("Acme", "a_1"), ("100%", None)):
        await build.customer(api, name, externalId=external_id)
    everyone = await names(api)
    assert sorted(everyone) == sorted(["Bolt", "acorn", "Acme", "100%"])
    assert await names(api, order={"field": "NAME", "direction": "DESC"}) == everyone[::-1]
    assert await names(api, order={"field": "CREATED_AT"}) == ["Bolt", "acorn", "Acme", "100%"]
    for search, expected in (
        ("ac", {"acorn", "Acme"}),
        ("b-", {"Bolt"}),
        ("%", {"100%"}),
        ("_", set()),
        ("a_", {"Acme"}),
    ):
        assert set(await names(api, filter={"search": search})) == expected, search
    assert await names(api, filter={"externalId": "b-1"}) == ["Bolt"]

    seen, after = [], None
    while True:
        page = (await api(LIST, first=3, after=after))["customers"]
        seen += [node["name"] for node in page["nodes"]]
        assert page["totalCount"] == 4
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == everyone
    [error] = await api.errors(LIST, after=after, order={"field": "CREATED_AT"})
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_archived_customer_is_hidden_and_takes_no_changes(api: Api) -> None:
    made = await build.customer(api, "Acme", ingestAliases=["acme"])
    contract = await build.contract(api, made["id"])
    refused = await build.change(api, "customerArchive(id: $id)", "customer", id=made["id"])
    assert [error["code"] for error in refused["userErrors"]] == ["ILLEGAL_TRANSITION"]
    assert refused["userErrors"][0]["conflicting"] == {"id": contract["id"]}

    await build.change(api, "contractArchive(id: $id, voidInvoices: false)", "contract", id=contract["id"])
    archived = (await build.change(api, "customerArchive(id: $id)", "customer", id=made["id"]))["customer"]
    assert (archived["status"], archived["archivedAt"]) == ("ARCHIVED", "2026-11-02T12:00:00Z")
    assert await names(api) == []
    assert await names(api, filter={"includeArchived": True}) == ["Acme"]
    rename = "customerUpdate(id: $id, input: {name: $name})"
    for payload in (
        await build.change(api, rename, "customer", id=made["id"], name="New"),
        await build.change(api, "customerArchive(id: $id)", "customer", id=made["id"]),
        await set_aliases(api, made),
        await build.attempt(api, "contract", customerId=made["id"], currency="USD", interval=build.interval("2026-11-01T00:00:00Z")),
        await build.attempt(api, "billingConfiguration", customerId=made["id"], provider="stripe", connection="us", settings=build.pairs(STRIPE)),
    ):  # fmt: skip
        assert [error["code"] for error in payload["userErrors"]] == ["ARCHIVED"]
    error = await build.refusal(api, "customer", name="New", ingestAliases=["acme"])
    assert error["code"] == "ALIAS_TAKEN"


@pytest.mark.parametrize("text", ["", "cus_", "acme", "con_" + "0" * 32, "cus_" + "0" * 31 + "G", "cus_" + "0" * 32])
async def test_wrong_ids(api: Api, text: str) -> None:
    payload = await build.change(api, "customerArchive(id: $id)", "customer", id=text)
    [error] = payload["userErrors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND" if text == "cus_" + "0" * 32 else "INVALID", ["id"])
    assert await api("query ($id: ID!) { customer(id: $id) { id } node(id: $id) { id } }", id=text) == {
        "customer": None,
        "node": None,
    }


async def test_the_new_default_takes_the_place_of_the_old(api: Api) -> None:
    made = await build.customer(api)
    first = await build.configuration(api, made["id"], connection="us", isDefault=True)
    second = await build.configuration(api, made["id"], connection="eu", isDefault=True)
    assert second["settings"] == [{"key": "stripeCustomerId", "value": "cus_Acme"}]
    asked = (
        "query ($id: ID!) { customer(id: $id) { billingConfigurations { id connection isDefault customer { id } } } }"
    )
    assert (await api(asked, id=made["id"]))["customer"]["billingConfigurations"] == [
        {"id": first["id"], "connection": "us", "isDefault": False, "customer": {"id": made["id"]}},
        {"id": second["id"], "connection": "eu", "isDefault": True, "customer": {"id": made["id"]}},
    ]
    again = await build.change(api, "billingConfigurationArchive(id: $id)", "billingConfiguration", id=second["id"])
    assert again["billingConfiguration"]["isDefault"] is False
    left = (await api(asked, id=made["id"]))["customer"]["billingConfigurations"]
    assert [item["id"] for item in left] == [first["id"]]
    twice = await build.change(api, "billingConfigurationArchive(id: $id)", "billingConfiguration", id=second["id"])
    assert [error["code"] for error in twice["userErrors"]] == ["ARCHIVED"]


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"provider": "stripe"}, "PROVIDER_NOT_CONFIGURED", ["input", "connection"]),
        ({"provider": "aws_marketplace"}, "PROVIDER_NOT_CONFIGURED", ["input", "connection"]),
        ({"provider": "nobody"}, "PROVIDER_NOT_CONFIGURED", ["input", "connection"]),
        ({"connection": "azure"}, "PROVIDER_NOT_CONFIGURED", ["input", "connection"]),
        ({"connection": "us", "settings": {}}, "INVALID", ["input", "settings"]),
        ({"connection": "us", "settings": {"stripeCustomerId": "nonsense"}}, "INVALID", ["input", "settings"]),
        ({"connection": "us", "settings": {**STRIPE, "surprise": "1"}}, "INVALID", ["input", "settings"]),
        ({"connection": "us", "settings": {"stripeCustomerId": ""}}, "REQUIRED", ["input", "settings", "stripeCustomerId"]),
        ({"connection": "us", "customerId": "cus_" + "0" * 32}, "NOT_FOUND", ["input", "customerId"]),
    ],
)  # fmt: skip
async def test_bad_configurations(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    made = await build.customer(api)
    settings = build.pairs(fields.pop("settings", STRIPE))
    sent = {"customerId": made["id"], "provider": "stripe", "settings": settings} | fields
    error = await build.refusal(api, "billingConfiguration", **sent)
    assert (error["code"], error["path"]) == (code, path)


async def test_a_setting_named_twice_is_refused(api: Api) -> None:
    twice = build.pairs(STRIPE) * 2
    customer_id = (await build.customer(api))["id"]
    error = await build.refusal(api, "billingConfiguration", customerId=customer_id, provider="stripe", settings=twice)
    assert (error["code"], error["path"]) == ("INVALID", ["input", "settings", "1", "key"])


async def test_every_mutation_leaves_one_audit_entry(api: Api) -> None:
    made = await build.customer(api, "Acme", ingestAliases=["a"])
    await build.change(api, "customerUpdate(id: $id, input: {name: $name})", "customer", id=made["id"], name="Acme Inc")
    await set_aliases(api, made, "b")
    chosen = await build.configuration(api, made["id"], connection="us")
    await build.change(api, "billingConfigurationArchive(id: $id)", "billingConfiguration", id=chosen["id"])
    await build.change(api, "customerArchive(id: $id)", "customer", id=made["id"])
    await build.refusal(api, "customer", name="")
    entries = (await api(AUDIT))["auditLog"]["nodes"][::-1]
    assert [(entry["action"], entry["outcome"], entry["code"], entry["resourceId"]) for entry in entries] == [
        ("customer.create", "ok", None, made["id"]),
        ("customer.update", "ok", None, made["id"]),
        ("customer.set_ingest_aliases", "ok", None, made["id"]),
        ("billing_configuration.create", "ok", None, chosen["id"]),
        ("billing_configuration.archive", "ok", None, chosen["id"]),
        ("customer.archive", "ok", None, made["id"]),
        ("customer.create", "refused", "REQUIRED", None),
    ]
    assert (entries[1]["before"]["name"], entries[1]["after"]["name"]) == ("Acme", "Acme Inc")
    assert (entries[2]["before"], entries[2]["after"]) == ({"ingestAliases": ["a"]}, {"ingestAliases": ["b"]})


async def test_scopes_and_customers_own_tokens(api: Api) -> None:
    mine = await build.customer(api, "Mine", externalId="mine")
    other = await build.customer(api, "Other", externalId="other")
    reader = await api.with_scopes("customers:read")
    assert await names(reader) == ["Mine", "Other"]
    [error] = await reader.errors('mutation { customerCreate(input: {name: "No"}) { customer { id } } }')
    assert error["extensions"]["requiredScope"] == "customers:write"
    [error] = await reader.errors("{ customers { nodes { contracts { nodes { id } } } } }")
    assert error["extensions"]["requiredScope"] == "contracts:read"

    token = await api.with_scopes("customers:read", customerId=mine["id"])
    assert await names(token) == ["Mine"]
    asked = "query ($id: ID, $own: String) { customer(id: $id, externalId: $own) { name } }"
    assert await token(asked, id=mine["id"]) == {"customer": {"name": "Mine"}}
    assert await token(asked, id=other["id"]) == {"customer": None}
    assert await token(asked, own="other") == {"customer": None}
