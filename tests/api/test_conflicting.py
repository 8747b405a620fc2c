"""What stands in the way is named to those who may see it, and to nobody else."""

from __future__ import annotations

from typing import Any

from tests import builders
from tests.api.conftest import Api
from tests.api.test_balances import credit, listed
from tests.api.test_contract_edits import edit
from tests.api.test_invoices import app, seller

__all__ = ["app"]

TWICE = """
mutation { customerCreate(input: {name: "Acme", uniquenessKey: "k"}) {
  customer { id } userErrors { code conflicting { id } } } }
"""


async def test_a_conflicting_object_is_hidden_from_a_key_without_its_read_scope(api: Api) -> None:
    first = await builders.customer(api, uniquenessKey="k")
    writer = await api.with_scopes("customers:write")
    reader = await api.with_scopes("customers:write", "customers:read")
    hidden = (await writer(TWICE))["customerCreate"]["userErrors"]
    shown = (await reader(TWICE))["customerCreate"]["userErrors"]
    assert hidden == [{"code": "UNIQUENESS_KEY_CONFLICT", "conflicting": None}]
    assert shown == [{"code": "UNIQUENESS_KEY_CONFLICT", "conflicting": {"id": first["id"]}}]


async def test_what_a_refused_call_had_changed_is_named_as_it_is(api: Api) -> None:
    """An edit that archives a credit and then changes it is taken back as a whole: the credit is there, and not archived."""
    made = await seller(api, balances=[credit("1")])
    customer, contract = made["customer"]["id"], made["contract"]["id"]
    [gift] = await listed(api, customer)
    twice = {"id": gift["id"], "name": "present"}
    changes: dict[str, Any]
    for changes in ({"updateBalances": [twice]}, {"archiveBalances": [gift["id"], gift["id"]]}):
        answer = await edit(api, contract, **{"archiveBalances": [gift["id"]], **changes})
        [error] = answer["userErrors"]
        assert (error["code"], error["conflicting"]) == ("ARCHIVED", {"id": gift["id"]}), changes
    assert await listed(api, customer) == [gift]


async def test_what_a_refused_call_had_made_itself_is_named_by_nobody(api: Api) -> None:
    made = await seller(api)
    answer = await edit(
        api, made["contract"]["id"],
        add={"balances": [credit("1", uniquenessKey="k"), credit("2", uniquenessKey="k")]},
    )  # fmt: skip
    [error] = answer["userErrors"]
    assert (error["code"], error["conflicting"]) == ("UNIQUENESS_KEY_CONFLICT", None)
    assert await listed(api, made["customer"]["id"]) == []
