"""Custom fields over GraphQL: registered keys, values on objects of every kind, all or nothing, unique where asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.statements import counted

ADD = f"""
mutation ($input: CustomFieldKeyAddInput!) {{
  customFieldKeyAdd(input: $input) {{ customFieldKey {{ id entity key enforceUniqueness removedAt }} {build.ERRORS} }}
}}
"""
REMOVE = f"mutation ($id: ID!) {{ customFieldKeyRemove(id: $id) {{ customFieldKey {{ removedAt }} {build.ERRORS} }} }}"
LIST = "query ($entity: CustomFieldEntity) { customFieldKeys(entity: $entity) { nodes { entity key } totalCount } }"
NODE = "node { id ... on HasCustomFields { customFields { key value } } }"
SET = f"""
mutation ($id: ID!, $values: [KeyValueInput!]!) {{
  customFieldsSet(id: $id, values: $values) {{ {NODE} {build.ERRORS} }}
}}
"""
DELETE = f"""
mutation ($id: ID!, $keys: [String!]!) {{ customFieldsDelete(id: $id, keys: $keys) {{ {NODE} {build.ERRORS} }} }}
"""
READ = f"query ($id: ID!) {{ {NODE.replace('node', 'node(id: $id)', 1)} }}"

ENTITIES = ["CUSTOMER", "CONTRACT", "PRODUCT", "RATE_CARD", "BILLABLE_METRIC"]


async def add(api: Api, key: str, entity: str = "CUSTOMER", **options: Any) -> dict[str, Any]:
    payload = (await api(ADD, input={"entity": entity, "key": key, **options}))["customFieldKeyAdd"]
    assert payload["userErrors"] == [], payload
    return payload["customFieldKey"]


async def put(api: Api, identifier: str, **values: str) -> dict[str, Any]:
    return (await api(SET, id=identifier, values=build.pairs(values)))["customFieldsSet"]


async def take(api: Api, identifier: str, *keys: str) -> dict[str, Any]:
    return (await api(DELETE, id=identifier, keys=list(keys)))["customFieldsDelete"]


async def fields(api: Api, identifier: str) -> dict[str, str]:
    return shown(await api(READ, id=identifier))


def shown(payload: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in payload["node"]["customFields"]}


async def make(api: Api, entity: str, **options: Any) -> str:
    """An object of the kind."""
    makers = {
        "CUSTOMER": build.customer,
        "CONTRACT": build.contract,
        "PRODUCT": build.product,
        "RATE_CARD": build.rate_card,
        "BILLABLE_METRIC": build.metric,
        "ALERT": _alert,
    }
    return (await makers[entity](api, **options))["id"]


async def _alert(api: Api, **options: Any) -> dict[str, Any]:
    wanted = {"name": "spent", "type": "SPEND_THRESHOLD_REACHED", "threshold": "1", **options}
    answer = await api(
        "mutation ($input: AlertCreateInput!) { alertCreate(input: $input) { alert { id } } }", input=wanted
    )
    return answer["alertCreate"]["alert"]


@pytest.mark.parametrize("entity", ENTITIES)
async def test_every_kind_takes_them_when_it_is_made_and_later(api: Api, entity: str) -> None:
    await add(api, "crm", entity)
    await add(api, "owner", entity)
    identifier = await make(api, entity, customFields=build.pairs({"crm": "A-1"}))
    assert await fields(api, identifier) == {"crm": "A-1"}
    assert shown(await put(api, identifier, owner="Ann", crm="A-2")) == {"crm": "A-2", "owner": "Ann"}
    assert shown(await put(api, identifier, owner="Bob")) == {"crm": "A-2", "owner": "Bob"}
    assert shown(await take(api, identifier, "crm")) == {"owner": "Bob"}
    assert shown(await take(api, identifier, "crm")) == {"owner": "Bob"}
    one = 'query ($id: ID!) { node(id: $id) { ... on HasCustomFields { a: customField(key: "owner") b: customField(key: "x") } } }'
    assert (await api(one, id=identifier))["node"] == {"a": "Bob", "b": None}


@pytest.mark.parametrize("entity", ENTITIES)
async def test_an_unregistered_key_makes_nothing(api: Api, entity: str) -> None:
    await add(api, "known", entity)
    kinds = {"CUSTOMER": "customer", "CONTRACT": "contract", "PRODUCT": "product", "RATE_CARD": "rateCard"}
    kind = kinds.get(entity, "billableMetric")
    needed: dict[str, dict[str, Any]] = {
        "customer": {"name": "Acme"},
        "contract": {"currency": "USD", "interval": build.interval("2026-11-01T00:00:00Z")},
        "product": {"name": "P"},
        "rateCard": {"name": "L", "currency": "USD"},
        "billableMetric": {"name": "m", "aggregation": "COUNT"},
    }
    if kind == "contract":
        needed[kind]["customerId"] = await make(api, "CUSTOMER")
    if kind == "product":
        needed[kind]["metricId"] = await make(api, "BILLABLE_METRIC")
    lists = {"customer": "customers", "contract": "contracts", "product": "products", "rateCard": "rateCards"}
    many = f"{{ {lists.get(kind, 'billableMetrics')} {{ totalCount }} }}"
    before = await api(many)
    for values, code, path in [
        ({"known": "1", "stranger": "2"}, "CUSTOM_FIELD_UNKNOWN", "stranger"),
        ({"known": ""}, "REQUIRED", "known"),
        ({"known": "x" * 201}, "INVALID", "known"),
    ]:
        error = await build.refusal(api, kind, **needed[kind], customFields=build.pairs(values), uniquenessKey="k")
        assert (error["code"], error["path"]) == (code, ["input", "customFields", path])
    twice = [{"key": "known", "value": value} for value in "ab"]
    error = await build.refusal(api, kind, **needed[kind], customFields=twice)
    assert (error["code"], error["path"]) == ("INVALID", ["input", "customFields"])
    assert await api(many) == before
    assert (await build.attempt(api, kind, **needed[kind], uniquenessKey="k"))["userErrors"] == []


async def test_every_list_can_be_narrowed_to_values(api: Api) -> None:
    lists = {
        "CUSTOMER": "customers", "CONTRACT": "contracts", "PRODUCT": "products", "RATE_CARD": "rateCards",
        "BILLABLE_METRIC": "billableMetrics", "ALERT": "alerts",
    }  # fmt: skip
    for entity, name in lists.items():
        await add(api, "team", entity)
        made = [await make(api, entity, customFields=build.pairs({"team": team})) for team in ("red", "blue")]
        document = (
            f"query ($fields: [KeyValueInput!]!) {{ {name}(filter: {{customFields: $fields}}) {{ nodes {{ id }} }} }}"
        )
        found = await api(document, fields=build.pairs({"team": "red"}))
        assert [node["id"] for node in found[name]["nodes"]] == made[:1], entity
        [error] = await api.errors(document, fields=build.pairs({"stranger": "red"}))
        assert error["extensions"]["reason"] == "CUSTOM_FIELD_UNKNOWN"


async def test_all_values_are_set_or_none(api: Api) -> None:
    await add(api, "crm")
    customer = await make(api, "CUSTOMER")
    await put(api, customer, crm="A-1")
    for values, code in [
        ({"crm": "A-2", "stranger": "x"}, "CUSTOM_FIELD_UNKNOWN"),
        ({"crm": "x" * 201}, "INVALID"),
        ({}, "REQUIRED"),
    ]:
        payload = await put(api, customer, **values)
        assert (payload["node"], [error["code"] for error in payload["userErrors"]]) == (None, [code])
    payload = await take(api, customer, "crm", "stranger")
    assert [error["code"] for error in payload["userErrors"]] == ["CUSTOM_FIELD_UNKNOWN"]
    assert await fields(api, customer) == {"crm": "A-1"}


async def test_keys_belong_to_one_kind_of_object(api: Api) -> None:
    await add(api, "crm", "PRODUCT")
    payload = await put(api, await make(api, "CUSTOMER"), crm="A-1")
    assert [error["code"] for error in payload["userErrors"]] == ["CUSTOM_FIELD_UNKNOWN"]


async def test_a_unique_value_is_on_one_object_only(api: Api) -> None:
    await add(api, "crm", enforceUniqueness=True)
    first, second = await make(api, "CUSTOMER", name="First"), await make(api, "CUSTOMER", name="Second")
    await put(api, first, crm="A-1")
    [error] = (await put(api, second, crm="A-1"))["userErrors"]
    assert (error["code"], error["status"], error["path"]) == ("CUSTOM_FIELD_TAKEN", 409, ["values", "crm"])
    assert error["conflicting"] == {"id": first}
    refused = await build.refusal(api, "customer", name="Third", customFields=build.pairs({"crm": "A-1"}))
    assert (refused["code"], refused["conflicting"]) == ("CUSTOM_FIELD_TAKEN", {"id": first})
    assert shown(await put(api, first, crm="A-1")) == {"crm": "A-1"}, "its holder may say it again"
    await build.change(api, "customerArchive(id: $id)", "customer", id=first)
    assert [e["code"] for e in (await put(api, second, crm="A-1"))["userErrors"]] == ["CUSTOM_FIELD_TAKEN"]
    assert [e["code"] for e in (await put(api, first, crm="A-9"))["userErrors"]] == ["ARCHIVED"]
    assert shown(await take(api, first, "crm")) == {}
    assert shown(await put(api, second, crm="A-1")) == {"crm": "A-1"}


async def test_a_key_that_is_not_unique_repeats_its_values(api: Api) -> None:
    await add(api, "region")
    for _ in range(2):
        assert shown(await put(api, await make(api, "CUSTOMER"), region="eu")) == {"region": "eu"}


async def test_of_many_who_set_one_unique_value_at_once_one_has_it(api: Api) -> None:
    await add(api, "crm", enforceUniqueness=True)
    customers = [await make(api, "CUSTOMER") for _ in range(20)]
    payloads = await asyncio.gather(*(put(api, customer, crm="A-1") for customer in customers))
    errors = [error for payload in payloads for error in payload["userErrors"]]
    [holder] = [payload["node"]["id"] for payload in payloads if payload["node"]]
    assert [(error["code"], error["conflicting"]) for error in errors] == [("CUSTOM_FIELD_TAKEN", {"id": holder})] * 19


async def test_keys_are_registered_listed_and_removed(api: Api) -> None:
    made = await add(api, "crm", enforceUniqueness=True)
    assert made == {
        "id": made["id"], "entity": "CUSTOMER", "key": "crm", "enforceUniqueness": True, "removedAt": None,
    }  # fmt: skip
    await add(api, "sku", "PRODUCT")
    await add(api, "area")
    listed = (await api(LIST))["customFieldKeys"]
    assert [(node["entity"], node["key"]) for node in listed["nodes"]] == [
        ("CUSTOMER", "area"), ("CUSTOMER", "crm"), ("PRODUCT", "sku"),
    ]  # fmt: skip
    assert (await api(LIST, entity="PRODUCT"))["customFieldKeys"] == {
        "nodes": [{"entity": "PRODUCT", "key": "sku"}], "totalCount": 1,
    }  # fmt: skip
    customer = await make(api, "CUSTOMER")
    await put(api, customer, crm="A-1")
    assert (await api(REMOVE, id=made["id"]))["customFieldKeyRemove"]["customFieldKey"]["removedAt"] is not None
    assert await fields(api, customer) == {}
    again = (await api(REMOVE, id=made["id"]))["customFieldKeyRemove"]["userErrors"]
    assert [(error["code"], error["path"]) for error in again] == [("NOT_FOUND", ["id"])]
    await add(api, "crm", enforceUniqueness=True)
    assert await fields(api, customer) == {}, "a key begins without values"
    other = await make(api, "CUSTOMER")
    assert shown(await put(api, other, crm="A-1")) == {"crm": "A-1"}


@pytest.mark.parametrize(
    ("fields_", "code"),
    [({"key": ""}, "REQUIRED"), ({"key": "k" * 101}, "INVALID"), ({"key": "taken"}, "CUSTOM_FIELD_KEY_EXISTS")],
)
async def test_keys_that_are_refused(api: Api, fields_: dict[str, Any], code: str) -> None:
    taken = await add(api, "taken")
    payload = (await api(ADD, input={"entity": "CUSTOMER", **fields_}))["customFieldKeyAdd"]
    [error] = payload["userErrors"]
    assert (payload["customFieldKey"], error["code"], error["path"]) == (None, code, ["input", "key"])
    assert error["conflicting"] == ({"id": taken["id"]} if code == "CUSTOM_FIELD_KEY_EXISTS" else None)
    assert (await api(LIST))["customFieldKeys"]["totalCount"] == 1


async def test_a_kind_of_object_has_at_most_a_hundred_keys(api: Api, store: Store) -> None:
    async with store.transaction() as session:
        await session.execute(
            text(
                "insert into custom_field_keys (id, created_at, entity, key, enforce_uniqueness) "
                "select gen_random_uuid(), now(), 'CUSTOMER', 'key ' || n, false from generate_series(1, 100) n"
            )
        )
    payload = (await api(ADD, input={"entity": "CUSTOMER", "key": "one more"}))["customFieldKeyAdd"]
    assert [error["code"] for error in payload["userErrors"]] == ["LIMIT_EXCEEDED"]
    await add(api, "one more", "PRODUCT")


async def test_ids_that_name_nothing_with_custom_fields(api: Api) -> None:
    await add(api, "crm")
    key = (await api("{ customFieldKeys { nodes { id } } }"))["customFieldKeys"]["nodes"][0]["id"]
    for identifier, code in [("nonsense", "INVALID"), (key, "INVALID"), ("cus_" + "0" * 32, "NOT_FOUND")]:
        for payload in (await put(api, identifier, crm="A"), await take(api, identifier, "crm")):
            assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, ["id"])]


async def test_a_list_with_custom_fields_costs_no_more_than_one_object(api: Api, store: Store) -> None:
    await add(api, "crm")
    document = '{ customers { nodes { customFields { key value } customField(key: "crm") } } }'
    await make(api, "CUSTOMER", customFields=build.pairs({"crm": "1"}))
    with counted(store) as one:
        await api(document)
    for number in range(5):
        await make(api, "CUSTOMER", customFields=build.pairs({"crm": str(number)}))
    with counted(store) as many:
        found = await api(document)
    assert len(many) == len(one)
    assert [node["customField"] for node in found["customers"]["nodes"]] == ["1", *"01234"]


async def test_scopes(api: Api) -> None:
    await add(api, "crm")
    customer = await make(api, "CUSTOMER", customFields=build.pairs({"crm": "A"}))
    reader = await api.with_scopes("customers:read")
    assert await fields(reader, customer) == {"crm": "A"}
    writer = await api.with_scopes("custom_fields:write")
    assert (await put(writer, customer, crm="B")) == {"node": None, "userErrors": []}
    own = await api.with_scopes("customers:read", customerId=customer)
    assert await fields(own, customer) == {}, "they are the seller's own notes"
    [error] = await reader.errors(SET, id=customer, values=[])
    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_changes_are_in_the_audit_log(api: Api) -> None:
    await add(api, "crm")
    customer = await make(api, "CUSTOMER", customFields=build.pairs({"crm": "A"}))
    await put(api, customer, crm="B")
    log = await api("{ auditLog(first: 2) { nodes { action resourceId before after } } }")
    changed, made = log["auditLog"]["nodes"]
    assert changed == {
        "action": "custom_fields.set", "resourceId": customer,
        "before": {"customFields": {"crm": "A"}}, "after": {"customFields": {"crm": "B"}},
    }  # fmt: skip
    assert made["after"]["customFields"] == {"crm": "A"}
