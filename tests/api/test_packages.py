"""Packages: tried when they are made, found by names that move, and signed by any customer on any day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text

from app.store.engine import Store
from tests import builders
from tests.api.books import assert_sound
from tests.api.test_access_audit import entries
from tests.api.test_balances import credit
from tests.api.test_contract_past import BALANCES, STATE
from tests.api.test_custom_fields import add as add_key
from tests.api.test_fees import DECEMBER, NOVEMBER, Deal, deal
from tests.api.test_invoices import app

__all__ = ["app", "deal"]

PACKAGE = "package { id name provider connection billingAnchor archivedAt uniquenessKey definition aliases { name startingAt endingBefore } }"
ERRORS = "userErrors { code message path status conflicting { id } }"
MAKE = f"mutation ($input: PackageCreateInput!) {{ packageCreate(input: $input) {{ {PACKAGE} {ERRORS} }} }}"
ARCHIVE = f"mutation ($id: ID!) {{ packageArchive(id: $id) {{ {PACKAGE} {ERRORS} }} }}"
GIVE = f"mutation ($id: ID!, $alias: PackageAliasInput!) {{ packageGiveAlias(id: $id, alias: $alias) {{ {PACKAGE} {ERRORS} }} }}"
SIGN = f"""mutation ($input: ContractCreateInput!) {{ contractCreate(input: $input) {{
  contract {{ id package {{ id }} billingConfiguration {{ id }} {STATE} statement {{ frequency day anchor }} graceHours
    overrides {{ endingBefore }}
    subscriptions {{ name interval {{ startingAt endingBefore }} anchor quantity }}
    recurringBalances {{ duration interval {{ startingAt endingBefore }} accessAmount {{ unitPrice }} }} }} {ERRORS} }} }}"""
FIND = "query ($id: ID, $alias: String, $at: DateTime) { package(id: $id, alias: $alias, at: $at) { id } }"
LIST = """query ($archived: Boolean!, $after: String) { packages(includeArchived: $archived, first: 1, after: $after) {
  totalCount nodes { id contracts { totalCount nodes { id } } } pageInfo { hasNextPage endCursor } } }"""
KEPT = "query { customers { totalCount } contracts { totalCount } packages { totalCount } }"


def span(value: int, unit: str = "MONTHS") -> dict[str, Any]:
    return {"value": value, "unit": unit}


async def make(deal: Deal, **fields: Any) -> dict[str, Any]:
    return (await deal.api(MAKE, input={"name": "Standard", "rateCardId": deal.card["id"], **fields}))["packageCreate"]


async def made(deal: Deal, **fields: Any) -> dict[str, Any]:
    payload = await make(deal, **fields)
    assert payload["userErrors"] == []
    return payload["package"]


async def sign(deal: Deal, start: str = NOVEMBER, **fields: Any) -> dict[str, Any]:
    whole = {"customerId": deal.customer["id"], "interval": {"startingAt": start}, **fields}
    return (await deal.api(SIGN, input=whole))["contractCreate"]


async def signed(deal: Deal, start: str = NOVEMBER, **fields: Any) -> dict[str, Any]:
    payload = await sign(deal, start, **fields)
    assert payload["userErrors"] == []
    return payload["contract"]


def refused(payload: dict[str, Any]) -> tuple[str, list[str]]:
    [error] = payload["userErrors"]
    assert payload.get("contract") is None
    assert payload.get("package") is None
    return error["code"], error["path"]


def whole(deal: Deal) -> tuple[dict[str, Any], dict[str, Any]]:
    """Terms of every kind: of a package, and by hand for a contract that starts on the last of October."""
    change = {"multiplier": "0.5"}
    gift = {"kind": "CREDIT", "unit": "USD", "name": "gift", "customFields": builders.pairs({"plan": "gold"})}
    monthly = {"kind": "CREDIT", "unit": "USD", "accessAmount": {"unitPrice": "2"}, "duration": 2}
    yearly = {"frequency": "QUARTERLY", "unitPrice": "900", "distribution": "DIVIDED"}
    package = {
        "duration": span(1, "YEARS"),
        "statement": {"frequency": "MONTHLY", "day": "CUSTOM_DATE", "anchorOffset": span(14, "DAYS")},
        "terms": {
            "overrides": [{"change": change, "startingAtOffset": span(1), "duration": span(1)}],
            "scheduledCharges": [
                {"productId": deal.setup["id"], "items": [{"dateOffset": span(4), "unitPrice": "5"}]},
                {"productId": deal.setup["id"], "recurring": {**yearly, "duration": span(1, "YEARS")}},
            ],
            "subscriptions": [deal.subscription(name="Team", temporaryId="team", startingAtOffset=span(1, "WEEKS"),
                                                duration=span(6), anchorOffset=span(2, "DAYS"))],
            "balances": [{**gift, "access": [{"amount": "30", "duration": span(4)},
                                             {"amount": "20", "startingAtOffset": span(4), "duration": span(8)}]}],
            "recurringBalances": [{**monthly, "startingAtOffset": span(1), "overallDuration": span(90, "DAYS")}],
        },
    }  # fmt: skip
    start, end = "2026-10-31T00:00:00Z", "2027-10-31T00:00:00Z"
    february = "2027-02-28T00:00:00Z"
    by_hand = {
        "interval": {"startingAt": start, "endingBefore": end},
        "statement": {"frequency": "MONTHLY", "day": "CUSTOM_DATE", "anchor": "2026-11-14T00:00:00Z"},
        "overrides": [{"change": change, "startingAt": "2026-11-30T00:00:00Z", "endingBefore": "2026-12-31T00:00:00Z"}],
        "scheduledCharges": [
            {"productId": deal.setup["id"], "items": [{"at": february, "unitPrice": "5"}]},
            {"productId": deal.setup["id"], "recurring": {**yearly, "startingAt": start, "endingBefore": end}},
        ],
        "subscriptions": [deal.subscription(name="Team", startingAt="2026-11-07T00:00:00Z",
                                            endingBefore="2027-05-07T00:00:00Z", anchor="2026-11-02T00:00:00Z")],
        "balances": [{**gift, "access": [{"amount": "30", "startingAt": start, "endingBefore": february},
                                         {"amount": "20", "startingAt": february, "endingBefore": end}]}],
        "recurringBalances": [{**monthly, "startingAt": "2026-11-30T00:00:00Z", "endingBefore": "2027-02-28T00:00:00Z"}],
    }  # fmt: skip
    return package, by_hand


async def shown(deal: Deal, contract: dict[str, Any]) -> dict[str, Any]:
    """What a contract says, without the ids."""
    kept = {name: value for name, value in contract.items() if name not in ("id", "package")}
    for kind in ("overrides", "scheduledCharges"):
        kept[kind] = [{**item, "id": None} for item in kept[kind]]
    for kind in ("overrides",):
        kept[kind] = [{name: value for name, value in item.items() if name != "id"} for item in kept[kind]]
    return kept


async def test_a_contract_of_a_package_is_that_of_its_terms(deal: Deal, store: Store, now: datetime) -> None:
    await add_key(deal.api, "plan", "CREDIT")
    await add_key(deal.api, "tier", "CONTRACT")
    fields = {"graceHours": 48, "netPaymentTermsDays": 14, "customFields": builders.pairs({"tier": "a"})}
    terms, by_hand = whole(deal)
    package = await made(deal, contractName="Standard contract", **terms, **fields)
    ours = await signed(deal, "2026-10-31T00:00:00Z", packageId=package["id"])
    other = await builders.customer(deal.api, name="Other")
    theirs = await signed(
        deal, customerId=other["id"], rateCardId=deal.card["id"], name="Standard contract", **fields, **by_hand
    )
    assert await shown(deal, ours) == await shown(deal, theirs)
    assert (ours["package"], theirs["package"]) == ({"id": package["id"]}, None)
    balances = [
        [{**item, "id": None} for item in (await deal.api(BALANCES, customer=holder))["balances"]["nodes"]]
        for holder in (deal.customer["id"], other["id"])
    ]
    assert balances[0] == balances[1]
    [gift] = balances[0]
    assert [item["amount"]["amount"] for item in gift["segments"]] == ["30", "20"]
    custom = 'query ($id: ID!) { balances(customerId: $id) { nodes { name customField(key: "plan") } } }'
    found = (await deal.api(custom, id=deal.customer["id"]))["balances"]["nodes"]
    assert {item["name"]: item["customField"] for item in found}["gift"] == "gold"
    # Another day, other dates: nothing was kept of the first contract.
    later = await signed(deal, "2027-01-31T00:00:00Z", packageId=package["id"])
    assert later["interval"]["endingBefore"] == "2028-01-31T00:00:00Z"
    [override] = later["overrides"]
    assert override["startingAt"] == "2027-02-28T00:00:00Z"
    await assert_sound(store, now)


async def test_beside_a_package_nothing_else_is_said(deal: Deal) -> None:
    package = await made(deal, aliases=[{"name": "standard"}])
    wrong: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"rateCardId": deal.card["id"]}, "INVALID", ["rateCardId"]),
        ({"name": "x"}, "INVALID", ["name"]),
        ({"balances": [credit("1")]}, "INVALID", ["balances"]),
        ({"consolidateScheduledCharges": True}, "INVALID", ["consolidateScheduledCharges"]),
        ({"interval": {"startingAt": NOVEMBER, "endingBefore": DECEMBER}}, "INVALID", ["interval", "endingBefore"]),
        ({"packageAlias": "standard"}, "INVALID", ["packageAlias"]),
        ({"packageId": f"pkg_{'0' * 32}"}, "NOT_FOUND", ["packageId"]),
        ({"packageId": None, "packageAlias": "none"}, "NOT_FOUND", ["packageAlias"]),
        ({"interval": {"startingAt": "2026-11-01T00:30:00Z"}}, "NOT_HOUR_ALIGNED", ["interval", "startingAt"]),
    ]
    for fields, code, path in wrong:
        assert refused(await sign(deal, **{"packageId": package["id"], **fields})) == (code, ["input", *path])
    first = await signed(deal, packageAlias="standard", uniquenessKey="k")
    again = await sign(deal, packageAlias="standard", uniquenessKey="k")
    assert refused(again) == ("UNIQUENESS_KEY_CONFLICT", ["input", "uniquenessKey"])
    transition = {"fromContractId": first["id"], "type": "RENEWAL"}
    assert (await signed(deal, DECEMBER, packageId=package["id"], transition=transition))["package"] is not None
    archived = (await deal.api(ARCHIVE, id=package["id"]))["packageArchive"]
    assert archived["package"]["archivedAt"] == "2026-11-02T12:00:00Z"
    assert refused(await sign(deal, packageId=package["id"])) == ("ARCHIVED", ["input", "packageId"])
    assert refused(await sign(deal, packageAlias="standard")) == ("ARCHIVED", ["input", "packageAlias"])
    assert refused((await deal.api(ARCHIVE, id=package["id"]))["packageArchive"]) == ("ARCHIVED", ["id"])
    given = (await deal.api(GIVE, id=package["id"], alias={"name": "other"}))["packageGiveAlias"]
    assert refused(given) == ("ARCHIVED", ["id"])


async def test_a_name_moves_and_contracts_stay(deal: Deal) -> None:
    first = await made(deal, aliases=[{"name": "standard"}])
    second = await made(deal, name="Standard 2")
    moved = {"name": "standard", "startingAt": DECEMBER}
    given = (await deal.api(GIVE, id=second["id"], alias=moved))["packageGiveAlias"]
    assert given["package"]["aliases"] == [{**moved, "endingBefore": None}]
    for start, package in ((NOVEMBER, first), (DECEMBER, second)):
        assert (await signed(deal, start, packageAlias="standard"))["package"] == {"id": package["id"]}
        assert (await deal.api(FIND, alias="standard", at=start))["package"] == {"id": package["id"]}
    assert (await deal.api(FIND, id=first["id"]))["package"] == {"id": first["id"]}
    taken = (await deal.api(GIVE, id=first["id"], alias=moved))["packageGiveAlias"]
    assert refused(taken) == ("ALIAS_TAKEN", ["alias", "name"])
    page = (await deal.api(LIST, archived=False))["packages"]
    assert (page["totalCount"], page["nodes"][0]["contracts"]["totalCount"]) == (2, 1)
    await deal.api(ARCHIVE, id=second["id"])
    assert (await deal.api(LIST, archived=False))["packages"]["totalCount"] == 1
    page = (await deal.api(LIST, archived=True, after=page["pageInfo"]["endCursor"]))["packages"]
    assert (page["nodes"][0]["id"], page["pageInfo"]["hasNextPage"]) == (first["id"], False)


async def test_the_customer_has_exactly_one_configuration_of_the_provider(deal: Deal) -> None:
    package = await made(deal, provider="stripe")
    assert refused(await sign(deal, packageId=package["id"])) == ("PROVIDER_NOT_CONFIGURED", ["input", "customerId"])
    chosen = await builders.configuration(deal.api, deal.customer["id"], connection="us")
    contract = await signed(deal, packageId=package["id"])
    assert contract["billingConfiguration"] == {"id": chosen["id"]}
    other = await builders.configuration(deal.api, deal.customer["id"], connection="eu")
    again = await sign(deal, packageId=package["id"])
    assert refused(again) == ("PROVIDER_NOT_CONFIGURED", ["input", "customerId"])
    assert "has 2 billing configurations" in again["userErrors"][0]["message"]
    # The account says how invoices are delivered, and which of the two is meant.
    package = await made(deal, provider="stripe", connection="eu")
    assert (package["provider"], package["connection"]) == ("stripe", "eu")
    contract = await signed(deal, packageId=package["id"])
    assert contract["billingConfiguration"] == {"id": other["id"]}
    await builders.configuration(deal.api, deal.customer["id"], connection="eu")
    assert (
        "through eu, of which the customer has 2"
        in (await sign(deal, packageId=package["id"]))["userErrors"][0]["message"]
    )


async def test_terms_count_from_the_first_whole_billing_period(deal: Deal) -> None:
    month, three, year = span(1), span(3), span(1, "YEARS")
    gift = {"kind": "CREDIT", "unit": "USD", "name": "gift"}
    terms = {
        "overrides": [{"change": {"multiplier": "0.5"}, "duration": month}],
        "scheduledCharges": [
            {"productId": deal.setup["id"], "items": [{"dateOffset": span(0), "unitPrice": "5"}], "isDiscount": True},
        ],
        "subscriptions": [deal.subscription(startingAtOffset=span(0), duration=three)],
        "balances": [{**gift, "access": [{"amount": "30", "duration": three},
                                         {"amount": "20", "startingAtOffset": three, "duration": month}]}],
    }  # fmt: skip
    package = await made(deal, billingAnchor="FIRST_BILLING_PERIOD", duration=year, terms=terms)
    assert package["billingAnchor"] == "FIRST_BILLING_PERIOD"
    start, first, end = "2026-11-17T00:00:00Z", "2026-12-01T00:00:00Z", "2027-03-01T00:00:00Z"
    found = await signed(deal, start, packageId=package["id"])
    assert found["interval"] == {"startingAt": start, "endingBefore": "2027-12-01T00:00:00Z"}
    # What has no offset begins with the contract, and meets what follows it.
    [override] = found["overrides"]
    assert (override["startingAt"], override["endingBefore"]) == (start, "2027-01-01T00:00:00Z")
    [[item]] = [charge["items"]["nodes"] for charge in found["scheduledCharges"]]
    assert (item["at"], item["amount"]["amount"]) == (first, "-5"), "a discount in a package is one in the contract"
    assert [fee["interval"] for fee in found["subscriptions"]] == [{"startingAt": first, "endingBefore": end}]
    [balance] = (await deal.api(BALANCES, customer=deal.customer["id"]))["balances"]["nodes"]
    assert [part["interval"] for part in balance["segments"]] == [
        {"startingAt": start, "endingBefore": end}, {"startingAt": end, "endingBefore": "2027-04-01T00:00:00Z"},
    ]  # fmt: skip
    # A contract that starts with a period begins there, and statements have their dates from the contract's start.
    found = await signed(deal, first, packageId=package["id"])
    assert found["interval"] == {"startingAt": first, "endingBefore": "2027-12-01T00:00:00Z"}
    custom = {"frequency": "MONTHLY", "day": "CUSTOM_DATE", "anchorOffset": span(3, "DAYS")}
    package = await made(deal, billingAnchor="FIRST_BILLING_PERIOD", duration=month, statement=custom)
    found = await signed(deal, start, packageId=package["id"])
    assert found["statement"]["anchor"] == "2026-11-20T00:00:00Z"
    assert found["interval"] == {"startingAt": start, "endingBefore": "2026-12-20T00:00:00Z"}
    late = await sign(deal, "2026-11-17T00:30:00Z", packageId=package["id"])
    assert refused(late) == ("NOT_HOUR_ALIGNED", ["input", "interval", "startingAt"])


async def test_what_no_contract_could_be_made_of_is_refused_and_nothing_stays(deal: Deal, store: Store) -> None:
    month = span(1)
    gift = {"kind": "CREDIT", "unit": "USD", "access": [{"amount": "1", "duration": month}]}
    before = await deal.api(KEPT)
    wrong: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"terms": {"overrides": [{"change": {"multiplier": "-1"}}]}}, "MULTIPLIER_NEGATIVE", ["terms", "overrides", "0", "change"]),
        ({"terms": {"balances": [{**gift, "priority": "-1"}]}}, "INVALID", ["terms", "balances", "0", "priority"]),
        ({"terms": {"subscriptions": [deal.subscription(duration=span(0))]}}, "INVALID_INTERVAL", ["terms", "subscriptions", "0", "duration"]),
        ({"terms": {"subscriptions": [deal.subscription(startingAtOffset=span(13))]}, "duration": span(12)}, "INVALID_INTERVAL", ["terms", "subscriptions", "0", "startingAtOffset"]),
        ({"terms": {"scheduledCharges": [{"productId": deal.setup["id"], "items": [{"dateOffset": month, "unitPrice": "-1"}]}]}}, "INVALID", ["terms", "scheduledCharges", "0", "items", "0", "unitPrice"]),
        ({"duration": span(0)}, "INVALID_INTERVAL", ["duration"]),
        ({"duration": span(0), "billingAnchor": "FIRST_BILLING_PERIOD"}, "INVALID_INTERVAL", ["duration"]),
        ({"statement": {"day": "CUSTOM_DATE"}, "billingAnchor": "FIRST_BILLING_PERIOD"}, "REQUIRED", ["statement", "anchorOffset"]),
        ({"provider": "strip"}, "PROVIDER_NOT_CONFIGURED", ["provider"]),
        ({"provider": "stripe", "connection": "marketplace"}, "PROVIDER_NOT_CONFIGURED", ["connection"]),
        ({"connection": "eu"}, "INVALID", ["connection"]),
        ({"provider": "azure_marketplace", "rateCardId": None, "currency": "EUR"}, "CURRENCY_MISMATCH", ["provider"]),
        ({"duration": span(-1)}, "INVALID", ["duration", "value"]),
        ({"duration": span(1001)}, "INVALID", ["duration", "value"]),
        ({"terms": {"usageFilters": [{"key": "k", "values": ["v"], "startingAtOffset": span(1001)}]}}, "INVALID", ["terms", "usageFilters", "0", "startingAtOffset", "value"]),
        ({"rateCardId": f"rcd_{'0' * 32}"}, "NOT_FOUND", ["rateCardId"]),
        ({"rateCardAlias": "both"}, "INVALID", ["rateCardAlias"]),
        ({"rateCardId": None}, "REQUIRED", ["currency"]),
        ({"graceHours": -1}, "INVALID", ["graceHours"]),
        ({"customFields": builders.pairs({"none": "x"})}, "CUSTOM_FIELD_UNKNOWN", ["customFields", "none"]),
        ({"name": ""}, "REQUIRED", ["name"]),
        ({"contractName": ""}, "REQUIRED", ["contractName"]),
        ({"aliases": [{"name": ""}]}, "REQUIRED", ["aliases", "0", "name"]),
    ]  # fmt: skip
    for fields, code, path in wrong:
        assert refused(await make(deal, **fields)) == (code, ["input", *path])
    assert await deal.api(KEPT) == before
    package = await made(deal, uniquenessKey="p")
    again = await make(deal, uniquenessKey="p")
    assert refused(again) == ("UNIQUENESS_KEY_CONFLICT", ["input", "uniquenessKey"])
    assert again["userErrors"][0]["conflicting"] == {"id": package["id"]}
    found = [item for item in await entries(deal.api) if item["action"] == "package.create"]
    assert len(found) == len(wrong) + 2
    async with store.transaction() as session:
        assert (await session.execute(text("select count(*) from customers where name = 'trial'"))).scalar_one() == 0
        assert (await session.execute(text("select count(*) from contract_edits"))).scalar_one() == 0
