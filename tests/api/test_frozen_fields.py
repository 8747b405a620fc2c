"""Custom fields of customer and contract on invoices: a draft shows what they are, a final invoice what they were."""

from __future__ import annotations

from datetime import datetime

from app.actor import system
from app.invoices.run import run_due
from app.store.engine import Store
from tests import builders
from tests.api.conftest import Api
from tests.api.test_custom_fields import add, put
from tests.invoices.recomputed import assert_all_same

SHOWN = "id customerCustomFields { key value } contractCustomFields { key value }"
DRAFTS = f"query ($id: ID!) {{ drafts(customerId: $id) {{ {SHOWN} }} }}"


async def test_final_invoices_keep_them(api: Api, store: Store, now: datetime) -> None:
    for key, entity in (("crm", "CUSTOMER"), ("order", "CONTRACT")):
        await add(api, key, entity)
    customer = await builders.customer(api, customFields=builders.pairs({"crm": "A-1"}))
    contract = await builders.contract(
        api, customer["id"], starting_at="2026-10-01T00:00:00Z", customFields=builders.pairs({"order": "O-1"})
    )
    await run_due(store, actor=system("test"), as_of=now, now=now)
    await put(api, customer["id"], crm="A-2")
    await put(api, contract["id"], order="O-2")
    [final] = (await api(f"{{ invoices {{ nodes {{ {SHOWN} }} }} }}"))["invoices"]["nodes"]
    assert final["customerCustomFields"] == [{"key": "crm", "value": "A-1"}]
    assert final["contractCustomFields"] == [{"key": "order", "value": "O-1"}]
    [draft] = (await api(DRAFTS, id=customer["id"]))["drafts"]
    assert draft["customerCustomFields"] == [{"key": "crm", "value": "A-2"}]
    assert draft["contractCustomFields"] == [{"key": "order", "value": "O-2"}]
    assert await assert_all_same(store) == 1
    own = await api.with_scopes("invoices:read", customerId=customer["id"])
    [seen] = (await own(f"{{ invoices {{ nodes {{ {SHOWN} }} }} }}"))["invoices"]["nodes"]
    assert (seen["customerCustomFields"], seen["contractCustomFields"]) == ([], [])
