"""Usage filters over GraphQL: shown as they follow each other, refused by rule, and known to the overlap warning."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

NOVEMBER = build.interval("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
FILTERS = "contract { id revision usageFilters { startingAt endingBefore key values } drafts { subtotal { amount } } }"
CREATE = f"""
mutation ($input: ContractCreateInput!) {{ contractCreate(input: $input) {{
  {FILTERS} warnings userErrors {{ code path message }} }} }}
"""
SET = f"""
mutation ($id: ID!, $input: UsageFilterInput!, $revision: Int) {{
  contractSetUsageFilter(id: $id, input: $input, revision: $revision) {{
  {FILTERS} warnings userErrors {{ code path message }} }} }}
"""
INGEST = "mutation ($events: [UsageEventInput!]!) { usageIngest(input: {events: $events}) { accepted } }"
EU, US = {"key": "region", "values": ["eu"]}, {"key": "region", "values": ["us", "ca"]}
FROM_SECOND = {"startingAt": "2026-11-02T00:00:00Z"}


class Deal:
    """Tokens at 1, which can be split by region and team, for one customer."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def made(self, **product: Any) -> Deal:
        self.metric = await build.metric(self.api, groupKeys=[["region"], ["team", "region"], ["zone"]])
        self.tokens = await build.product(self.api, metric_id=self.metric["id"], **product)
        self.card = await build.rate_card(self.api, rates=[build.rate(self.tokens["id"])])
        self.customer = await build.customer(self.api)
        return self

    async def sign(self, *filters: dict[str, Any], **fields: Any) -> dict[str, Any]:
        whole = {"customerId": self.customer["id"], "rateCardId": self.card["id"], "usageFilters": list(filters)}
        return (await self.api(CREATE, input={"interval": NOVEMBER, **whole, **fields}))["contractCreate"]

    async def change(self, contract: dict[str, Any], new: dict[str, Any], **more: Any) -> dict[str, Any]:
        return (await self.api(SET, id=contract["id"], input=new, **more))["contractSetUsageFilter"]

    async def use(self, *usage: tuple[str, str, str]) -> None:
        events = [
            {"transactionId": f"t{place}", "customerId": self.customer["id"], "eventType": "call", "timestamp": at,
             "properties": {"region": region, "n": n}}
            for place, (at, region, n) in enumerate(usage)
        ]  # fmt: skip
        assert (await self.api(INGEST, events=events))["usageIngest"] == {"accepted": len(events)}


@pytest.fixture
async def deal(api: Api) -> Deal:
    return await Deal(api).made()


async def test_filters_are_shown_as_they_follow_each_other_and_decide_what_drafts_bill(deal: Deal) -> None:
    await deal.use(
        ("2026-11-01T10:00:00Z", "eu", "5"), ("2026-11-01T10:00:00Z", "us", "50"),
        ("2026-11-02T10:00:00Z", "us", "7"), ("2026-11-02T10:00:00Z", "eu", "50"),
    )  # fmt: skip
    made = await deal.sign(EU, {**US, **FROM_SECOND})
    assert made["userErrors"] == []
    assert made["contract"]["usageFilters"] == [
        {"startingAt": "2026-11-01T00:00:00Z", "endingBefore": "2026-11-02T00:00:00Z", **EU},
        {"startingAt": "2026-11-02T00:00:00Z", "endingBefore": None, **US},
    ]
    assert made["contract"]["drafts"] == [{"subtotal": {"amount": "12"}}]

    # A filter at the same hour goes over the one before it, and a past one reaches the draft.
    changed = await deal.change(made["contract"], {**EU, **FROM_SECOND}, revision=1)
    assert changed["userErrors"] == []
    assert changed["contract"]["revision"] == 2
    assert [item["values"] for item in changed["contract"]["usageFilters"]] == [["eu"], ["eu"]]
    assert changed["contract"]["drafts"] == [{"subtotal": {"amount": "55"}}]


async def test_a_contract_without_filters_takes_all(deal: Deal) -> None:
    await deal.use(("2026-11-01T10:00:00Z", "eu", "5"), ("2026-11-01T10:00:00Z", "us", "50"))
    made = await deal.sign()
    assert made["contract"]["usageFilters"] == []
    assert made["contract"]["drafts"] == [{"subtotal": {"amount": "55"}}]


REFUSED: list[tuple[dict[str, Any], str, list[str]]] = [
    ({**EU, "values": []}, "REQUIRED", ["values"]),
    ({**EU, "values": ["eu", "eu"]}, "INVALID", ["values"]),
    ({**EU, "values": [""]}, "REQUIRED", ["values"]),
    ({**EU, "values": [str(number) for number in range(201)]}, "LIMIT_EXCEEDED", ["values"]),
    ({**EU, "key": ""}, "REQUIRED", ["key"]),
    ({**EU, "key": "cloud"}, "INVALID", ["key"]),
    ({**EU, "startingAt": "2026-11-02T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
    ({**EU, "startingAt": "2026-10-31T23:00:00Z"}, "INVALID_INTERVAL", ["startingAt"]),
    ({**EU, "startingAt": "2026-12-01T00:00:00Z"}, "INVALID_INTERVAL", ["startingAt"]),
]


@pytest.mark.parametrize(("fields", "code", "path"), REFUSED)
async def test_filters_that_are_refused(deal: Deal, fields: dict[str, Any], code: str, path: list[str]) -> None:
    refused = await deal.sign(EU, fields)
    [error] = refused["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", "usageFilters", "1", *path]), error["message"]
    assert await deal.api("{ contracts { nodes { id } } }") == {"contracts": {"nodes": []}}
    made = await deal.sign(EU)
    changed = await deal.change(made["contract"], fields)
    [error] = changed["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", *path]), error["message"]
    listed = await deal.api("{ contracts { nodes { revision usageFilters { key } } } }")
    assert listed["contracts"]["nodes"] == [{"revision": 1, "usageFilters": [{"key": "region"}]}]


async def test_the_property_stands_in_one_group_key_with_those_of_the_product(api: Api) -> None:
    split = await Deal(api).made(presentationGroupKey=["team"])
    assert (await split.sign(EU))["userErrors"] == []
    apart = await split.sign({"key": "zone", "values": ["a"]})
    assert [(error["code"], error["path"][-1]) for error in apart["userErrors"]] == [("INVALID", "key")]


async def test_a_metric_that_a_product_changes_to_counts_too(deal: Deal) -> None:
    other = await build.metric(deal.api, "seconds")
    version = {"startingAt": "2026-11-10T00:00:00Z", "metricId": other["id"]}
    answer = await deal.api(
        "mutation ($id: ID!, $input: ProductVersionInput!) "
        "{ productAddVersion(id: $id, input: $input) { userErrors { code } } }",
        id=deal.tokens["id"], input=version,
    )  # fmt: skip
    assert answer["productAddVersion"]["userErrors"] == []
    [error] = (await deal.sign(EU))["userErrors"]
    assert "'seconds'" in error["message"]


async def test_too_many_changes(deal: Deal) -> None:
    refused = await deal.sign(*[EU] * 101)
    assert [error["code"] for error in refused["userErrors"]] == ["LIMIT_EXCEEDED"]
    full = await deal.sign(*[EU] * 100)
    [error] = (await deal.change(full["contract"], EU))["userErrors"]
    assert (error["code"], error["path"]) == ("LIMIT_EXCEEDED", ["id"])


async def test_another_revision_and_archived_contracts_are_refused(deal: Deal) -> None:
    contract = (await deal.sign(EU))["contract"]
    stale = await deal.change(contract, US, revision=7)
    assert [error["code"] for error in stale["userErrors"]] == ["STALE_REVISION"]
    await build.change(deal.api, "contractArchive(id: $id, voidInvoices: false)", "contract", id=contract["id"])
    late = await deal.change(contract, US)
    assert [error["code"] for error in late["userErrors"]] == ["ARCHIVED"]


async def test_filters_that_keep_contracts_apart_silence_the_warning(deal: Deal) -> None:
    first = await deal.sign(EU)
    second = await deal.sign(US)
    assert first["warnings"] == second["warnings"] == []
    # From the tenth on both take the other side of the ocean.
    changed = await deal.change(first["contract"], {**US, "startingAt": "2026-11-10T00:00:00Z"})
    assert [second["contract"]["id"] in warning for warning in changed["warnings"]] == [True]
    third = await deal.sign()
    assert len(third["warnings"]) == 2
