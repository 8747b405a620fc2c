"""Builds test data through the API: one function for each kind of thing, every argument optional.

A builder speaks GraphQL like any client, fails on any error and returns the object with its id. Tests name the values
that matter to them and leave the rest to the defaults here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

CUSTOMER = "id name externalId ingestAliases status archivedAt uniquenessKey"
CONFIGURATION = "id provider connection isDefault archivedAt settings { key value }"
METRIC = "id name aggregation aggregationKey eventTypes eventTypesNotIn groupKeys filters { property exists in notIn }"
PRODUCT = "id name type pricingGroupKey presentationGroupKey tags archivedAt metric { id }"
RATES = """
rates { nodes { id startingAt endingBefore entitled product { id name } groupValues { key value }
  price { __typename ... on FlatPrice { unitPrice } ... on TieredPrice { tiers { size unitPrice } } } } }
"""
RATE_CARD = f"id name currency description archivedAt {RATES}"
CONTRACT = """
id name status currency revision graceHours priority netPaymentTermsDays archivedAt
interval { startingAt endingBefore } statement { frequency day anchor generateFrom }
customer { id } rateCard { id } billingConfiguration { id }
"""
ERRORS = "userErrors { code message path status conflicting { id } }"

CREATES = {
    "customer": ("customerCreate", "CustomerCreateInput", CUSTOMER),
    "billingConfiguration": ("billingConfigurationCreate", "BillingConfigurationCreateInput", CONFIGURATION),
    "billableMetric": ("billableMetricCreate", "BillableMetricCreateInput", METRIC),
    "product": ("productCreate", "ProductCreateInput", PRODUCT),
    "rateCard": ("rateCardCreate", "RateCardCreateInput", RATE_CARD),
    "contract": ("contractCreate", "ContractCreateInput", CONTRACT),
}
"""Object -> its create mutation, the input's type, and what is asked back."""


class Client(Protocol):
    """What runs a document and fails on top-level errors: the `api` fixture."""

    async def __call__(self, document: str, /, **variables: Any) -> dict[str, Any]: ...


async def attempt(api: Client, kind: str, **fields: Any) -> dict[str, Any]:
    """The whole payload of a create, errors and all."""
    mutation, input_type, asked = CREATES[kind]
    more = " warnings" if kind == "contract" else ""
    document = (
        f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) {{ {kind} {{ {asked} }}{more} {ERRORS} }} }}"
    )
    return (await api(document, input=fields))[mutation]


async def refusal(api: Client, kind: str, **fields: Any) -> dict[str, Any]:
    """The one error of a create that must be refused."""
    payload = await attempt(api, kind, **fields)
    assert payload[kind] is None, payload
    [error] = payload["userErrors"]
    return error


async def change(api: Client, call: str, kind: str, **variables: Any) -> dict[str, Any]:
    """The payload of another mutation: `change(api, "customerArchive(id: $id)", "customer", id=...)`."""
    types = {"id": "ID!", "aliases": "[String!]!", "rates": "[RateInput!]!", "name": "String!", "revision": "Int"}
    types["configuration"] = "ID"
    declared = ", ".join(f"${name}: {types[name]}" for name in variables)
    document = f"mutation ({declared}) {{ {call} {{ {kind} {{ {CREATES[kind][2]} }} {ERRORS} }} }}"
    return (await api(document, **variables))[call.partition("(")[0]]


async def customer(api: Client, name: str = "Acme", **fields: Any) -> dict[str, Any]:
    """A customer."""
    return await _made(api, "customer", name=name, **fields)


async def configuration(
    api: Client,
    customer_id: str | None = None,
    *,
    provider: str = "stripe",
    settings: Mapping[str, str] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A billing configuration; the provider's account must be configured."""
    chosen = {"stripeCustomerId": "cus_Acme"} if settings is None else settings
    return await _made(
        api,
        "billingConfiguration",
        customerId=customer_id or (await customer(api))["id"],
        provider=provider,
        settings=pairs(chosen),
        **fields,
    )


async def metric(api: Client, name: str = "tokens", **fields: Any) -> dict[str, Any]:
    """A metric that adds up the property n of every event."""
    return await _made(api, "billableMetric", **({"name": name, "aggregation": "SUM", "aggregationKey": "n"} | fields))


async def product(
    api: Client, name: str = "Tokens", *, metric_id: str | None = None, key: Sequence[str] = (), **fields: Any
) -> dict[str, Any]:
    """A usage product, priced by the properties `key`, which the metric made for it offers as a group key."""
    if metric_id is None:
        metric_id = (await metric(api, groupKeys=[list(key)] if key else []))["id"]
    return await _made(api, "product", name=name, metricId=metric_id, pricingGroupKey=list(key), **fields)


def rate(product_id: str, price: str | Sequence[tuple[str | None, str]] = "1", **fields: Any) -> dict[str, Any]:
    """A rate: one price, or tiers of (size, price)."""
    if isinstance(price, str):
        chosen: dict[str, Any] = {"flat": price}
    else:
        chosen = {"tiered": [{"size": size, "unitPrice": unit_price} for size, unit_price in price]}
    return {"productId": product_id, "price": chosen, **fields}


async def rate_card(
    api: Client, name: str = "List", *, rates: Sequence[dict[str, Any]] = (), currency: str = "USD", **fields: Any
) -> dict[str, Any]:
    """A rate card."""
    return await _made(api, "rateCard", name=name, currency=currency, rates=list(rates), **fields)


async def contract(
    api: Client,
    customer_id: str | None = None,
    rate_card_id: str | None = None,
    *,
    starting_at: str = "2026-11-01T00:00:00Z",
    ending_before: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A contract from the first of November on."""
    return await _made(
        api,
        "contract",
        customerId=customer_id or (await customer(api))["id"],
        rateCardId=rate_card_id or (await rate_card(api))["id"],
        interval=interval(starting_at, ending_before),
        **fields,
    )


def interval(starting_at: str, ending_before: str | None = None) -> dict[str, str | None]:
    """An interval as inputs take it."""
    return {"startingAt": starting_at, "endingBefore": ending_before}


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as inputs take it."""
    return [{"key": key, "value": value} for key, value in values.items()]


async def _made(api: Client, kind: str, **fields: Any) -> dict[str, Any]:
    payload = await attempt(api, kind, **fields)
    assert payload["userErrors"] == [], payload["userErrors"]
    return payload[kind]
