"""Custom fields that come with what is created: in contracts, edits, additions and packages, and from what recurs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from app.contracts.recurring_children import make_all_children
from app.store.engine import Store
from tests import builders as build
from tests.api.books import assert_sound
from tests.api.test_access_audit import entries
from tests.api.test_contract_edits import edit
from tests.api.test_contract_history import history
from tests.api.test_custom_fields import REMOVE, add, fields, put, shown, take
from tests.api.test_fees import ADD_CHARGE, ADD_SUBSCRIPTION, DECEMBER, NOVEMBER, OCTOBER, Deal, deal
from tests.api.test_packages import made as packaged
from tests.api.test_packages import make as package
from tests.api.test_packages import refused, sign, signed, span

__all__ = ["deal"]

OWNED = """
query ($id: ID!) { contract(id: $id) { subscriptions { customFields { value } } scheduledCharges { customFields { value } }
  recurringBalances { id customFields { value }
    balances { nodes { id segments { interval { startingAt } } customField(key: "team") } } } } }
"""
BALANCES = """
query ($id: ID!, $fields: [KeyValueInput!]!) { balances(customerId: $id, filter: {customFields: $fields}) {
  nodes { kind name } } }
"""
ROWS = (
    "select (select count(*) from contracts), (select count(*) from subscriptions), "
    "(select count(*) from scheduled_charges), (select count(*) from recurring_grants), (select count(*) from grants), "
    "(select count(*) from custom_field_values), (select count(*) from contract_edits)"
)
KEYS = ("SUBSCRIPTION", "SCHEDULED_CHARGE", "COMMIT", "CREDIT")
WRONG: list[tuple[dict[str, str], str, str]] = [
    ({"stranger": "1"}, "CUSTOM_FIELD_UNKNOWN", "stranger"),
    ({"team": ""}, "REQUIRED", "team"),
    ({"team": "x" * 201}, "INVALID", "team"),
]


@pytest.fixture
async def keyed(deal: Deal) -> Deal:
    """With a key of each kind that repeats its values, and one that does not."""
    for entity in KEYS:
        await add(deal.api, "team", entity)
        await add(deal.api, "crm", entity, enforceUniqueness=True)
    return deal


def terms(deal: Deal, values: dict[str, str], *names: str) -> dict[str, Any]:
    """Terms with these values, of all kinds or of those that are named."""
    own = {"customFields": build.pairs(values)}
    recurring = {"kind": "CREDIT", "unit": "USD", "name": "monthly", "accessAmount": {"unitPrice": "2"}}
    found: dict[str, Any] = {
        "subscriptions": [deal.subscription(**own)],
        "scheduledCharges": [deal.charge((DECEMBER, "5"), **own)],
        "recurringBalances": [{**recurring, **own}],
    }
    return {name: found[name] for name in names or found}


async def owned(deal: Deal, contract: str) -> list[str]:
    """The values of subscriptions, scheduled charges and recurring balances."""
    found = (await deal.api(OWNED, id=contract))["contract"]
    kinds = ("subscriptions", "scheduledCharges", "recurringBalances")
    return [pair["value"] for kind in kinds for item in found[kind] for pair in item["customFields"]]


async def test_they_come_with_contracts_edits_and_additions(keyed: Deal, store: Store, now: datetime) -> None:
    contract = (await keyed.signed(**terms(keyed, {"team": "a"})))["id"]
    assert (await edit(keyed.api, contract, add=terms(keyed, {"team": "b"})))["userErrors"] == []
    subscription = keyed.subscription(customFields=build.pairs({"team": "c"}))
    charge = keyed.charge((DECEMBER, "7"), customFields=build.pairs({"team": "c"}))
    for document, name, given in (
        (ADD_SUBSCRIPTION, "contractAddSubscription", subscription), (ADD_CHARGE, "contractAddScheduledCharge", charge),
    ):  # fmt: skip
        assert (await keyed.api(document, id=contract, input=given))[name]["userErrors"] == []
    assert await owned(keyed, contract) == [*"abc", *"abc", *"ab"]
    [entry] = await entries(keyed.api, action="contract.add_scheduled_charge")
    assert entry["after"]["scheduledCharge"]["customFields"] == {"team": "c"}
    await assert_sound(store, now)


async def test_what_is_refused_makes_nothing(keyed: Deal, store: Store) -> None:
    contract = (await keyed.signed())["id"]
    holder = (await keyed.signed(**terms(keyed, {"crm": "A-1"}, "subscriptions", "scheduledCharges")))["id"]
    held = (await keyed.api("query ($id: ID!) { contract(id: $id) { subscriptions { id } scheduledCharges { id } } }",
                            id=holder))["contract"]  # fmt: skip

    async def rows() -> Any:
        async with store.transaction() as session:
            return (await session.execute(text(ROWS))).one()

    before = await rows()
    for kind in ("subscriptions", "scheduledCharges", "recurringBalances"):
        taken = "CUSTOM_FIELD_TAKEN" if kind != "recurringBalances" else "INVALID"
        for values, code, key in [*WRONG, ({"team": "a", "crm": "A-1"}, taken, "crm")]:
            given = terms(keyed, values, kind)
            way = [kind, "0", "customFields", key]
            [error] = (await keyed.sign(**given))["userErrors"]
            assert (error["code"], error["path"]) == (code, ["input", *way])
            [error] = (await edit(keyed.api, contract, add=given))["userErrors"]
            assert (error["code"], error["path"]) == (code, ["input", "add", *way])
            if code == "CUSTOM_FIELD_TAKEN":
                assert (error["status"], error["conflicting"]) == (409, {"id": held[kind][0]["id"]})
            name, document = {
                "subscriptions": ("contractAddSubscription", ADD_SUBSCRIPTION),
                "scheduledCharges": ("contractAddScheduledCharge", ADD_CHARGE),
            }.get(kind, ("", ""))
            if document:
                [error] = (await keyed.api(document, id=contract, input=given[kind][0]))[name]["userErrors"]
                assert (error["code"], error["path"]) == (code, ["input", "customFields", key])
    twice = terms(keyed, {}, "subscriptions")
    twice["subscriptions"][0]["customFields"] = [{"key": "team", "value": value} for value in "ab"]
    [error] = (await keyed.sign(**twice))["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID", ["input", "subscriptions", "0", "customFields"])
    both = [keyed.subscription(customFields=build.pairs({"crm": "B"})) for _ in range(2)]
    [error] = (await keyed.sign(subscriptions=both))["userErrors"]
    assert (error["code"], error["path"][2]) == ("CUSTOM_FIELD_TAKEN", "1")
    assert await rows() == before


async def test_contracts_of_a_package_take_them_over(keyed: Deal) -> None:
    gift = {"kind": "CREDIT", "unit": "USD", "name": "gift", "access": [{"amount": "1", "duration": span(1)}]}
    bought = {**gift, "kind": "PREPAID", "name": "bought"}
    own = {"customFields": build.pairs({"team": "sales"})}
    given = {
        **terms(keyed, {"team": "sales"}, "subscriptions", "recurringBalances"),
        "scheduledCharges": [
            {"productId": keyed.setup["id"], "items": [{"dateOffset": span(1), "unitPrice": "5"}], **own}
        ],
        "balances": [{**gift, **own}, {**bought, **own}],
    }
    chosen = await packaged(keyed, terms=given)
    for _ in range(2):
        contract = await signed(keyed, packageId=chosen["id"])
        assert await owned(keyed, contract["id"]) == ["sales"] * 3
    found = (await keyed.api(BALANCES, id=keyed.customer["id"], fields=build.pairs({"team": "sales"})))["balances"]
    assert sorted(item["name"] for item in found["nodes"]) == sorted(["gift", "bought", "monthly"] * 2)
    # What only one contract could have is refused with the package, and not at its second sale.
    for kind, items in given.items():
        for values, code, key in [*WRONG, ({"crm": "A-1"}, "INVALID", "crm")]:
            wrong = {kind: [{**items[0], "customFields": build.pairs(values)}]}
            assert refused(await package(keyed, terms=wrong)) == (
                code, ["input", "terms", kind, "0", "customFields", key],
            )  # fmt: skip
    await add(keyed.api, "po", "CONTRACT", enforceUniqueness=True)
    assert refused(await package(keyed, customFields=build.pairs({"po": "1"}))) == (
        "INVALID", ["input", "customFields", "po"],
    )  # fmt: skip
    # A key that was removed since is missing when a contract is made, as every other thing of a package would be.
    keys = (await keyed.api("{ customFieldKeys(entity: SUBSCRIPTION) { nodes { id key } } }"))["customFieldKeys"]
    [team] = [item["id"] for item in keys["nodes"] if item["key"] == "team"]
    await keyed.api(REMOVE, id=team)
    assert refused(await sign(keyed, packageId=chosen["id"])) == (
        "CUSTOM_FIELD_UNKNOWN", ["input", "subscriptions", "0", "customFields", "team"],
    )  # fmt: skip


async def test_what_recurs_takes_over_the_values_of_its_time(keyed: Deal, store: Store, now: datetime) -> None:
    """October and November are made with the contract, December after the definition has changed, January after the key went."""
    api = keyed.api
    contract = (
        await keyed.signed(interval={"startingAt": OCTOBER}, **terms(keyed, {"team": "a"}, "recurringBalances"))
    )["id"]

    async def children() -> list[tuple[str, str | None]]:
        [found] = (await api(OWNED, id=contract))["contract"]["recurringBalances"]
        return [
            (item["segments"][0]["interval"]["startingAt"][:7], item["customField"])
            for item in found["balances"]["nodes"]
        ]

    assert await children() == [("2026-10", "a"), ("2026-11", "a")]
    [recurring] = (await api(OWNED, id=contract))["contract"]["recurringBalances"]
    first, second = [item["id"] for item in recurring["balances"]["nodes"]]
    assert shown(await put(api, recurring["id"], team="b")) == {"team": "b"}
    [change] = (await history(keyed, contract))[0]["changes"]
    assert (change["kind"], change["of"], change["before"], change["after"]) == (
        "custom_fields", recurring["id"], {"team": "a"}, {"team": "b"},
    )  # fmt: skip
    assert await make_all_children(store, now=datetime(2026, 12, 1, tzinfo=UTC)) == 1
    assert await children() == [("2026-10", "a"), ("2026-11", "a"), ("2026-12", "b")]
    # They are the balances' own: changed one by one, and found by every filter of balances.
    assert shown(await put(api, first, team="c")) == {"team": "c"}
    found = await api(BALANCES, id=keyed.customer["id"], fields=build.pairs({"team": "a"}))
    assert found["balances"]["nodes"] == [{"kind": "CREDIT", "name": "monthly"}]
    for values, code, key in [*WRONG, ({"crm": "A-1"}, "INVALID", "crm")]:
        [error] = (await put(api, recurring["id"], **values))["userErrors"]
        assert (error["code"], error["path"]) == (code, ["values", key])
    for identifier, code in ((f"rgr_{'0' * 32}", "NOT_FOUND"), (keyed.card["id"] + "x", "INVALID")):
        for payload in (await put(api, identifier, team="b"), await take(api, identifier, "team")):
            assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [(code, ["id"])]
    keys = (await api("{ customFieldKeys(entity: CREDIT) { nodes { id key } } }"))["customFieldKeys"]["nodes"]
    await api(REMOVE, id=next(item["id"] for item in keys if item["key"] == "team"))
    assert await make_all_children(store, now=datetime(2027, 1, 1, tzinfo=UTC)) == 1
    assert await children() == [(f"2026-{month}", None) for month in (10, 11, 12)] + [("2027-01", None)]
    assert await fields(api, second) == {}
    await add(api, "team", "CREDIT")
    await put(api, recurring["id"], team="d")
    assert shown(await take(api, recurring["id"], "team")) == {}
    own = await api.with_scopes("contracts:read", customerId=keyed.customer["id"])
    await put(api, recurring["id"], team="e")
    [seen] = (await own(OWNED, id=contract))["contract"]["recurringBalances"]
    assert seen["customFields"] == [], "they are the seller's own notes"
    await assert_sound(store, now)


async def test_drafts_and_awaited_payments_can_be_narrowed_to_values(keyed: Deal) -> None:
    api = keyed.api
    await add(api, "po", "INVOICE")
    gated = {
        "kind": "PREPAID", "unit": "USD", "paymentGate": "EXTERNAL", "productId": keyed.setup["id"],
        "access": [{"amount": "5", "startingAt": NOVEMBER, "endingBefore": DECEMBER}],
        "payment": {"items": [{"at": NOVEMBER, "unitPrice": "5"}]},
    }  # fmt: skip
    named = [{**gated, "name": team, "customFields": build.pairs({"team": team})} for team in ("red", "blue")]
    contract = await keyed.signed(subscriptions=[keyed.subscription()], balances=named)
    drafts = "query ($id: ID!, $fields: [KeyValueInput!]) { drafts(contractId: $id, customFields: $fields) { id } }"
    known = [item["id"] for item in (await api(drafts, id=contract["id"]))["drafts"]]
    assert len(known) > 1
    await put(api, known[-1], po="4711")
    wanted = build.pairs({"po": "4711"})
    assert (await api(drafts, id=contract["id"], fields=wanted))["drafts"] == [{"id": known[-1]}]
    own = await api.with_scopes("invoices:read", customerId=keyed.customer["id"])
    assert (await own(drafts, id=contract["id"], fields=wanted))["drafts"] == []
    awaited = "query ($fields: [KeyValueInput!]) { awaitedPayments(customFields: $fields) { nodes { name } } }"
    assert len((await api(awaited))["awaitedPayments"]["nodes"]) == 2
    found = (await api(awaited, fields=build.pairs({"team": "red"})))["awaitedPayments"]
    assert found["nodes"] == [{"name": "red"}]
    for document, variables in ((drafts, {"id": contract["id"]}), (awaited, {})):
        [error] = await api.errors(document, fields=build.pairs({"stranger": "1"}), **variables)
        assert error["extensions"]["reason"] == "CUSTOM_FIELD_UNKNOWN"
