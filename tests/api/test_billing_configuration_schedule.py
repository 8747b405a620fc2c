"""The provider of a contract over time, through the API: segments, history and past, and every refusal with its remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
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
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_contracts import archive, route

SCHEDULE = """billingConfiguration { id } billingConfigurationSchedule {
  interval { startingAt endingBefore } followsDefault billingConfiguration { id } }"""
EDIT = f"""mutation ($id: ID!, $input: ContractEditInput!) {{ contractEdit(id: $id, input: $input) {{
  contract {{ revision {SCHEDULE} }} edit {{ changes {{ kind before after }} }}
  userErrors {{ code path message conflicting {{ id }} }} }} }}"""
NOVEMBER, DECEMBER, JANUARY, FEBRUARY = (
    f"{month}-01T00:00:00Z" for month in ("2026-11", "2026-12", "2027-01", "2027-02")
)


At = Callable[[str], Api]


@pytest.fixture
async def at(settings: Settings, store: Store, now: datetime) -> AsyncIterator[At]:
    """The same deployment at an instant."""
    accounts = connections(now)
    yield lambda instant: Api(create_app(settings, store, Clock(instant), providers=accounts))
    await accounts.close()


@pytest.fixture
def app(at: At, now: datetime) -> Starlette:
    return at(now.isoformat()).app


async def update(api: Api, contract: dict[str, Any], chosen: str | None, period: str = "NEXT") -> dict[str, Any]:
    asked = {"billingConfigurationId": chosen, "effectiveAt": f"START_OF_{period}_PERIOD"}
    return (await api(EDIT, id=contract["id"], input={"addBillingConfigurationUpdate": asked}))["contractEdit"]


def segments(payload: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    assert payload["userErrors"] == []
    found = payload["contract"]["billingConfigurationSchedule"]
    assert all(item["followsDefault"] is (item["billingConfiguration"] is None) for item in found)
    return [
        (
            item["interval"]["startingAt"],
            item["interval"]["endingBefore"],
            (item["billingConfiguration"] or {}).get("id"),
        )
        for item in found
    ]


async def test_a_contract_shows_where_its_invoices_go_over_time(api: Api, at: At, store: Store, now: datetime) -> None:
    customer = (await build.customer(api))["id"]
    us, eu = [(await build.configuration(api, customer, connection=name))["id"] for name in ("us", "eu")]
    azure = (await build.configuration(api, customer, provider="azure_marketplace", settings=AZURE))["id"]
    contract = await build.contract(api, customer, billingConfigurationId=us)
    await update(api, contract, eu)
    payload = await update(api, contract, azure)
    assert segments(payload) == [(NOVEMBER, DECEMBER, us), (DECEMBER, None, azure)], "the same bound is replaced"
    assert payload["contract"]["billingConfiguration"] == {"id": us}
    [change] = [item for item in payload["edit"]["changes"] if item["kind"] == "billing_configuration_update"]
    assert (change["before"], change["after"]) == ({"billingConfigurationId": eu}, {"billingConfigurationId": azure})
    assert segments(await update(api, contract, None, "CURRENT")) == [
        (NOVEMBER, DECEMBER, None),
        (DECEMBER, None, azure),
    ]
    later = at("2026-12-15T00:00:00Z")
    assert segments(await update(later, contract, eu)) == [
        (NOVEMBER, DECEMBER, None), (DECEMBER, JANUARY, azure), (JANUARY, None, eu),
    ]  # fmt: skip
    past = (
        f"""query ($id: ID!, $at: DateTime!) {{ contract(id: $id) {{ {SCHEDULE} asOf(at: $at) {{ {SCHEDULE} }} }} }}"""
    )
    found = (await later(past, id=contract["id"], at="2026-11-30T00:00:00Z"))["contract"]
    assert found["billingConfiguration"] == {"id": azure}
    before = {"contract": found["asOf"], "userErrors": []}
    assert segments(before) == [(NOVEMBER, DECEMBER, None), (DECEMBER, None, azure)]
    await assert_sound(store, now)


async def test_what_is_refused_names_a_remedy(api: Api, store: Store, now: datetime) -> None:
    customer = (await build.customer(api))["id"]
    us = (await build.configuration(api, customer, connection="us"))["id"]
    gone = (await build.configuration(api, customer, connection="eu"))["id"]
    await build.change(api, "billingConfigurationArchive(id: $id)", "billingConfiguration", id=gone)
    azure = (await build.configuration(api, customer, provider="azure_marketplace", settings=AZURE))["id"]
    strange = (await build.configuration(api, (await build.customer(api, "Other"))["id"], connection="us"))["id"]
    contract = await build.contract(api, customer, billingConfigurationId=us)
    metered = await build.contract(api, customer, billingConfigurationId=azure)
    euros = await build.contract(api, customer, (await build.rate_card(api, currency="EUR"))["id"])
    ending = await build.contract(api, customer, ending_before=DECEMBER, billingConfigurationId=us)
    over = await build.contract(api, customer, starting_at="2026-10-01T00:00:00Z", ending_before=NOVEMBER)
    archived = await build.contract(api, customer)
    await archive(api, archived)
    hierarchy = {"parent": {"customerId": customer, "contractId": contract["id"]}, "payer": "PARENT"}
    child = await build.contract(api, customer, hierarchy=hierarchy)
    start = ["input", "addBillingConfigurationUpdate"]
    for refused, chosen, period, code, path, words in (
        (contract, strange, "NEXT", "PROVIDER_NOT_CONFIGURED", "billingConfigurationId", "another customer"),
        (contract, gone, "NEXT", "ARCHIVED", "billingConfigurationId", "archived"),
        (contract, f"bcf_{'0' * 32}", "NEXT", "NOT_FOUND", "billingConfigurationId", ""),
        (contract, "nonsense", "NEXT", "INVALID", "billingConfigurationId", ""),
        (contract, azure, "NEXT", "NOT_SUPPORTED", "billingConfigurationId", "such as stripe"),
        (metered, us, "CURRENT", "ILLEGAL_TRANSITION", "effectiveAt", "START_OF_NEXT_PERIOD"),
        (euros, azure, "NEXT", "CURRENCY_MISMATCH", "billingConfigurationId", "choose another"),
        (ending, us, "NEXT", "INVALID_INTERVAL", "effectiveAt", "end later"),
        (over, us, "CURRENT", "INVALID_INTERVAL", "effectiveAt", "end later"),
        (child, None, "NEXT", "INVALID", None, "The parent pays"),
    ):
        payload = await update(api, refused, chosen, period)
        [error] = payload["userErrors"]
        assert (error["code"], error["path"]) == (code, start + ([path] if path else []))
        assert words in error["message"]
    [error] = (await update(api, archived, us))["userErrors"]
    assert error["code"] == "ARCHIVED"
    assert segments(await update(api, ending, None, "CURRENT")) == [(NOVEMBER, DECEMBER, None)]
    refused = await build.refusal(
        api,
        "billingConfiguration",
        customerId=customer,
        provider="azure_marketplace",
        settings=build.pairs(AZURE),
        isDefault=True,
    )
    assert (refused["code"], refused["path"]) == ("CURRENCY_MISMATCH", ["input", "isDefault"])
    assert refused["conflicting"] == {"id": euros["id"]}
    # What changes over time is not set for all of it at once, and what is planned is not archived.
    assert segments(await update(api, metered, us)) == [(NOVEMBER, DECEMBER, azure), (DECEMBER, None, us)]
    [error] = (await route(api, metered, None))["userErrors"]
    assert (error["code"], error["path"]) == ("ILLEGAL_TRANSITION", ["billingConfigurationId"])
    for named in (azure, us):
        payload = await build.change(api, "billingConfigurationArchive(id: $id)", "billingConfiguration", id=named)
        [error] = payload["userErrors"]
        assert error["code"] == "ILLEGAL_TRANSITION"
    await assert_sound(store, now)


async def test_a_contract_has_ten_segments_at_most(api: Api, at: At) -> None:
    customer = (await build.customer(api))["id"]
    us, eu = [(await build.configuration(api, customer, connection=name))["id"] for name in ("us", "eu")]
    contract = await build.contract(api, customer, statement={"frequency": "WEEKLY"}, billingConfigurationId=us)
    for month in range(1, 10):
        payload = await update(at(f"2027-{month:02}-20T00:00:00Z"), contract, (us, eu)[month % 2])
    assert len(segments(payload)) == 10
    last = at("2027-09-20T00:00:00Z")
    assert len(segments(await update(last, contract, None))) == 10, "the bound of the ninth, said anew"
    [error] = (await update(at("2027-10-20T00:00:00Z"), contract, us))["userErrors"]
    assert (error["code"], error["path"]) == ("LIMIT_EXCEEDED", ["input", "addBillingConfigurationUpdate"])


async def test_thresholds_keep_a_contract_from_a_marketplace(api: Api) -> None:
    customer = (await build.customer(api))["id"]
    azure = (await build.configuration(api, customer, provider="azure_marketplace", settings=AZURE))["id"]
    contract = await build.contract(api, customer)
    made = await api(
        """mutation { productCreate(input: {name: "Fee", type: FIXED}) { product { id } userErrors { code } } }"""
    )
    fee = made["productCreate"]["product"]["id"]
    answer = await api(
        """mutation ($id: ID!, $input: ThresholdInput!) { contractSetThreshold(id: $id, input: $input) {
        userErrors { code } } }""", id=contract["id"], input={"kind": "SPEND", "amount": "9", "productId": fee},
    )  # fmt: skip
    assert answer["contractSetThreshold"]["userErrors"] == []
    [error] = (await update(api, contract, azure))["userErrors"]
    assert (error["code"], "remove the contract's thresholds" in error["message"]) == ("ILLEGAL_TRANSITION", True)
