"""How far events have come: pending in a draft, billable once it is final, reversed or taken back."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api
from tests.api.test_outcome_reversals import made, order, reverse
from tests.api.test_usage_ingest import event, ingest
from tests.api.test_usage_voids import void

__all__ = ["made"]

STANDING = "query ($ids: [String!]!) { usageEvents(transactionIds: $ids) { nodes { transactionId standing { state until } } } }"
DRAFTS = "query ($id: ID!) { drafts(contractId: $id) { id servicePeriod { startingAt } } }"
FINALIZE = "mutation ($id: ID!) { invoiceFinalize(id: $id) { userErrors { code } } }"
OCTOBER_IS_DUE, NOVEMBER_IS_DUE = "2026-11-02T00:00:00Z", "2026-12-02T00:00:00Z"


async def standing(api: Api, *ids: str) -> dict[str, tuple[str, str | None]]:
    found = (await api(STANDING, ids=list(ids)))["usageEvents"]["nodes"]
    return {item["transactionId"]: (item["standing"]["state"], item["standing"]["until"]) for item in found}


async def test_an_outcome_is_pending_then_billable_then_reversed(api: Api, made: dict[str, Any]) -> None:
    """October is final from now on; what came before the contract, or is nobody's, waits for nobody."""
    await ingest(api, order("n1", "100", "11-01"), order("early", "1", "09-30"), event("stranger", customerId="nobody"))
    assert await standing(api, "o1", "n1", "early", "stranger") == {
        "o1": ("PENDING", OCTOBER_IS_DUE), "n1": ("PENDING", NOVEMBER_IS_DUE), "early": ("UNCLAIMED", None),
        "stranger": ("UNCLAIMED", None),
    }  # fmt: skip
    [october, _] = (await api(DRAFTS, id=made["contract"]["id"]))["drafts"]
    assert (await api(FINALIZE, id=october["id"]))["invoiceFinalize"]["userErrors"] == []
    assert await standing(api, "o1", "n1") == {"o1": ("BILLABLE", None), "n1": ("PENDING", NOVEMBER_IS_DUE)}
    refused = await void(api, "o1")
    assert [error["code"] for error in refused["userErrors"]] == ["ALREADY_FINALIZED"], "as it says"
    assert (await reverse(api, "o1"))["userErrors"] == []
    assert (await void(api, "n1"))["voided"] == 1
    assert await standing(api, "o1", "n1") == {"o1": ("REVERSED", None), "n1": ("VOIDED", None)}
