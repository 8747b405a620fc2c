"""Wrong definitions of the catalog and of contracts, one table: each is refused with its code and path, and leaves no row.

What is asked for is written with names in angle brackets, such as "<tokens>", which stand for the ids of what exists.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api

LOGS = ("audit", "procrastinate", "alembic", "idempotency", "component", "api_key")
HALF_PAST = "2026-12-01T00:30:00Z"
DECEMBER = "2026-12-01T00:00:00Z"
INPUTS = {
    "billableMetricCreate": "input: BillableMetricCreateInput!",
    "productCreate": "input: ProductCreateInput!",
    "productAddVersion": "id: ID!, input: ProductVersionInput!",
    "rateCardCreate": "input: RateCardCreateInput!",
    "rateCardUpdate": "id: ID!, input: RateCardUpdateInput!",
    "rateCardAddRates": "id: ID!, rates: [RateInput!]!",
    "rateCardGiveAlias": "id: ID!, alias: RateCardAliasInput!",
    "rateCardSetProductOrder": "id: ID!, productIds: [ID!]!",
    "contractCreate": "input: ContractCreateInput!",
}


class Shop:
    """Tokens by region, calls by nothing, a support fee of ten per cent, one card and one customer."""

    def __init__(self, api: Api, store: Store) -> None:
        self.api, self.store = api, store
        self.ids: dict[str, str] = {}

    async def opened(self) -> Shop:
        api = self.api
        regional = await build.metric(api, "regional", groupKeys=[["region"], ["model"]])
        plain = await build.metric(api, "plain")
        tokens = await build.product(api, "Tokens", metric_id=regional["id"], key=["region"])
        calls, stranger = [await build.product(api, name, metric_id=plain["id"]) for name in ("Calls", "Stranger")]
        fee = await build.attempt(api, "product", name="Fee", type="COMPOSITE", composite={"tags": ["llm"]})
        unit = 'mutation { pricingUnitCreate(input: {code: "POINTS", name: "Points"}) { userErrors { code } } }'
        assert (await api(unit))["pricingUnitCreate"]["userErrors"] == []
        card = await build.rate_card(
            api,
            rates=[
                build.rate(tokens["id"], groupValues=build.pairs({"region": "eu"})),
                build.rate(calls["id"]),
            ],
            conversions=[{"unit": "POINTS", "worth": "0.1"}],
            aliases=[{"name": "standard", "startingAt": DECEMBER}],
        )
        other = await build.rate_card(api, "Other")
        customer = await build.customer(api)
        named = {
            "regional": regional, "plain": plain, "tokens": tokens, "calls": calls, "stranger": stranger,
            "fee": fee["product"], "card": card, "other": other, "customer": customer,
        }  # fmt: skip
        self.ids = {name: made["id"] for name, made in named.items()}
        return self

    async def ask(self, mutation: str, variables: dict[str, Any]) -> list[dict[str, Any]]:
        """The errors of a mutation."""
        parts = [part.strip() for part in INPUTS[mutation].split(",")]
        given = ", ".join(f"{name}: ${name}" for name, _, _ in (part.partition(":") for part in parts))
        declared = ", ".join(f"${part}" for part in parts)
        document = f"mutation ({declared}) {{ {mutation}({given}) {{ userErrors {{ code path message }} }} }}"
        return (await self.api(document, **self.filled(variables)))[mutation]["userErrors"]

    def filled(self, value: Any) -> Any:
        """The value with names in place of which ids stand."""
        match value:
            case str() if value.startswith("<"):
                return self.ids[value.strip("<>")]
            case dict():
                return {key: self.filled(item) for key, item in value.items()}
            case list():
                return [self.filled(item) for item in value]
            case _:
                return value

    async def rows(self) -> dict[str, str]:
        """How many rows each table has, and a digest of them, logs aside."""
        async with self.store.transaction() as session:
            listed = await session.execute(text("select tablename from pg_tables where schemaname = 'public'"))
            names = sorted(name for name in listed.scalars() if not name.startswith(LOGS))
            found = {}
            for name in names:
                counted = text(
                    f"select count(*) || coalesce(md5(string_agg(t::text, '' order by t::text)), '') from {name} t"
                )
                found[name] = (await session.execute(counted)).scalar_one()
        return found


def rate(product: str = "<calls>", **fields: Any) -> dict[str, Any]:
    return {"id": "<card>", "rates": [{"productId": product, "price": {"flat": "1"}, **fields}]}


def tiered(*tiers: tuple[str | None, str]) -> dict[str, Any]:
    return {"price": {"tiered": [{"size": size, "unitPrice": price} for size, price in tiers]}}


def product(**fields: Any) -> dict[str, Any]:
    return {"input": {"name": "P", "metricId": "<regional>", **fields}}


def contract(**fields: Any) -> dict[str, Any]:
    terms = {"customerId": "<customer>", "rateCardId": "<card>", "interval": {"startingAt": DECEMBER}}
    return {"input": terms | fields}


def override(**fields: Any) -> dict[str, Any]:
    return contract(overrides=[{"change": {"multiplier": "0.5"}, **fields}])


RATES, INPUT = ["rates", "0"], ["input"]
OWN = ["input", "overrides", "0"]
EU = build.pairs({"region": "eu"})
WRONG: list[tuple[str, dict[str, Any], str, list[str]]] = [
    # Tiers and prices.
    ("rateCardAddRates", rate(**tiered(("0", "1"), (None, "1"))), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(**tiered(("-5", "1"), (None, "1"))), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(**tiered((None, "1"), (None, "1"))), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(**tiered(("5", "1"))), "INVALID", [*RATES, "price", "tiered", "0", "size"]),
    ("rateCardAddRates", rate(**tiered((None, "-1"))), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(price={"flat": "-0.01"}), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(price={"percentage": "0.1"}), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate("<fee>", price={"percentage": "-0.1"}), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate("<fee>", price={"tieredPercentage": []}), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(price={"volume": [{"size": "5", "unitPrice": "1"}]}), "INVALID", [*RATES, "price", "tiered", "0", "size"]),
    ("rateCardAddRates", rate(price={"package": {"size": "0", "packagePrice": "1"}}), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(price={"package": {"size": "1", "packagePrice": "-1"}}), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(price={"tiered": []}), "INVALID", [*RATES, "price"]),
    ("rateCardAddRates", rate(**tiered(*[("1", "1")] * 100, (None, "1"))), "LIMIT_EXCEEDED", [*RATES, "price", "tiered"]),
    ("rateCardAddRates", rate(price={"custom": {"rater": "nobody", "parameters": {}}}), "RATER_UNKNOWN", [*RATES, "price", "custom", "rater"]),
    ("rateCardAddRates", rate(minimum="5"), "INVALID", [*RATES, "minimum"]),
    ("rateCardAddRates", rate("<fee>", price={"percentage": "0.1"}, minimum="-5"), "INVALID", [*RATES, "minimum"]),
    ("rateCardAddRates", rate(billingFrequency="MONTHLY"), "INVALID", [*RATES, "billingFrequency"]),
    ("rateCardAddRates", rate("<fee>", price={"percentage": "0.1"}, commitPrice={"flat": "1"}), "INVALID", [*RATES, "commitPrice"]),
    ("rateCardAddRates", rate("<fee>"), "INVALID", [*RATES, "price"]),
    ("rateCardCreate", {"input": {"name": "C", "currency": "USD", "rates": rate()["rates"] * 1_001}}, "LIMIT_EXCEEDED", [*INPUT, "rates"]),
    # Group keys and values.
    ("productCreate", product(pricingGroupKey=["zone"]), "INVALID", [*INPUT, "pricingGroupKey"]),
    ("productCreate", product(pricingGroupKey=["region"], presentationGroupKey=["model"]), "INVALID", [*INPUT, "pricingGroupKey"]),
    ("productCreate", product(presentationGroupKey=["zone"]), "INVALID", [*INPUT, "presentationGroupKey"]),
    ("productAddVersion", {"id": "<tokens>", "input": {"startingAt": DECEMBER, "metricId": "<plain>"}}, "INVALID", [*INPUT, "pricingGroupKey"]),
    ("productAddVersion", {"id": "<tokens>", "input": {"startingAt": DECEMBER, "pricingGroupKey": ["zone"]}}, "INVALID", [*INPUT, "pricingGroupKey"]),
    ("productAddVersion", {"id": "<tokens>", "input": {"startingAt": DECEMBER, "presentationGroupKey": ["model"]}}, "INVALID", [*INPUT, "pricingGroupKey"]),
    ("productAddVersion", {"id": "<fee>", "input": {"startingAt": DECEMBER, "pricingGroupKey": ["region"]}}, "INVALID", ["id"]),
    ("productAddVersion", {"id": "<tokens>", "input": {"startingAt": DECEMBER, "composite": {"tags": ["llm"]}}}, "INVALID", [*INPUT, "composite"]),
    ("productAddVersion", {"id": "<fee>", "input": {"startingAt": DECEMBER, "composite": {"productIds": ["<fee>"]}}}, "INVALID", [*INPUT, "composite", "productIds", "0"]),
    ("rateCardAddRates", rate("<tokens>", groupValues=build.pairs({"zone": "eu"})), "INVALID", [*RATES, "groupValues"]),
    ("rateCardAddRates", rate(groupValues=EU), "INVALID", [*RATES, "groupValues"]),
    # Dates off the hour, and intervals without time.
    ("rateCardAddRates", rate(startingAt=HALF_PAST), "NOT_HOUR_ALIGNED", [*RATES, "startingAt"]),
    ("rateCardAddRates", rate(endingBefore=HALF_PAST), "NOT_HOUR_ALIGNED", [*RATES, "endingBefore"]),
    ("rateCardAddRates", rate(startingAt=DECEMBER, endingBefore=DECEMBER), "INVALID_INTERVAL", [*RATES, "endingBefore"]),
    ("productAddVersion", {"id": "<calls>", "input": {"startingAt": HALF_PAST, "name": "N"}}, "NOT_HOUR_ALIGNED", [*INPUT, "startingAt"]),
    ("rateCardGiveAlias", {"id": "<card>", "alias": {"name": "a", "startingAt": HALF_PAST}}, "NOT_HOUR_ALIGNED", ["alias", "startingAt"]),
    ("contractCreate", contract(interval={"startingAt": HALF_PAST}), "NOT_HOUR_ALIGNED", [*INPUT, "interval", "startingAt"]),
    ("contractCreate", contract(interval={"startingAt": DECEMBER, "endingBefore": DECEMBER}), "INVALID_INTERVAL", [*INPUT, "interval", "endingBefore"]),
    ("contractCreate", override(startingAt=HALF_PAST), "NOT_HOUR_ALIGNED", [*OWN, "startingAt"]),
    # Units.
    ("rateCardAddRates", rate(unit="POINTS"), "UNIT_LOCKED", [*RATES, "unit"]),
    ("rateCardAddRates", rate("<stranger>", unit="COINS"), "INVALID", [*RATES, "unit"]),
    ("rateCardUpdate", {"id": "<card>", "input": {"addConversions": [{"unit": "POINTS", "worth": "2"}]}}, "INVALID", [*INPUT, "addConversions"]),
    ("rateCardUpdate", {"id": "<other>", "input": {"name": "N", "addConversions": [{"unit": "POINTS", "worth": "-2"}]}}, "INVALID", [*INPUT, "addConversions"]),
    ("rateCardAddRates", {"id": "<other>", "rates": [{"productId": "<calls>", "price": {"flat": "1"}, "unit": "POINTS"}]}, "INVALID", [*RATES, "unit"]),
    ("contractCreate", contract(currency="EUR"), "CURRENCY_MISMATCH", [*INPUT, "currency"]),
    # Overrides.
    ("contractCreate", override(change={"overwrite": {"flat": "1"}}, anyTags=["llm"]), "OVERWRITE_NEEDS_PRODUCT", OWN),
    ("contractCreate", override(change={"overwrite": {"flat": "1"}}, productId="<tokens>"), "OVERWRITE_NEEDS_PRODUCT", OWN),
    ("contractCreate", override(change={"overwrite": {"percentage": "0.1"}}, productId="<calls>"), "INVALID", [*OWN, "change", "overwrite"]),
    ("contractCreate", override(change={"multiplier": "-1"}), "MULTIPLIER_NEGATIVE", [*OWN, "change"]),
    ("contractCreate", override(change={"tiered": [{"size": "0", "multiplier": "1"}]}), "INVALID", [*OWN, "change", "tiered"]),
    ("contractCreate", override(change={"overwrite": {"flat": "-1"}}, productId="<calls>"), "INVALID", [*OWN, "change", "overwrite"]),
    ("contractCreate", override(change={"overwrite": {"tiered": [{"size": "5", "unitPrice": "1"}]}}, productId="<calls>"), "INVALID", [*OWN, "change", "overwrite", "tiered", "0", "size"]),
    ("contractCreate", override(change={"tiered": [{"multiplier": "1"}]}), "TIERED_NEEDS_EXPLICIT", [*OWN, "change", "tiered"]),
    ("contractCreate", contract(overridePriority="EXPLICIT", overrides=[{"change": {"multiplier": "0.5"}}]), "PRIORITY_REQUIRED", [*OWN, "priority"]),
    ("contractCreate", override(target="COMMIT_RATE"), "TARGET_NEEDS_COMMIT_SPECIFIC", [*OWN, "target"]),
    ("contractCreate", override(specifiers=[{"productId": "<tokens>", "pricing": build.pairs({"zone": "eu"})}]), "INVALID", [*OWN, "specifiers", "0", "pricing"]),
    ("contractCreate", override(startingAt=DECEMBER, endingBefore=DECEMBER), "INVALID_INTERVAL", [*OWN, "endingBefore"]),
    ("contractCreate", override(productId="<stranger>"), "PRODUCT_NOT_ON_CARD", [*OWN, "productId"]),
    # Names, orders and what does not exist.
    ("productCreate", product(tags=["a", "a"]), "INVALID", [*INPUT, "tags"]),
    ("productCreate", product(customFields=build.pairs({"sku": "1"})), "CUSTOM_FIELD_UNKNOWN", [*INPUT, "customFields", "sku"]),
    ("billableMetricCreate", {"input": {"name": "m", "aggregation": "SUM"}}, "REQUIRED", [*INPUT, "aggregationKey"]),
    ("productCreate", {"input": {"name": "P", "type": "COMPOSITE"}}, "REQUIRED", [*INPUT, "composite"]),
    ("productCreate", {"input": {"name": "P", "type": "COMPOSITE", "composite": {"scope": "CUSTOMER"}}}, "REQUIRED", [*INPUT, "composite"]),
    ("productCreate", {"input": {"name": "P", "type": "COMPOSITE", "composite": {"productIds": ["<fee>"], "scope": "CUSTOMER"}}}, "INVALID", [*INPUT, "composite", "productIds", "0"]),
    ("productCreate", product(type="FIXED"), "INVALID", [*INPUT]),
    ("productCreate", product(quantityConversion={"operation": "DIVIDE", "factor": "0"}), "INVALID", [*INPUT, "quantityConversion"]),
    ("productCreate", product(quantityRounding={"method": "ROUND_UP", "decimalPlaces": 13}), "INVALID", [*INPUT, "quantityRounding", "decimalPlaces"]),
    ("productCreate", product(sqlBreakdownGranularity="SERVICE_PERIOD"), "INVALID", [*INPUT, "sqlBreakdownGranularity"]),
    ("billableMetricCreate", {"input": {"name": "m", "aggregation": "COUNT", "aggregationKey": "n"}}, "INVALID", [*INPUT, "aggregationKey"]),
    ("billableMetricCreate", {"input": {"name": "m", "aggregation": "COUNT", "groupKeys": [[]]}}, "INVALID", [*INPUT, "groupKeys", "0"]),
    ("billableMetricCreate", {"input": {"name": "m", "sql": "SELECT pg_sleep(9) FROM events"}}, "SQL_NOT_ALLOWED", [*INPUT, "sql"]),
    ("rateCardGiveAlias", {"id": "<other>", "alias": {"name": "standard"}}, "ALIAS_TAKEN", ["alias", "name"]),
    ("rateCardSetProductOrder", {"id": "<card>", "productIds": ["<calls>", "<stranger>"]}, "PRODUCT_NOT_ON_CARD", ["productIds", "1"]),
    ("contractCreate", contract(rateCardAlias="standard"), "INVALID", [*INPUT, "rateCardAlias"]),
    ("contractCreate", contract(rateCardId=None, rateCardAlias="nobody"), "NOT_FOUND", [*INPUT, "rateCardAlias"]),
]  # fmt: skip


@pytest.fixture
async def shop(api: Api, store: Store) -> Shop:
    return await Shop(api, store).opened()


async def test_wrong_definitions_are_refused_and_leave_nothing(shop: Shop) -> None:
    """One shop for the whole table: after each refusal every table is as before."""
    before = await shop.rows()
    for mutation, variables, code, path in WRONG:
        errors = await shop.ask(mutation, variables)
        assert [(error["code"], error["path"]) for error in errors] == [(code, path)], (mutation, variables, errors)
        assert await shop.rows() == before, (mutation, variables)


async def test_the_right_ones_beside_them_are_taken(shop: Shop) -> None:
    """The table's defaults are acceptable, so it is the one wrong part that is refused."""
    before = await shop.rows()
    for mutation, variables in (
        ("rateCardAddRates", rate()),
        ("productCreate", product(pricingGroupKey=["region"])),
        ("contractCreate", override()),
    ):
        assert await shop.ask(mutation, variables) == []
        assert await shop.rows() != before
