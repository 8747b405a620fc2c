"""Scheduled charges and subscriptions over GraphQL: shown as given, billed, changed, and refused by rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders as build
from tests.api.conftest import Api

CHARGE = """
id currency product { name } recurring { frequency distribution unitPrice quantity startingAt endingBefore }
items(first: 50) { nodes { at quantity unitPrice amount { amount currency } } }
"""
SUBSCRIPTION = """
id name product { name } interval { startingAt endingBefore } billingFrequency collection placement anchor
initialQuantity quantity proration { prorate increases rounding { method decimalPlaces } }
quantityHistory { nodes { startingAt quantity } } quantitySchedule { nodes { startingAt quantity } }
billingPeriods { previous { startingAt endingBefore } current { startingAt endingBefore } next { startingAt endingBefore } }
"""
CREATE = f"""
mutation ($input: ContractCreateInput!) {{ contractCreate(input: $input) {{
  contract {{ id consolidateScheduledCharges scheduledCharges {{ {CHARGE} }} subscriptions {{ {SUBSCRIPTION} }} }}
  userErrors {{ code path message }} }} }}
"""
ADD_CHARGE = f"""
mutation ($id: ID!, $input: ScheduledChargeInput!, $key: String, $revision: Int) {{
  contractAddScheduledCharge(id: $id, input: $input, uniquenessKey: $key, revision: $revision) {{
    scheduledCharge {{ {CHARGE} }} userErrors {{ code path status conflicting {{ id }} }} }} }}
"""
ADD_SUBSCRIPTION = f"""
mutation ($id: ID!, $input: SubscriptionInput!, $key: String) {{
  contractAddSubscription(id: $id, input: $input, uniquenessKey: $key) {{
    subscription {{ {SUBSCRIPTION} }} userErrors {{ code path status conflicting {{ id }} }} }} }}
"""
UPDATE = f"""
mutation ($id: ID!, $input: QuantityUpdateInput!) {{ subscriptionUpdateQuantity(id: $id, input: $input) {{
  subscription {{ {SUBSCRIPTION} }} userErrors {{ code path status }} }} }}
"""
DRAFTS = """
query ($id: ID!) { drafts(contractId: $id) { id type date servicePeriod { startingAt endingBefore } dueAt
  subtotal { amount currency } lines { nodes { type productName quantity unitPrice amount { amount }
  interval { startingAt endingBefore } chargedAt subscriptionId scheduledChargeId } }
  breakdowns { nodes { window { startingAt } total { amount } } } } }
"""
FINALIZE = (
    "mutation ($id: ID!) { invoiceFinalize(id: $id) { invoice { id number status type date } userErrors { code } } }"
)
OCTOBER, NOVEMBER, DECEMBER = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"


class Deal:
    """A card on which Seats cost 30 a month and Tokens 1 each; Setup is charged by schedule. It is November 2, noon."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def made(self) -> Deal:
        api = self.api
        self.setup = await _product(api, "Setup", "FIXED")
        self.seats = await _product(api, "Seats", "SUBSCRIPTION")
        self.tokens = await build.product(api, "Tokens")
        monthly = build.rate(self.seats["id"], "30", billingFrequency="MONTHLY")
        self.card = await build.rate_card(api, rates=[monthly, build.rate(self.tokens["id"])])
        self.customer = await build.customer(api)
        return self

    def charge(self, *items: tuple[str, str], **fields: Any) -> dict[str, Any]:
        dated = [{"at": at, "unitPrice": amount} for at, amount in items]
        return {"productId": self.setup["id"], **({"items": dated} if items else {}), **fields}

    def subscription(self, **fields: Any) -> dict[str, Any]:
        whole = {"billingFrequency": "MONTHLY", "collection": "ADVANCE", "initialQuantity": "10"}
        return {"productId": self.seats["id"], **whole, **fields}

    async def sign(self, **fields: Any) -> dict[str, Any]:
        whole = {"customerId": self.customer["id"], "rateCardId": self.card["id"], "interval": {"startingAt": NOVEMBER}}
        return (await self.api(CREATE, input={**whole, **fields}))["contractCreate"]

    async def signed(self, **fields: Any) -> dict[str, Any]:
        payload = await self.sign(**fields)
        assert payload["userErrors"] == []
        return payload["contract"]

    async def drafts(self, contract: dict[str, Any]) -> list[dict[str, Any]]:
        return (await self.api(DRAFTS, id=contract["id"]))["drafts"]


async def _product(api: Api, name: str, kind: str) -> dict[str, Any]:
    document = "mutation ($input: ProductCreateInput!) { productCreate(input: $input) { product { id name type } userErrors { code } } }"
    payload = (await api(document, input={"name": name, "type": kind}))["productCreate"]
    assert payload["userErrors"] == []
    return payload["product"]


@pytest.fixture
async def deal(api: Api) -> Deal:
    return await Deal(api).made()


async def test_charges_are_shown_with_every_instalment(deal: Deal) -> None:
    thirds = {
        "startingAt": NOVEMBER, "endingBefore": "2027-02-01T00:00:00Z", "frequency": "MONTHLY", "unitPrice": "1000",
        "distribution": "DIVIDED_ROUNDED",
    }  # fmt: skip
    contract = await deal.signed(
        consolidateScheduledCharges=True,
        scheduledCharges=[deal.charge(recurring=thirds), deal.charge((DECEMBER, "50"), currency="EUR")],
    )
    assert contract["consolidateScheduledCharges"] is True
    first, second = contract["scheduledCharges"]
    assert first["recurring"] == {**thirds, "quantity": "1"}
    assert [(item["at"], item["amount"]["amount"]) for item in first["items"]["nodes"]] == [
        (NOVEMBER, "333.33"), (DECEMBER, "333.33"), ("2027-01-01T00:00:00Z", "333.34"),
    ]  # fmt: skip
    assert (second["currency"], second["recurring"], second["product"]["name"]) == ("EUR", None, "Setup")
    assert second["items"]["nodes"] == [
        {"at": DECEMBER, "quantity": "1", "unitPrice": "50", "amount": {"amount": "50", "currency": "EUR"}}
    ]


async def test_what_is_due_stands_on_scheduled_drafts_and_becomes_final(deal: Deal) -> None:
    contract = await deal.signed(
        scheduledCharges=[deal.charge((NOVEMBER, "100.005"), ("2026-11-02T06:00:00Z", "7"), (DECEMBER, "9"))]
    )
    first, second, statement = await deal.drafts(contract)
    assert (first["type"], first["date"], first["servicePeriod"], first["dueAt"]) == (
        "SCHEDULED",
        NOVEMBER,
        None,
        NOVEMBER,
    )
    assert first["subtotal"] == {"amount": "100.005", "currency": "USD"}
    [line] = first["lines"]["nodes"]
    assert line == {
        "type": "SCHEDULED", "productName": "Setup", "quantity": "1", "unitPrice": "100.005",
        "amount": {"amount": "100.005"}, "interval": None, "chargedAt": NOVEMBER, "subscriptionId": None,
        "scheduledChargeId": contract["scheduledCharges"][0]["id"],
    }  # fmt: skip
    assert second["breakdowns"]["nodes"] == [
        {"window": {"startingAt": "2026-11-02T00:00:00Z"}, "total": {"amount": "7"}}
    ]
    assert (statement["type"], statement["date"], statement["lines"]["nodes"]) == ("USAGE", None, [])
    for _ in range(2):  # the second time it is returned as it is
        payload = (await deal.api(FINALIZE, id=first["id"]))["invoiceFinalize"]
        assert payload["userErrors"] == []
        assert (payload["invoice"]["id"], payload["invoice"]["number"]) == (first["id"], "INV-000001")
    assert [draft["type"] for draft in await deal.drafts(contract)] == ["SCHEDULED", "USAGE"]
    asked = "query ($id: ID!) { invoice(id: $id) { total { amount } date breakdowns(windowSize: HOUR) { nodes { total { amount } } } } }"
    assert (await deal.api(asked, id=first["id"]))["invoice"] == {
        "total": {"amount": "100.01"}, "date": NOVEMBER, "breakdowns": {"nodes": [{"total": {"amount": "100.01"}}]},
    }  # fmt: skip


async def test_a_charge_of_a_date_that_is_final_gets_an_invoice_of_its_own(deal: Deal) -> None:
    contract = await deal.signed(scheduledCharges=[deal.charge((NOVEMBER, "100"))])
    [first, _] = await deal.drafts(contract)
    await deal.api(FINALIZE, id=first["id"])
    added = await deal.api(ADD_CHARGE, id=contract["id"], input=deal.charge((NOVEMBER, "5")), key="once")
    assert added["contractAddScheduledCharge"]["userErrors"] == []
    again = await deal.api(ADD_CHARGE, id=contract["id"], input=deal.charge((NOVEMBER, "5")), key="once")
    [error] = again["contractAddScheduledCharge"]["userErrors"]
    assert (error["code"], error["status"], error["path"]) == ("UNIQUENESS_KEY_CONFLICT", 409, ["uniquenessKey"])
    assert error["conflicting"]["id"] == added["contractAddScheduledCharge"]["scheduledCharge"]["id"]
    stale = await deal.api(ADD_CHARGE, id=contract["id"], input=deal.charge((NOVEMBER, "5")), revision=1)
    assert stale["contractAddScheduledCharge"]["userErrors"][0]["code"] == "STALE_REVISION"
    [second, _] = await deal.drafts(contract)
    assert (second["date"], second["subtotal"]["amount"]) == (NOVEMBER, "5")
    assert second["id"] != first["id"]
    payload = (await deal.api(FINALIZE, id=second["id"]))["invoiceFinalize"]
    assert payload["invoice"]["number"] == "INV-000002"


async def test_a_subscription_and_the_history_of_its_quantity(deal: Deal) -> None:
    contract = await deal.signed(
        interval={"startingAt": OCTOBER},
        subscriptions=[deal.subscription(
            name="Team", collection="ARREARS", placement="ON_SCHEDULED_INVOICE", startingAt="2026-10-05T00:00:00Z",
            proration={"prorate": True, "rounding": {"method": "FLOOR", "decimalPlaces": 2}},
        )],
    )  # fmt: skip
    [shown] = contract["subscriptions"]
    assert (shown["name"], shown["product"]["name"], shown["quantity"]) == ("Team", "Seats", "10")
    assert shown["proration"] == {
        "prorate": True, "increases": "BILL_IMMEDIATELY", "rounding": {"method": "FLOOR", "decimalPlaces": 2},
    }  # fmt: skip
    start = "2026-10-05T00:00:00Z"
    assert shown["interval"] == {"startingAt": start, "endingBefore": None}
    assert shown["billingPeriods"] == {
        "previous": {"startingAt": start, "endingBefore": NOVEMBER},
        "current": {"startingAt": NOVEMBER, "endingBefore": DECEMBER},
        "next": {"startingAt": DECEMBER, "endingBefore": "2027-01-01T00:00:00Z"},
    }
    for change in ({"quantity": "12", "startingAt": NOVEMBER}, {"delta": "-1", "startingAt": NOVEMBER},
                   {"delta": "4", "startingAt": DECEMBER}):  # fmt: skip
        payload = (await deal.api(UPDATE, id=shown["id"], input=change))["subscriptionUpdateQuantity"]
        assert payload["userErrors"] == []
    after = payload["subscription"]
    assert (after["quantity"], after["initialQuantity"]) == ("11", "10")
    assert after["quantityHistory"]["nodes"] == [
        {"startingAt": start, "quantity": "10"}, {"startingAt": NOVEMBER, "quantity": "11"},
    ]  # fmt: skip
    assert after["quantitySchedule"]["nodes"] == [{"startingAt": DECEMBER, "quantity": "15"}]
    fee = next(draft for draft in await deal.drafts(contract) if draft["type"] == "SCHEDULED")
    # 10 x 30 x 27/31 = 261.29…, rounded down
    assert (fee["date"], fee["subtotal"]["amount"]) == (NOVEMBER, "261.29")
    assert fee["lines"]["nodes"][0]["interval"] == {"startingAt": start, "endingBefore": NOVEMBER}
    assert fee["lines"]["nodes"][0]["subscriptionId"] == shown["id"]


async def test_an_update_is_safe_to_repeat_and_never_reaches_behind_a_final_fee(deal: Deal) -> None:
    contract = await deal.signed(interval={"startingAt": OCTOBER}, subscriptions=[deal.subscription()])
    [subscription] = contract["subscriptions"]
    change = {"delta": "2", "startingAt": "2026-10-20T00:00:00Z", "uniquenessKey": "k"}
    assert (await deal.api(UPDATE, id=subscription["id"], input=change))["subscriptionUpdateQuantity"][
        "userErrors"
    ] == []
    [error] = (await deal.api(UPDATE, id=subscription["id"], input=change))["subscriptionUpdateQuantity"]["userErrors"]
    assert (error["code"], error["status"]) == ("UNIQUENESS_KEY_CONFLICT", 409)
    drafts = await deal.drafts(contract)
    assert [draft["subtotal"]["amount"] for draft in drafts] == ["300", "23.225806451613", "360", "360"]
    for draft in drafts[:2]:
        await deal.api(FINALIZE, id=draft["id"])
    late = {"delta": "2", "startingAt": "2026-10-19T00:00:00Z"}
    [error] = (await deal.api(UPDATE, id=subscription["id"], input=late))["subscriptionUpdateQuantity"]["userErrors"]
    assert (error["code"], error["path"]) == ("ALREADY_FINALIZED", ["input", "startingAt"])
    # At the instant of the last final fee it is a further increase.
    more = {"delta": "1", "startingAt": "2026-10-20T00:00:00Z"}
    assert (await deal.api(UPDATE, id=subscription["id"], input=more))["subscriptionUpdateQuantity"]["userErrors"] == []
    assert [draft["subtotal"]["amount"] for draft in await deal.drafts(contract)] == ["11.612903225806", "390", "390"]


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"startingAt": NOVEMBER}, "REQUIRED", []),
        ({"startingAt": NOVEMBER, "quantity": "1", "delta": "1"}, "REQUIRED", []),
        ({"startingAt": NOVEMBER, "quantity": "-1"}, "QUANTITY_NEGATIVE", ["quantity"]),
        ({"startingAt": NOVEMBER, "delta": "-11"}, "QUANTITY_NEGATIVE", []),
        ({"startingAt": NOVEMBER, "delta": "0"}, "INVALID", ["delta"]),
        ({"startingAt": "2026-11-01T00:30:00Z", "delta": "1"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        ({"startingAt": OCTOBER, "delta": "1"}, "INVALID_INTERVAL", ["startingAt"]),
        ({"startingAt": "2027-01-01T00:00:00Z", "delta": "1"}, "INVALID_INTERVAL", ["startingAt"]),
    ],
)
async def test_refused_updates(deal: Deal, change: dict[str, str], code: str, path: list[str]) -> None:
    contract = await deal.signed(
        interval={"startingAt": NOVEMBER, "endingBefore": "2027-01-01T00:00:00Z"}, subscriptions=[deal.subscription()]
    )
    [subscription] = contract["subscriptions"]
    [error] = (await deal.api(UPDATE, id=subscription["id"], input=change))["subscriptionUpdateQuantity"]["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", *path])
    asked = "query ($id: ID!) { contract(id: $id) { subscriptions { quantityHistory { totalCount } quantitySchedule { totalCount } } } }"
    [after] = (await deal.api(asked, id=contract["id"]))["contract"]["subscriptions"]
    assert after == {"quantityHistory": {"totalCount": 1}, "quantitySchedule": {"totalCount": 0}}, "nothing was stored"


def _recurring(**fields: Any) -> dict[str, Any]:
    whole = {"startingAt": NOVEMBER, "endingBefore": "2027-11-01T00:00:00Z", "frequency": "MONTHLY", "unitPrice": "1"}
    return {"recurring": {**whole, **fields}}


ITEM = {"at": NOVEMBER, "unitPrice": "1"}


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({}, "REQUIRED", []),
        ({"items": [ITEM], **_recurring()}, "REQUIRED", []),
        ({"items": [{**ITEM, "unitPrice": "-1"}]}, "INVALID", ["items", "0", "unitPrice"]),
        ({"items": [ITEM, {**ITEM, "quantity": "-1"}]}, "QUANTITY_NEGATIVE", ["items", "1", "quantity"]),
        ({"items": [{**ITEM, "quantity": "0"}]}, "INVALID", ["items", "0", "quantity"]),
        ({"items": [{**ITEM, "at": "2027-11-01T00:00:00Z"}]}, "INVALID_INTERVAL", ["items", "0", "at"]),
        ({"items": [ITEM] * 501}, "LIMIT_EXCEEDED", ["items"]),
        ({"items": [ITEM], "currency": "XXX"}, "INVALID", ["currency"]),
        (_recurring(frequency="WEEKLY"), "NOT_SUPPORTED", ["recurring", "frequency"]),
        (_recurring(endingBefore=NOVEMBER), "INVALID_INTERVAL", ["recurring", "endingBefore"]),
        (_recurring(endingBefore="2027-11-02T00:00:00Z"), "INVALID_INTERVAL", ["recurring", "endingBefore"]),
        (
            _recurring(startingAt="2000-01-01T00:00:00Z", endingBefore="2080-01-01T00:00:00Z"),
            "LIMIT_EXCEEDED",
            ["recurring"],
        ),
    ],
)
async def test_refused_charges(deal: Deal, fields: dict[str, Any], code: str, path: list[str]) -> None:
    interval = {"startingAt": NOVEMBER, "endingBefore": "2027-11-01T00:00:00Z"}
    payload = await deal.sign(interval=interval, scheduledCharges=[deal.charge(**fields)])
    assert payload["contract"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        (code, ["input", "scheduledCharges", "0", *path])
    ]
    contract = await deal.signed(interval=interval)
    added = (await deal.api(ADD_CHARGE, id=contract["id"], input=deal.charge(**fields)))["contractAddScheduledCharge"]
    assert [(error["code"], error["path"]) for error in added["userErrors"]] == [(code, ["input", *path])]


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"billingFrequency": "SEMI_ANNUAL"}, "NOT_SUPPORTED", ["billingFrequency"]),
        ({"billingFrequency": "ANNUAL"}, "PRODUCT_NOT_ON_CARD", ["productId"]),
        ({"initialQuantity": "-1"}, "QUANTITY_NEGATIVE", ["initialQuantity"]),
        ({"startingAt": OCTOBER}, "INVALID_INTERVAL", ["startingAt"]),
        ({"startingAt": "2027-11-01T00:00:00Z"}, "INVALID_INTERVAL", ["startingAt"]),
        ({"startingAt": "2026-11-05T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        ({"endingBefore": NOVEMBER}, "INVALID_INTERVAL", ["endingBefore"]),
        ({"anchor": "2026-11-05T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["anchor"]),
        ({"name": ""}, "REQUIRED", ["name"]),
        ({"proration": {"rounding": {"method": "FLOOR", "decimalPlaces": 6}}}, "INVALID",
         ["proration", "rounding", "decimalPlaces"]),
    ],
)  # fmt: skip
async def test_refused_subscriptions(deal: Deal, fields: dict[str, Any], code: str, path: list[str]) -> None:
    interval = {"startingAt": NOVEMBER, "endingBefore": "2027-11-01T00:00:00Z"}
    payload = await deal.sign(interval=interval, subscriptions=[deal.subscription(**fields)])
    assert payload["contract"] is None
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        (code, ["input", "subscriptions", "0", *path])
    ]
    contract = await deal.signed(interval=interval)
    added = await deal.api(ADD_SUBSCRIPTION, id=contract["id"], input=deal.subscription(**fields))
    assert [(error["code"], error["path"]) for error in added["contractAddSubscription"]["userErrors"]] == [
        (code, ["input", *path])
    ]


async def test_products_of_the_wrong_type_and_rates_without_a_frequency(deal: Deal) -> None:
    payload = await deal.sign(subscriptions=[deal.subscription(productId=deal.tokens["id"])])
    assert [(error["code"], error["path"][-1]) for error in payload["userErrors"]] == [("INVALID", "productId")]
    payload = await deal.sign(scheduledCharges=[deal.charge((NOVEMBER, "1"), productId=deal.seats["id"])])
    assert [(error["code"], error["path"][-1]) for error in payload["userErrors"]] == [("INVALID", "productId")]
    for rate, code, path in (
        (build.rate(deal.seats["id"], "30"), "REQUIRED", "billingFrequency"),
        (build.rate(deal.seats["id"], "30", billingFrequency="SEMI_ANNUAL"), "NOT_SUPPORTED", "billingFrequency"),
        (build.rate(deal.tokens["id"], "30", billingFrequency="MONTHLY"), "INVALID", "billingFrequency"),
        (build.rate(deal.seats["id"], [("5", "30"), (None, "20")], billingFrequency="MONTHLY"), "INVALID", "price"),
        (build.rate(deal.setup["id"], "30"), "NOT_SUPPORTED", "price"),
    ):
        error = await build.refusal(deal.api, "rateCard", name="Other", currency="USD", rates=[rate])
        assert (error["code"], error["path"]) == (code, ["input", "rates", "0", path])


@pytest.mark.parametrize(
    ("override", "code", "path"),
    [
        ({"change": {"multiplier": "0.5"}, "specifiers": [{"billingFrequency": "MONTHLY"}]}, None, []),
        ({"change": {"multiplier": "0.5"}, "productId": "seats"}, "REQUIRED", ["productId"]),
        ({"change": {"multiplier": "0.5"}, "specifiers": [{}]}, "REQUIRED", ["specifiers", "0", "billingFrequency"]),
        ({"change": {"multiplier": "0.5"}, "specifiers": [{"billingFrequency": "MONTHLY", "productId": None}]},
         "REQUIRED", ["specifiers", "0", "productId"]),
        ({"change": {"multiplier": "0.5"}, "specifiers": [{"billingFrequency": "MONTHLY", "productId": "tokens"}]},
         "INVALID", ["specifiers", "0", "billingFrequency"]),
        ({"change": {"tiered": [{"multiplier": "0.5"}]}, "priority": 1, "specifiers": [{"billingFrequency": "MONTHLY"}]},
         "NOT_SUPPORTED", ["change", "tiered"]),
    ],
)  # fmt: skip
async def test_an_override_of_a_subscription_names_product_and_frequency(
    deal: Deal, override: dict[str, Any], code: str | None, path: list[str]
) -> None:
    ids = {"seats": deal.seats["id"], "tokens": deal.tokens["id"], None: None}
    given = dict(override)
    if "productId" in given:
        given["productId"] = ids[given["productId"]]
    if "specifiers" in given:
        given["specifiers"] = [
            {**item, "productId": ids[item.get("productId", "seats")]} for item in given["specifiers"]
        ]
    explicit = {"overridePriority": "EXPLICIT"} if "priority" in given else {}
    payload = await deal.sign(subscriptions=[deal.subscription()], overrides=[given], **explicit)
    if code is None:
        [fee, *_] = await deal.drafts(payload["contract"])
        assert fee["subtotal"]["amount"] == "150"
    else:
        assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
            (code, ["input", "overrides", "0", *path])
        ]


async def test_a_currency_that_the_provider_does_not_take(deal: Deal) -> None:
    contract = await deal.signed()
    document = "mutation ($id: ID!, $input: ScheduledChargeInput!) { contractAddScheduledCharge(id: $id, input: $input) { userErrors { code } } }"
    reader = await deal.api.with_scopes("contracts:read")
    [error] = await reader.errors(document, id=contract["id"], input=deal.charge((NOVEMBER, "5")))
    assert error["extensions"]["code"] == "FORBIDDEN"
