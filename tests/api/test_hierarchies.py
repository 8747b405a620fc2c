"""Hierarchies of contracts through the API: children under a parent, who pays, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from app.store.engine import Store
from tests import builders as build
from tests.api import accounts
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_contract_end import ARCHIVE
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_usage_ingest import event, ingest

__all__ = ["app"]

OCTOBER = "2026-10-01T00:00:00Z"
HIERARCHY = """
query ($id: ID!) { contract(id: $id) {
  hierarchy { payer usageStatementBehavior invoiceConsolidationType parent { id customer { id } } }
  children { totalCount nodes { id } } } }
"""
PAYER = "query ($id: ID!) { invoice(id: $id) { payer { customerId contractId } billingConfiguration { id } } }"
AS_OF = (
    """query ($id: ID!, $at: DateTime!) { contract(id: $id) { asOf(at: $at) { hierarchy { payer parent { id } } } } }"""
)
LIFETIME = "query ($id: ID!) { customer(id: $id) { lifetimeBillings { amount } } }"
SET = """mutation ($id: ID!, $configuration: ID) { contractSetBillingConfiguration(id: $id, billingConfigurationId: $configuration) {
  contract { id } userErrors { code path conflicting { id } } } }"""


async def group(api: Api, **parent: Any) -> dict[str, Any]:
    """A card at 0.10 a token, and a parent contract since October whose customer has a Stripe configuration."""
    product = await build.product(api)
    card = await build.rate_card(api, rates=[build.rate(product["id"], "0.10")])
    owner = await build.customer(api, "Group", ingestAliases=["group"])
    route = await build.configuration(api, owner["id"], connection="us")
    made = await build.contract(
        api, owner["id"], card["id"], starting_at=OCTOBER,
        **{"billingConfigurationId": route["id"], "hierarchy": {"invoiceConsolidationType": "CONCATENATE"}, **parent},
    )  # fmt: skip
    return {"product": product, "card": card, "customer": owner, "route": route, "contract": made}


def under(made: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The place of a child under a group's parent."""
    return {"parent": {"customerId": made["customer"]["id"], "contractId": made["contract"]["id"]}, **more}


async def child(api: Api, made: dict[str, Any], name: str = "branch", **fields: Any) -> dict[str, Any]:
    """A child since October, of a customer of its own."""
    hierarchy = under(made, **fields.pop("hierarchy", {}))
    customer = await build.customer(api, name, ingestAliases=[name])
    contract = await build.contract(
        api, customer["id"], made["card"]["id"], starting_at=fields.pop("starting_at", OCTOBER), hierarchy=hierarchy,
        **fields,
    )  # fmt: skip
    return contract | {"customer": customer}


async def test_a_child_and_its_parent_know_each_other(api: Api) -> None:
    made = await group(api)
    parent = made["contract"]["id"]
    first = await child(api, made, hierarchy={"payer": "PARENT", "usageStatementBehavior": "CONSOLIDATE"})
    second = await child(api, made, "other")
    assert (await api(HIERARCHY, id=parent))["contract"] == {
        "hierarchy": {
            "payer": None, "usageStatementBehavior": None, "invoiceConsolidationType": "CONCATENATE", "parent": None,
        },
        "children": {"totalCount": 2, "nodes": [{"id": first["id"]}, {"id": second["id"]}]},
    }  # fmt: skip
    above = {"id": parent, "customer": {"id": made["customer"]["id"]}}
    assert (await api(HIERARCHY, id=first["id"]))["contract"] == {
        "hierarchy": {
            "payer": "PARENT", "usageStatementBehavior": "CONSOLIDATE", "invoiceConsolidationType": None, "parent": above,
        },
        "children": {"totalCount": 0, "nodes": []},
    }  # fmt: skip
    shown = (await api(HIERARCHY, id=second["id"]))["contract"]["hierarchy"]
    assert (shown["payer"], shown["usageStatementBehavior"]) == ("SELF", "SEPARATE")
    past = (await api(AS_OF, id=first["id"], at="2026-11-02T12:00:00Z"))["contract"]
    assert past["asOf"]["hierarchy"] == {"payer": "PARENT", "parent": {"id": parent}}
    branch = await api.with_scopes("contracts:read", customerId=first["customer"]["id"])
    seen = (await branch(HIERARCHY, id=first["id"]))["contract"]
    assert (seen["hierarchy"]["payer"], seen["hierarchy"]["parent"]) == ("PARENT", None)
    owner = await api.with_scopes("contracts:read", customerId=made["customer"]["id"])
    assert (await owner(HIERARCHY, id=parent))["contract"]["children"] == {"totalCount": 0, "nodes": []}


async def test_what_does_not_fit_is_refused_with_the_remedy(api: Api) -> None:
    made = await group(api)
    plain = await build.contract(api, made["customer"]["id"], made["card"]["id"], starting_at=OCTOBER)
    leaf = await child(api, made)
    euros = await build.rate_card(api, "Euro", currency="EUR")
    customer, card = leaf["customer"]["id"], made["card"]["id"]
    ended = await build.contract(
        api, made["customer"]["id"], card, starting_at=OCTOBER, ending_before="2026-10-20T00:00:00Z"
    )
    gone = await build.contract(api, made["customer"]["id"], card, starting_at=OCTOBER)
    await api(ARCHIVE, id=gone["id"], void=False)

    def named(contract: dict[str, Any], owner: str = made["customer"]["id"], **more: Any) -> dict[str, Any]:
        return {"parent": {"customerId": owner, "contractId": contract["id"]}, **more}

    together = {"payer": "PARENT", "usageStatementBehavior": "CONSOLIDATE"}
    parent = ["input", "hierarchy", "parent", "contractId"]
    statements = ["input", "hierarchy", "usageStatementBehavior"]
    cases: list[tuple[dict[str, Any], dict[str, Any], str, list[str], str]] = [
        ({}, {}, "REQUIRED", ["input", "hierarchy"], "Name the parent"),
        ({"payer": "SELF"}, {}, "REQUIRED", ["input", "hierarchy", "parent"], "name its parent"),
        (named(plain, invoiceConsolidationType="NONE"), {}, "INVALID", [*parent[:2], "invoiceConsolidationType"], "one level"),
        (named(plain, owner=customer), {}, "NOT_FOUND", parent, "does not exist"),
        (named(leaf, owner=customer), {}, "INVALID", parent, "Name that parent"),
        (named(gone), {}, "ARCHIVED", parent, "takes no children"),
        (named(ended), {}, "INVALID_INTERVAL", ["input", "interval", "startingAt"], "before the child"),
        (under(made, usageStatementBehavior="CONSOLIDATE"), {}, "INVALID", statements, "payer be PARENT"),
        (named(plain, **together), {}, "INVALID", statements, "write SEPARATE"),
        (under(made, **together), {"rateCardId": euros["id"]}, "CURRENCY_MISMATCH", statements, "one currency"),
        (
            under(made, payer="PARENT"), {"billingConfigurationId": made["route"]["id"]}, "INVALID",
            ["input", "billingConfigurationId"], "payer be SELF",
        ),
    ]  # fmt: skip
    for place, more, code, path, words in cases:
        fields = {"customerId": customer, "rateCardId": card, "interval": build.interval("2026-11-01T00:00:00Z")}
        error = await build.refusal(api, "contract", **{**fields, "hierarchy": place, **more})
        assert (error["code"], error["path"]) == (code, path), error
        assert words in error["message"], error
    refused = (await api(ARCHIVE, id=made["contract"]["id"], void=False))["contractArchive"]["userErrors"]
    assert [(error["code"], error["conflicting"]) for error in refused] == [("ILLEGAL_TRANSITION", {"id": leaf["id"]})]


async def test_a_hierarchy_is_not_billed_through_a_marketplace(api: Api) -> None:
    made = await group(api)
    market = {"provider": "azure_marketplace", "settings": accounts.AZURE}
    await child(api, made, "branch")
    azure = await build.configuration(api, made["customer"]["id"], **market)
    refused = (await api(SET, id=made["contract"]["id"], configuration=azure["id"]))["contractSetBillingConfiguration"]
    assert [error["code"] for error in refused["userErrors"]] == ["NOT_SUPPORTED"]
    sold = await build.customer(api, "Sold", ingestAliases=["sold"])
    route = await build.configuration(api, sold["id"], **market)
    parent = await build.contract(
        api, sold["id"], made["card"]["id"], starting_at=OCTOBER, billingConfigurationId=route["id"]
    )
    place = {"customerId": sold["id"], "rateCardId": made["card"]["id"], "interval": build.interval(OCTOBER)}
    above = {"parent": {"customerId": sold["id"], "contractId": parent["id"]}}
    error = await build.refusal(api, "contract", **place, hierarchy=above)
    assert (error["code"], error["conflicting"]) == ("NOT_SUPPORTED", {"id": parent["id"]})
    error = await build.refusal(api, "contract", **place, hierarchy=under(made), billingConfigurationId=route["id"])
    assert (error["code"], error["path"]) == ("NOT_SUPPORTED", ["input", "billingConfigurationId"])
    leaf = await child(api, made, "self")
    error = await build.refusal(
        api, "billingConfiguration", customerId=leaf["customer"]["id"], provider="azure_marketplace",
        settings=build.pairs(accounts.AZURE), isDefault=True,
    )  # fmt: skip
    assert (error["code"], error["conflicting"]) == ("NOT_SUPPORTED", {"id": leaf["id"]})


async def test_twelve_at_once_make_ten_children(api: Api) -> None:
    made = await group(api)
    customer = await build.customer(api, "Many")
    place = {
        "customerId": customer["id"], "rateCardId": made["card"]["id"], "interval": build.interval(OCTOBER),
        "hierarchy": under(made),
    }  # fmt: skip
    answers = await asyncio.gather(*(build.attempt(api, "contract", **place) for _ in range(12)))
    refused = [error["code"] for answer in answers for error in answer["userErrors"]]
    assert refused == ["LIMIT_EXCEEDED"] * 2
    first = next(answer["contract"]["id"] for answer in answers if answer["contract"])
    later = {**place, "interval": build.interval("2026-11-01T00:00:00Z")}
    renewed = await build.attempt(api, "contract", **later, transition={"fromContractId": first, "type": "RENEWAL"})
    assert renewed["userErrors"] == [], "it comes in the place of the one that it follows"


async def test_a_parent_pays(api: Api, store: Store, now: datetime) -> None:
    """Usage and charges of the child go where the parent is billed, and count as the parent's billings."""
    made = await group(api)
    paid = await child(api, made, "branch", hierarchy={"payer": "PARENT"})
    own = await child(api, made, "alone")
    await ingest(
        api,
        event("1", customerId="branch", timestamp="2026-10-05T10:00:00Z", properties={"n": "30"}),
        event("2", customerId="alone", timestamp="2026-10-05T10:00:00Z", properties={"n": "50"}),
    )
    parent = {"customerId": made["customer"]["id"], "contractId": made["contract"]["id"]}
    itself = {"customerId": own["customer"]["id"], "contractId": own["id"]}
    for contract, payer, route in ((paid, parent, {"id": made["route"]["id"]}), (own, itself, None)):
        [october, _] = await drafts_of(api, contract=contract["id"])
        assert (await api(PAYER, id=october["id"]))["invoice"] == {"payer": payer, "billingConfiguration": None}
        await finalized(api, october["id"])
        assert (await api(PAYER, id=october["id"]))["invoice"] == {"payer": payer, "billingConfiguration": route}
        reader = await api.with_scopes("invoices:read", "customers:read", customerId=contract["customer"]["id"])
        seen = (await reader(PAYER, id=october["id"]))["invoice"]["payer"]
        assert seen == (None if contract is paid else payer)
    totals = [
        (await api(LIFETIME, id=one["customer"]["id"]))["customer"]["lifetimeBillings"] for one in (made, paid, own)
    ]
    assert totals == [[{"amount": "3"}], [], [{"amount": "5"}]]
    await assert_sound(store, now)
