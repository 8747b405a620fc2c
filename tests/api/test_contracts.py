"""Contracts over GraphQL: what makes one billable, where its invoices go, what it is worth a second look for."""

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
from app.store.engine import Store
from tests import builders as build
from tests.api.accounts import AZURE, connections
from tests.api.conftest import Api
from tests.api.statements import counted

NOWHERE = "0" * 32
NOVEMBER = build.interval("2026-11-01T00:00:00Z")
ROUTE = "contractSetBillingConfiguration(id: $id, billingConfigurationId: $configuration)"
LIST = """
query ($filter: ContractFilter) { contracts(filter: $filter) { totalCount nodes {
  name status customer { name contracts { nodes { name } } ingestAliases billingConfigurations { provider } }
  rateCard { name rates { nodes { product { name } } } } billingConfiguration { provider } } } }
"""


@pytest.fixture
async def app(settings: Settings, store: Store, now: datetime) -> AsyncIterator[Starlette]:
    accounts = connections(now)
    yield create_app(settings, store, Clock(now.isoformat()), providers=accounts)
    await accounts.close()


async def archive(api: Api, contract: dict[str, Any]) -> dict[str, Any]:
    return await build.change(api, "contractArchive(id: $id, voidInvoices: false)", "contract", id=contract["id"])


async def route(api: Api, contract: dict[str, Any], configuration_id: str | None) -> dict[str, Any]:
    return await build.change(api, ROUTE, "contract", id=contract["id"], configuration=configuration_id)


async def test_a_contract_has_calendar_months_and_a_day_of_grace_unless_said_otherwise(api: Api) -> None:
    customer, card = await build.customer(api), await build.rate_card(api, currency="EUR")
    made = await build.contract(api, customer["id"], card["id"])
    assert made == {
        "id": made["id"], "name": None, "status": "ACTIVE", "currency": "EUR", "revision": 1, "graceHours": 24,
        "priority": 100, "netPaymentTermsDays": None, "archivedAt": None, "interval": NOVEMBER,
        "statement": {"frequency": "MONTHLY", "day": "FIRST_OF_MONTH", "anchor": None, "generateFrom": None},
        "customer": {"id": customer["id"]}, "rateCard": {"id": card["id"]}, "billingConfiguration": None,
    }  # fmt: skip


async def test_everything_about_a_contract_can_be_chosen(api: Api) -> None:
    customer = await build.customer(api)
    chosen = await build.configuration(api, customer["id"], connection="us")
    made = await build.contract(
        api, customer["id"], name="Enterprise", currency="USD", graceHours=0, priority=1, netPaymentTermsDays=30,
        ending_before="2027-11-01T00:00:00+00:00", billingConfigurationId=chosen["id"],
        statement={"frequency": "QUARTERLY", "day": "CUSTOM_DATE", "anchor": "2026-09-10T00:00:00Z", "generateFrom": "2026-12-01T00:00:00Z"},
    )  # fmt: skip
    assert made["statement"] == {
        "frequency": "QUARTERLY", "day": "CUSTOM_DATE", "anchor": "2026-09-10T00:00:00Z",
        "generateFrom": "2026-12-01T00:00:00Z",
    }  # fmt: skip
    assert (made["name"], made["graceHours"], made["priority"], made["netPaymentTermsDays"]) == ("Enterprise", 0, 1, 30)
    assert made["billingConfiguration"] == {"id": chosen["id"]}
    assert made["interval"]["endingBefore"] == "2027-11-01T00:00:00Z"
    shown = await api(f"query ($id: ID!) {{ contract(id: $id) {{ {build.CONTRACT} }} }}", id=made["id"])
    assert shown["contract"] == made


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"customerId": f"cus_{NOWHERE}"}, "NOT_FOUND", ["customerId"]),
        ({"customerId": "nonsense"}, "INVALID", ["customerId"]),
        ({"rateCardId": f"rcd_{NOWHERE}"}, "NOT_FOUND", ["rateCardId"]),
        ({"rateCardId": None}, "REQUIRED", ["currency"]),
        ({"rateCardId": None, "currency": "XXQ"}, "INVALID", ["currency"]),
        ({"currency": "EUR"}, "CURRENCY_MISMATCH", ["currency"]),
        ({"name": ""}, "REQUIRED", ["name"]),
        ({"interval": build.interval("2026-11-01T00:00:01Z")}, "NOT_HOUR_ALIGNED", ["interval", "startingAt"]),
        ({"interval": build.interval("2026-11-01T00:00:00Z", "2026-12-01T00:59:00Z")}, "NOT_HOUR_ALIGNED", ["interval", "endingBefore"]),
        ({"interval": build.interval("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z")}, "INVALID_INTERVAL", ["interval", "endingBefore"]),
        ({"statement": {"frequency": "SEMI_ANNUAL"}}, "NOT_SUPPORTED", ["statement", "frequency"]),
        ({"statement": {"day": "CUSTOM_DATE"}}, "REQUIRED", ["statement", "anchor"]),
        ({"statement": {"anchor": "2026-11-01T00:00:00Z"}}, "INVALID", ["statement", "anchor"]),
        ({"statement": {"day": "CUSTOM_DATE", "anchor": "2026-11-01T00:30:00Z"}}, "NOT_HOUR_ALIGNED", ["statement", "anchor"]),
        ({"graceHours": -1}, "INVALID", ["graceHours"]),
        ({"graceHours": 2_161}, "INVALID", ["graceHours"]),
        ({"priority": -1}, "INVALID", ["priority"]),
        ({"netPaymentTermsDays": -1}, "INVALID", ["netPaymentTermsDays"]),
        ({"billingConfigurationId": f"bcf_{NOWHERE}"}, "NOT_FOUND", ["billingConfigurationId"]),
    ],
)  # fmt: skip
async def test_bad_contracts(api: Api, fields: dict[str, Any], code: str, path: list[str]) -> None:
    customer, card = await build.customer(api), await build.rate_card(api)
    sent = {"customerId": customer["id"], "rateCardId": card["id"], "interval": NOVEMBER, "uniquenessKey": "key"}
    error = await build.refusal(api, "contract", **(sent | fields))
    assert (error["code"], error["path"]) == (code, ["input", *path])
    assert (await api("{ contracts { totalCount } }"))["contracts"] == {"totalCount": 0}
    await build.contract(api, customer["id"], card["id"], uniquenessKey="key")


async def test_an_archived_card_takes_no_contract(api: Api) -> None:
    customer, card = await build.customer(api), await build.rate_card(api)
    await build.change(api, "rateCardArchive(id: $id)", "rateCard", id=card["id"])
    error = await build.refusal(api, "contract", customerId=customer["id"], rateCardId=card["id"], interval=NOVEMBER)
    assert (error["code"], error["path"], error["conflicting"]) == (
        "ARCHIVED",
        ["input", "rateCardId"],
        {"id": card["id"]},
    )


@pytest.mark.parametrize(
    ("second", "warned"),
    [
        (build.interval("2026-12-01T00:00:00Z"), True),
        (build.interval("2026-10-01T00:00:00Z", "2026-11-01T01:00:00Z"), True),
        (build.interval("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"), False),
        (build.interval("2027-01-01T00:00:00Z"), False),
    ],
)
async def test_contracts_that_bill_the_same_usage_are_told(api: Api, second: dict[str, Any], warned: bool) -> None:
    customer = await build.customer(api)
    tokens, seats = await build.product(api, "Tokens"), await build.product(api, "Seats")
    cards = [
        await build.rate_card(api, rates=[build.rate(tokens["id"])]),
        await build.rate_card(api, rates=[build.rate(tokens["id"], "2"), build.rate(seats["id"])]),
        await build.rate_card(api, rates=[build.rate(seats["id"]), build.rate(tokens["id"], entitled=False)]),
    ]
    first = await build.contract(api, customer["id"], cards[0]["id"], ending_before="2027-01-01T00:00:00Z")
    archived = await build.contract(api, customer["id"], cards[0]["id"], ending_before="2027-01-01T00:00:00Z")
    await archive(api, archived)
    sent = {"customerId": customer["id"], "interval": second}
    payload = await build.attempt(api, "contract", **sent, rateCardId=cards[2]["id"])
    assert payload["warnings"] == []
    await archive(api, payload["contract"])
    payload = await build.attempt(api, "contract", **sent, rateCardId=cards[1]["id"])
    expected = [f"Contract {first['id']} bills the same usage at the same time: Tokens."]
    assert payload["warnings"] == (expected if warned else [])
    other = await build.customer(api, "Other")
    payload = await build.attempt(api, "contract", **(sent | {"customerId": other["id"]}), rateCardId=cards[1]["id"])
    assert payload["warnings"] == []


async def test_one_customer_is_billed_at_two_places_by_contract(api: Api) -> None:
    customer = await build.customer(api)
    stripe = await build.configuration(api, customer["id"], connection="us", isDefault=True)
    azure = await build.configuration(api, customer["id"], provider="azure_marketplace", settings=AZURE)
    first = await build.contract(api, customer["id"])
    coming = {"starting_at": "2026-12-01T00:00:00Z", "billingConfigurationId": azure["id"]}
    second = await build.contract(api, customer["id"], **coming)
    assert (first["billingConfiguration"], second["billingConfiguration"]) == (None, {"id": azure["id"]})
    moved = (await route(api, second, stripe["id"]))["contract"]
    assert (moved["billingConfiguration"], moved["revision"]) == ({"id": stripe["id"]}, 2)
    left = (await route(api, second, None))["contract"]
    assert (left["billingConfiguration"], left["revision"]) == (None, 3)


async def test_a_route_must_be_the_customers_own_open_and_take_the_currency(api: Api) -> None:
    customer, euros = await build.customer(api), await build.rate_card(api, currency="EUR")
    azure = await build.configuration(api, customer["id"], provider="azure_marketplace", settings=AZURE)
    foreign = await build.configuration(api, connection="us")
    closed = await build.configuration(api, customer["id"], connection="us")
    await build.change(api, "billingConfigurationArchive(id: $id)", "billingConfiguration", id=closed["id"])
    contract = await build.contract(api, customer["id"], euros["id"])
    for configuration, code in (
        (azure, "CURRENCY_MISMATCH"),
        (foreign, "PROVIDER_NOT_CONFIGURED"),
        (closed, "ARCHIVED"),
        ({"id": f"bcf_{NOWHERE}"}, "NOT_FOUND"),
    ):
        [error] = (await route(api, contract, configuration["id"]))["userErrors"]
        assert (error["code"], error["path"]) == (code, ["billingConfigurationId"])
        error = await build.refusal(
            api, "contract", customerId=customer["id"], rateCardId=euros["id"], interval=NOVEMBER,
            billingConfigurationId=configuration["id"],
        )  # fmt: skip
        assert (error["code"], error["path"]) == (code, ["input", "billingConfigurationId"])


async def test_a_default_that_takes_no_euros_stops_a_contract_in_euros(api: Api) -> None:
    customer, euros = await build.customer(api), await build.rate_card(api, currency="EUR")
    await build.configuration(api, customer["id"], provider="azure_marketplace", settings=AZURE, isDefault=True)
    error = await build.refusal(api, "contract", customerId=customer["id"], rateCardId=euros["id"], interval=NOVEMBER)
    assert error["code"] == "CURRENCY_MISMATCH"
    assert "azure_marketplace" in error["message"]


async def test_a_configuration_in_use_is_not_archived(api: Api) -> None:
    customer = await build.customer(api)
    chosen = await build.configuration(api, customer["id"], connection="us")
    contract = await build.contract(api, customer["id"], billingConfigurationId=chosen["id"])
    close = "billingConfigurationArchive(id: $id)"
    [error] = (await build.change(api, close, "billingConfiguration", id=chosen["id"]))["userErrors"]
    assert (error["code"], error["conflicting"]) == ("ILLEGAL_TRANSITION", {"id": contract["id"]})
    await route(api, contract, None)
    assert (await build.change(api, close, "billingConfiguration", id=chosen["id"]))["userErrors"] == []


async def test_a_stale_revision_changes_nothing(api: Api) -> None:
    contract = await build.contract(api)
    call = "contractSetBillingConfiguration(id: $id, revision: $revision)"
    assert (await build.change(api, call, "contract", id=contract["id"], revision=1))["contract"]["revision"] == 2
    [error] = (await build.change(api, call, "contract", id=contract["id"], revision=1))["userErrors"]
    assert (error["code"], error["status"], error["path"]) == ("STALE_REVISION", 409, ["revision"])


async def test_an_archived_contract_is_hidden_and_takes_no_changes(api: Api) -> None:
    contract = await build.contract(api)
    archived = (await archive(api, contract))["contract"]
    assert (archived["status"], archived["archivedAt"], archived["revision"]) == ("ARCHIVED", "2026-11-02T12:00:00Z", 2)
    assert (await api("{ contracts { totalCount } }"))["contracts"]["totalCount"] == 0
    for payload in (await archive(api, contract), await route(api, contract, None)):
        assert [error["code"] for error in payload["userErrors"]] == ["ARCHIVED"]
    payload = await archive(api, {"id": f"con_{NOWHERE}"})
    assert [error["code"] for error in payload["userErrors"]] == ["NOT_FOUND"]


async def test_contracts_are_listed_by_state_and_instant(api: Api) -> None:
    customer, card = await build.customer(api), await build.rate_card(api)

    async def make(name: str, starting_at: str, ending_before: str | None = None) -> dict[str, Any]:
        return await build.contract(
            api, customer["id"], card["id"], name=name, starting_at=starting_at, ending_before=ending_before
        )

    await make("ended", "2026-01-01T00:00:00Z", "2026-11-02T12:00:00Z")
    await make("active", "2026-11-02T12:00:00Z")
    await make("upcoming", "2026-11-02T13:00:00Z")
    await archive(api, await make("archived", "2026-01-01T00:00:00Z"))
    await build.contract(api, (await build.customer(api, "Other"))["id"], card["id"], name="other")

    async def found(**filter: Any) -> list[tuple[str, str]]:
        nodes = (await api(LIST, filter={"customerId": customer["id"]} | filter))["contracts"]["nodes"]
        return [(node["name"], node["status"]) for node in nodes]

    assert await found() == [("upcoming", "UPCOMING"), ("active", "ACTIVE"), ("ended", "ENDED")]
    for status in ("UPCOMING", "ACTIVE", "ENDED", "ARCHIVED"):
        assert await found(status=[status]) == [(status.lower(), status)]
    assert await found(status=["ARCHIVED", "ENDED"]) == [("archived", "ARCHIVED"), ("ended", "ENDED")]
    assert await found(coveringAt="2026-11-02T11:59:59Z") == [("ended", "ENDED")]
    assert await found(coveringAt="2026-11-02T13:00:00Z") == [("upcoming", "UPCOMING"), ("active", "ACTIVE")]


async def test_fifty_at_once_with_one_key_make_one_contract(api: Api) -> None:
    customer, card = await build.customer(api), await build.rate_card(api)
    sent = {"customerId": customer["id"], "rateCardId": card["id"], "interval": NOVEMBER, "uniquenessKey": "key"}
    payloads = await asyncio.gather(*(build.attempt(api, "contract", **sent) for _ in range(50)))
    made = [payload["contract"]["id"] for payload in payloads if payload["contract"]]
    errors = [error for payload in payloads for error in payload["userErrors"]]
    assert len(made) == 1
    assert [(error["code"], error["conflicting"]["id"]) for error in errors] == [
        ("UNIQUENESS_KEY_CONFLICT", made[0])
    ] * 49


async def test_a_list_with_everything_around_it_costs_no_more_than_one_contract(api: Api, store: Store) -> None:
    product = await build.product(api)

    async def add(number: int) -> None:
        customer = await build.customer(api, f"Customer {number}", ingestAliases=[f"alias-{number}"])
        chosen = await build.configuration(api, customer["id"], connection="us")
        card = await build.rate_card(api, f"Card {number}", rates=[build.rate(product["id"])])
        await build.contract(api, customer["id"], card["id"], billingConfigurationId=chosen["id"])

    async def statements() -> int:
        with counted(store) as seen:
            await api(LIST)
        return len(seen)

    await add(0)
    one = await statements()
    for number in range(1, 7):
        await add(number)
    assert await statements() == one <= 14


async def test_every_mutation_leaves_one_audit_entry(api: Api) -> None:
    contract = await build.contract(api)
    await route(api, contract, None)
    await archive(api, contract)
    await archive(api, contract)
    found = await api(
        '{ auditLog(filter: {resourceType: ["contract"]}) { nodes { action outcome resourceId before after } } }'
    )
    entries = found["auditLog"]["nodes"][::-1]
    assert [(entry["action"], entry["resourceId"]) for entry in entries] == [
        ("contract.create", contract["id"]),
        ("contract.set_billing_configuration", contract["id"]),
        ("contract.archive", contract["id"]),
    ]
    assert entries[0]["after"]["customer"] == contract["customer"]["id"]
    assert (entries[2]["before"]["archivedAt"], entries[2]["after"]["archivedAt"]) == (None, "2026-11-02T12:00:00Z")
    refused = await api('{ auditLog(filter: {outcome: "refused"}) { nodes { action code } } }')
    assert refused["auditLog"]["nodes"] == [{"action": "contract.archive", "code": "ARCHIVED"}]


async def test_a_customers_own_token_sees_its_contracts_and_no_card(api: Api) -> None:
    mine, other = await build.contract(api), await build.contract(api)
    scopes = ("customers:read", "contracts:read", "catalog:read")
    token = await api.with_scopes(*scopes, customerId=mine["customer"]["id"])
    asked = "{ contracts { nodes { id rateCard { id } customer { contracts { nodes { id } } } } } }"
    assert (await token(asked))["contracts"]["nodes"] == [
        {"id": mine["id"], "rateCard": None, "customer": {"contracts": {"nodes": [{"id": mine["id"]}]}}}
    ]
    one = "query ($id: ID!) { contract(id: $id) { id } node(id: $id) { id } }"
    assert await token(one, id=mine["id"]) == {"contract": {"id": mine["id"]}, "node": {"id": mine["id"]}}
    assert await token(one, id=other["id"]) == {"contract": None, "node": None}
    narrow = await api.with_scopes("contracts:read")
    [error] = await narrow.errors("{ contracts(first: 1) { nodes { customer { id } } } }")
    assert error["extensions"]["requiredScope"] == "customers:read"
