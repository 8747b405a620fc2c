"""Composite products of the whole customer over GraphQL: drafts, final statements of other contracts, who bills."""

from __future__ import annotations

from typing import Any

from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_breakdowns import all_windows
from tests.api.test_composites import percentage
from tests.api.test_invoice_voids import PREVIEW, regenerate, void
from tests.api.test_invoices import drafts_of, finalized
from tests.api.test_usage_ingest import event, ingest

OCTOBER = "2026-10-05T10:00:00Z"


async def two_contracts(api: Api, *, same_card: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Calls at 1 with a surcharge of ten per cent on everything tagged core, and data at 2; ten of each in October."""
    calls = await build.product(api, "Calls", tags=["core"])
    data = await build.product(api, "Data", tags=["core"])
    whole = {"tags": ["core"], "scope": "CUSTOMER"}
    made = await build.attempt(api, "product", name="Surcharge", type="COMPOSITE", composite=whole)
    fee = percentage(made["product"], {"percentage": "0.1"})
    first = await build.rate_card(api, rates=[build.rate(calls["id"], "1"), fee])
    second = await build.rate_card(api, rates=[build.rate(data["id"], "2"), *([fee] if same_card else [])])
    customer = await build.customer(api, ingestAliases=["acme"])
    one, two = [
        await build.contract(api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z", **terms)
        for card, terms in ((first, {}), (second, {"priority": 1} if same_card else {}))
    ]
    await ingest(api, event("1", timestamp=OCTOBER, properties={"n": "10"}))
    return one, two


async def october(api: Api, contract: dict[str, Any]) -> dict[str, Any]:
    return (await drafts_of(api, contract=contract["id"]))[0]


def shown(invoice: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(line["productName"], line["quantity"], line["amount"]["amount"]) for line in invoice["lines"]["nodes"]]


async def test_the_base_is_that_of_all_contracts_as_drafts_and_as_final_statements(api: Api) -> None:
    one, two = await two_contracts(api)
    assert shown(await october(api, one)) == [("Calls", "10", "10"), ("Surcharge", "30", "3")]
    data = await finalized(api, (await october(api, two))["id"])
    assert data["total"]["amount"] == "20"
    await ingest(api, event("late for data", timestamp=OCTOBER, properties={"n": "5"}))
    draft = await october(api, one)
    assert shown(draft) == [("Calls", "15", "15"), ("Surcharge", "35", "3.5")], "data counts as it was billed"
    for size in ("HOUR", "DAY"):
        total, windows = await all_windows(api, draft["id"], size)
        assert sum(float(window["total"]["amount"]) for window in windows) == float(total) == 18.5
    final = await finalized(api, draft["id"])
    assert final["total"]["amount"] == "18.5"
    await void(api, data["id"])
    answer = await api(PREVIEW, id=final["id"])
    assert answer["invoiceRegeneratePreview"]["totalAfter"]["amount"] == "16.5", "what is void was not charged"
    await regenerate(api, data["id"])
    answer = await api(PREVIEW, id=final["id"])
    assert answer["invoiceRegeneratePreview"]["totalAfter"]["amount"] == "19.5", "made again, with the late usage"
    total, windows = await all_windows(api, final["id"], "DAY")
    assert float(total) == sum(float(window["total"]["amount"]) for window in windows) == 18.5, "as it was frozen"


async def test_of_several_contracts_that_are_entitled_one_bills(api: Api) -> None:
    one, two = await two_contracts(api, same_card=True)
    assert shown(await october(api, one)) == [("Calls", "10", "10")]
    assert shown(await october(api, two)) == [("Data", "10", "20"), ("Surcharge", "30", "3")]
    first = await october(api, one)
    await finalized(api, (await october(api, two))["id"])
    assert shown(await finalized(api, first["id"])) == [("Calls", "10", "10")]


async def test_the_scope_is_shown_and_changes_by_version(api: Api) -> None:
    product = (await build.attempt(api, "product", name="Fee", type="COMPOSITE", composite={"tags": ["core"]}))[
        "product"
    ]
    add = "mutation ($id: ID!, $input: ProductVersionInput!) { productAddVersion(id: $id, input: $input) { userErrors { code path } } }"
    for fields, errors in (
        ({"composite": {"tags": ["core", "gpu"], "scope": "CUSTOMER"}}, []),
        ({"composite": {"tags": ["a", "a"]}}, [{"code": "INVALID", "path": ["input", "composite", "tags"]}]),
        ({"pricingGroupKey": ["region"]}, [{"code": "INVALID", "path": ["id"]}]),
    ):
        answer = await api(add, id=product["id"], input={"startingAt": "2026-11-01T00:00:00Z", **fields})
        assert answer["productAddVersion"]["userErrors"] == errors
    document = "query ($id: ID!) { product(id: $id) { initial { composite { tags scope } } current { composite { tags scope } } } }"
    assert (await api(document, id=product["id"]))["product"] == {
        "initial": {"composite": {"tags": ["core"], "scope": "CONTRACT"}},
        "current": {"composite": {"tags": ["core", "gpu"], "scope": "CUSTOMER"}},
    }
