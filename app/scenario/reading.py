"""Reads scenario files, and refuses what this release does not understand.

Owns the list of fields that the runner can carry out. A field that is not listed makes the file fail with its name:
nothing in a scenario is ever passed over in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.clock import parse_instant

Json = dict[str, Any]

ADDITIONS = {
    "add_balances": "balances",
    "add_recurring": "recurring",
    "add_overrides": "overrides",
    "add_usage_filter": "usage_filter",
    "add_scheduled_charges": "scheduled_charges",
    "add_subscriptions": "subscriptions",
}
"""What an `edit` step can add, and what a contract calls it."""
EDITS = (*ADDITIONS, "remove_overrides", "quantity_updates", "update_balances", "uniqueness_key")
"""What an `edit` step can do."""
FIELDS: dict[str, frozenset[str]] = {
    "scenario": frozenset(
        {"name", "why", "worked", "tags", "metrics", "products", "rate_cards", "customers", "contracts", "events", "steps", "hand", "units"}
    ),
    "metric": frozenset({"id", "aggregation", "key", "event_types", "filters", "money", "session", "latest"}),
    "product": frozenset({"id", "name", "type", "tags", "metric", "pricing_group_key", "presentation_group_key", "conversion", "rounding", "versions", "composite"}),
    "money": frozenset({"currency", "currency_property"}),
    "session": frozenset({"key", "window"}),
    "latest": frozenset({"entity", "state", "counted"}),
    "composite": frozenset({"products", "tags"}),
    "conversion": frozenset({"operation", "factor"}),
    "rounding": frozenset({"method", "places"}),
    "version": frozenset({"starting_at", "metric", "conversion", "rounding"}),
    "rate_card": frozenset({"id", "unit", "rates", "product_order", "conversions"}),
    "rate": frozenset(
        {"product", "rate_type", "price", "tiers", "starting_at", "ending_before", "entitled", "group_values", "billing_frequency", "commit_rate", "unit"}
    ),
    "customer": frozenset({"id", "aliases", "providers", "balances"}),
    "balance": frozenset(
        {
            "id", "type", "access", "unit", "priority", "products", "tags", "specifiers", "rate_type", "rollover_fraction",
            "created_at", "uniqueness_key", "trueup_disabled", "contracts", "invoice_contract", "product", "customer", "invoice",
        }
    ),
    "recurring balance": frozenset(
        {
            "id", "type", "unit", "priority", "products", "tags", "specifiers", "rate_type", "rollover_fraction", "product",
            "access_amount", "invoice_amount", "duration", "starting_at", "ending_before", "frequency", "proration",
        }
    ),
    "access": frozenset({"amount", "starting_at", "ending_before"}),
    "balance invoice": frozenset({"unit", "do_not_invoice", "items", "recurring", "timestamp", "amount"}),
    "custom unit": frozenset({"custom"}),
    "provider": frozenset({"id", "kind"}),
    "contract": frozenset(
        {
            "id", "customer", "rate_card", "starting_at", "ending_before", "created_at", "priority", "grace_hours",
            "statement", "provider", "uniqueness_key", "overrides", "override_priority", "usage_filter",
            "scheduled_charges", "consolidate", "subscriptions", "balances", "recurring", "transition",
        }
    ),
    "scheduled charge": frozenset({"id", "product", "unit", "items", "recurring"}),
    "transition": frozenset({"from", "type", "trueup"}),
    "item": frozenset({"timestamp", "amount", "unit_price", "quantity"}),
    "recurring schedule": frozenset(
        {"starting_at", "ending_before", "frequency", "amount", "unit_price", "quantity", "distribution"}
    ),
    "subscription": frozenset(
        {
            "id", "product", "frequency", "collection", "initial_quantity", "starting_at", "ending_before", "anchor",
            "placement", "proration", "updates",
        }
    ),
    "proration": frozenset({"prorate", "behavior", "rounding"}),
    "quantity update": frozenset({"subscription", "starting_at", "quantity", "delta"}),
    "override": frozenset(
        {
            "id", "starting_at", "ending_before", "type", "multiplier", "rate", "tiers", "entitled", "priority",
            "product", "tags", "specifiers", "commit_specific", "target",
        }
    ),
    "balance update": frozenset(
        {"id", "priority", "rate_type", "products", "tags", "specifiers", "trueup_disabled"}
    ),
    "override rate": frozenset({"rate_type", "price", "tiers"}),
    "specifier": frozenset({"product", "tags", "pricing", "presentation", "billing_frequency", "balances", "recurring"}),
    "usage filter": frozenset({"key", "values", "starting_at"}),
    "statement": frozenset({"frequency", "day", "anchor", "generate_from"}),
    "event": frozenset(
        {"customer", "type", "timestamp", "received_at", "transaction_id", "properties", "every", "from", "to", "cycle"}
    ),
    "step": frozenset({"at", "action", "expect", "events", "historical", "as_of", "customer", "aliases", "observe", *EDITS, "contract", "balance", "segment", "amount", "reason", "timestamp", "invoice", "ending_before", "allow_ending_before_finalized_invoice", "void_invoices"}),
    "query": frozenset({"what", "contract", "customer", "type", "status", "ref", "provider", "starting_at", "window", "from", "to", "metric", "group_by", "balance", "unit", "types", "mode"}),
}  # fmt: skip
KNOWN_VALUES = {
    "aggregation": frozenset({"COUNT", "SUM", "MAX", "UNIQUE", "LATEST", "SESSION_COUNT", "COUNT_LATEST"}),
    "product type": frozenset({"USAGE", "COMPOSITE", "SUBSCRIPTION", "FIXED"}),
    "rate_type": frozenset({"FLAT", "TIERED", "PERCENTAGE", "TIERED_PERCENTAGE"}),
    "balance type": frozenset({"PREPAID", "POSTPAID", "CREDIT"}),
    "action": frozenset(
        {
            "ingest",
            "finalize",
            "set_aliases",
            "observe",
            "edit",
            "manual",
            "add_balance",
            "void",
            "regenerate",
            "end",
            "archive_contract",
            "create_contract",
        }
    ),
    "what": frozenset({"invoices", "metered", "breakdown", "balances", "usage", "lifetime", "ledger", "net_balance"}),
}


class NotUnderstood(Exception):
    """The file asks for something that this release does not have, or is no scenario at all."""


def read(file: Path) -> Json:
    """A scenario whose every field is understood."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotUnderstood(f"not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise NotUnderstood("not a JSON object")
    known("scenario", content)
    for metric in content.get("metrics", []):
        known("metric", metric)
        for part in ("money", "session", "latest"):
            known(part, metric.get(part, {}))
        value("aggregation", metric["aggregation"])
    for product in content.get("products", []):
        value("product type", product.get("type", "USAGE"))
        known("composite", product.get("composite", {}))
        for version in (product, *product.get("versions", [])):
            known("version" if version is not product else "product", version)
            known("conversion", version.get("conversion", {}))
            known("rounding", version.get("rounding", {}))
    for card in content.get("rate_cards", []):
        known("rate_card", card)
        for rate in card["rates"]:
            known("rate", rate)
            value("rate_type", rate["rate_type"])
    for customer in content.get("customers", []):
        known("customer", customer)
        for provider in customer.get("providers", []):
            known("provider", provider)
        _known_balances(customer.get("balances", []))
    for unit in content.get("units", {}).values():
        known("custom unit", unit)
    for contract in content.get("contracts", []):
        _known_contract(contract)
    for event in content.get("events", []):
        known("event", event)
    for step in content["steps"]:
        _known_step(step)
    return content


def _known_contract(contract: Json) -> None:
    known("contract", contract)
    known("statement", contract.get("statement", {}))
    known("transition", contract.get("transition", {}))
    for item in contract.get("usage_filter", []):
        known("usage filter", item)
    for override in contract.get("overrides", []):
        known("override", override)
        if "rate" in override:
            known("override rate", override["rate"])
            value("rate_type", override["rate"]["rate_type"])
        for specifier in override.get("specifiers", []):
            known("specifier", specifier)
    _known_fees(contract.get("scheduled_charges", []), contract.get("subscriptions", []))
    _known_balances(contract.get("balances", []))
    for item in contract.get("recurring", []):
        known("recurring balance", item)


def _known_fees(charges: Sequence[Json], subscriptions: Sequence[Json]) -> None:
    for charge in charges:
        known("scheduled charge", charge)
        known("recurring schedule", charge.get("recurring", {}))
        for item in charge.get("items", []):
            known("item", item)
    for subscription in subscriptions:
        known("subscription", subscription)
        known("proration", subscription.get("proration", {}))
        known("rounding", subscription.get("proration", {}).get("rounding", {}))
        for update in subscription.get("updates", []):
            known("quantity update", update)


def _known_balances(balances: Sequence[Json]) -> None:
    for balance in balances:
        known("balance", balance)
        value("balance type", balance["type"])
        for access in balance["access"]:
            known("access", access)
        for specifier in balance.get("specifiers", []):
            known("specifier", specifier)
        known("balance invoice", balance.get("invoice", {}))
        known("recurring schedule", balance.get("invoice", {}).get("recurring", {}))
        for item in balance.get("invoice", {}).get("items", []):
            known("item", item)


def known(kind: str, fields: Mapping[str, Any]) -> None:
    """Refuse fields that the runner does not carry out."""
    unknown = sorted(set(fields) - FIELDS[kind])
    if unknown:
        raise NotUnderstood(f"{kind}: {', '.join(unknown)}")


def value(kind: str, found: str) -> None:
    """Refuse values of closed lists that this release does not have."""
    if found not in KNOWN_VALUES[kind]:
        raise NotUnderstood(f"{kind} {found}")


def additions(step: Json) -> Json:
    """What an `edit` step adds, written as a contract's terms; a usage filter may stand alone."""
    found = {name: step[field] for field, name in ADDITIONS.items() if field in step}
    if isinstance(found.get("usage_filter"), dict):
        found["usage_filter"] = [found["usage_filter"]]
    return found


def expand(event: Json) -> Iterator[Json]:
    """One event, or the series that a generator (`every`, `from`, `to`, `cycle`) stands for."""
    if "every" not in event:
        yield event
        return
    length = {"PT1H": timedelta(hours=1), "P1D": timedelta(days=1)}.get(event["every"])
    if length is None:
        raise NotUnderstood(f"every {event['every']}")
    at, end, number = parse_instant(event["from"]), parse_instant(event["to"]), 0
    while at < end:
        single = {key: item for key, item in event.items() if key not in ("every", "from", "to", "cycle")}
        cycled = {name: values[number % len(values)] for name, values in event.get("cycle", {}).items()}
        single |= {
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "properties": {**event.get("properties", {}), **cycled},
        }
        if "transaction_id" in event:
            single["transaction_id"] = f"{event['transaction_id']}-{number}"
        yield single
        at, number = at + length, number + 1


def _known_step(step: Json) -> None:
    value("action", step["action"])
    known("step", step)
    if isinstance(step.get("contract"), dict):
        _known_contract(step["contract"])
    _known_balances([step["balance"]] if isinstance(step.get("balance"), dict) else [])
    for event in step.get("events", []):
        known("event", event)
    _known_contract(additions(step))
    for balance in step.get("update_balances", []):
        known("balance update", balance)
        for specifier in balance.get("specifiers", []):
            known("specifier", specifier)
    for update in step.get("quantity_updates", []):
        known("quantity update", update)
    for query in step.get("observe", []):
        value("what", query["what"])
        known("query", query)
