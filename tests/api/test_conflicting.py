"""What stands in the way is named to those who may see it, and to nobody else."""

from __future__ import annotations

from tests import builders
from tests.api.conftest import Api

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
