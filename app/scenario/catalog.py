"""A scenario's metrics, products and rate cards, made through the services in the order of the scenario's ids.

Owns the translation of filters; that of prices is in `prices.py`. Customers and contracts are left to `founding.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog import outcomes, version_rules, versions
from app.catalog.metrics import create_metric
from app.catalog.product_order import set_product_order
from app.catalog.products import create_product
from app.catalog.rates import add_rates
from app.catalog.service import create_rate_card
from app.catalog.units import create_pricing_unit
from app.clock import parse_instant
from app.core.conversions import Conversion, ConversionOperation, Rounding, RoundingMethod
from app.core.terms import Composite, MoneyOf, PropertyFilter
from app.scenario.prices import new_rate
from app.scenario.world import Json, World


async def found_catalog(session: AsyncSession, world: World, scenario: Json, *, now: datetime) -> None:
    """Make everything that contracts may refer to; rates in list order."""
    for unit in sorted(scenario.get("units", {})):
        await create_pricing_unit(session, code=unit, name=unit, now=now)
    group_keys = _group_keys(scenario)
    for metric in sorted(scenario.get("metrics", []), key=lambda item: item["id"]):
        types = metric.get("event_types", {})
        row = await create_metric(
            session, name=metric["id"], aggregation=metric["aggregation"], key=metric.get("key"),
            event_types_in=types.get("in"), event_types_not_in=types.get("not_in"), filters=[_filter(item) for item in metric.get("filters", [])],
            group_keys=group_keys.get(metric["id"], []), money=MoneyOf(**metric["money"]) if "money" in metric else None,
            outcome=_outcome(metric), now=now,
        )  # fmt: skip
        world.metrics[metric["id"]] = row.id
    # Composite products name others, so they come after them.
    for product in sorted(scenario.get("products", []), key=lambda item: ("composite" in item, item["id"])):
        made = await create_product(
            session, name=product.get("name", product["id"]), type=product.get("type", "USAGE"),
            metric_id=world.metrics[product["metric"]] if "metric" in product else None, pricing_group_key=product.get("pricing_group_key", []),
            presentation_group_key=product.get("presentation_group_key", []), tags=product.get("tags", []),
            conversion=_conversion(product), rounding=_rounding(product), composite=_composite(world, product), now=now,
        )  # fmt: skip
        for version in product.get("versions", []):
            await versions.add_product_version(session, made.id, _version(world, version), now=now)
        world.products[product["id"]] = made.id
    for card in sorted(scenario.get("rate_cards", []), key=lambda item: item["id"]):
        conversions = {unit: Decimal(worth) for unit, worth in card.get("conversions", {}).items()}
        made_card = await create_rate_card(
            session, name=card["id"], currency=card["unit"], conversions=conversions, now=now
        )
        if card["rates"]:
            rates = [new_rate(world, rate, of_card=card) for rate in card["rates"]]
            await add_rates(session, made_card.id, rates, now=now)
        if "product_order" in card:
            await set_product_order(session, made_card.id, [world.products[name] for name in card["product_order"]])
        world.rate_cards[card["id"]] = made_card.id


def _version(world: World, version: Json) -> version_rules.ProductChange:
    return version_rules.ProductChange(
        starting_at=parse_instant(version["starting_at"]),
        metric_id=world.metrics[version["metric"]] if "metric" in version else None,
        conversion=_conversion(version),
        rounding=_rounding(version),
    )


def _group_keys(scenario: Json) -> dict[str, list[list[str]]]:
    """What each metric must offer: the group keys of its products, beside what filters name, and what is asked for."""
    filters = [item["key"] for contract in scenario.get("contracts", []) for item in contract.get("usage_filter", [])]
    found: dict[str, list[list[str]]] = {}
    for product in scenario.get("products", []):
        if "metric" not in product:
            continue
        own = {*product.get("pricing_group_key", []), *product.get("presentation_group_key", [])}
        keys = [sorted({*own, name}) for name in dict.fromkeys(filters)] or [sorted(own)] * bool(own)
        measured_by = {product["metric"], *(v["metric"] for v in product.get("versions", []) if "metric" in v)}
        for metric in sorted(measured_by):
            offered = found.setdefault(metric, [])
            offered += [key for key in keys if key not in offered]
    for step in scenario["steps"]:
        for query in step.get("observe", []):
            if query.get("group_by"):
                found.setdefault(query["metric"], []).append(sorted(grouping(query)))
    return found


def grouping(query: Json) -> list[str]:
    """The properties by which a query asks for usage: one, or a list."""
    wanted = query.get("group_by", [])
    return [wanted] if isinstance(wanted, str) else wanted


def _composite(world: World, product: Json) -> Composite | None:
    found = product.get("composite")
    if found is None:
        return None
    return Composite(tuple(world.products[name] for name in found.get("products", ())), tuple(found.get("tags", ())))


def _outcome(metric: Json) -> outcomes.NewOutcome | None:
    if "session" in metric:
        return outcomes.NewOutcome(keys=tuple(metric["session"]["key"]), window=metric["session"]["window"])
    found = metric.get("latest")
    if found is None:
        return None
    return outcomes.NewOutcome(entity=found["entity"], state=found["state"], counted=tuple(found["counted"]))


def _conversion(product: Json) -> Conversion | None:
    found = product.get("conversion")
    return None if found is None else Conversion(ConversionOperation(found["operation"]), Decimal(found["factor"]))


def _rounding(product: Json) -> Rounding | None:
    found = product.get("rounding")
    return None if found is None else Rounding(RoundingMethod(found["method"]), found["places"])


def _filter(condition: Json) -> PropertyFilter:
    return PropertyFilter(
        name=condition["name"],
        exists=condition.get("exists"),
        in_values=tuple(condition.get("in", ())),
        not_in_values=tuple(condition.get("not_in", ())),
    )
