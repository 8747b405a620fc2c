"""The JSON form of terms: what an invoice keeps of the agreement that made it, and the way back.

Owns the form. It may grow and never changes its meaning: a form written by an earlier release lacks what came later,
and is read as the terms that it stood for then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.catalog.raters import bound, bound_change
from app.clock import parse_instant
from app.contracts.frozen_fees import fees_from_json, fees_to_json
from app.core.composite import composite_from_json, composite_to_json
from app.core.conversions import (
    Conversion,
    Rounding,
    conversion_from_json,
    conversion_to_json,
    rounding_from_json,
    rounding_to_json,
)
from app.core.elsewhere import elsewhere_from_json, elsewhere_to_json
from app.core.money import Unit, canonical, parse_decimal
from app.core.overrides import change_from_json, change_to_json, specifier_from_json, specifier_to_json
from app.core.period import Frequency, Period, StatementDay, StatementSchedule
from app.core.rates import rate_from_json, rate_to_json
from app.core.terms import (
    Composite,
    MoneyOf,
    Naming,
    Override,
    OverridePriority,
    Product,
    ProductType,
    ProductVersion,
    RateEntry,
    RateTarget,
    SqlGranularity,
    Terms,
    UsageFilter,
)


def own_terms_to_json(terms: Terms) -> dict[str, Any]:
    """The terms as plain JSON, without `products` and `rates`: those are of every contract on a rate card, and have a form
    of their own. Keys and lists in a fixed order.
    """
    return {
        "contract": str(terms.contract_id),
        "customer": str(terms.customer_id),
        "unit": terms.unit.code,
        "unit_places": terms.unit.places,
        "period": _period_to_json(terms.period),
        "schedule": {
            "frequency": terms.schedule.frequency,
            "day": terms.schedule.day,
            "anchor": _instant(terms.schedule.anchor),
            "generate_from": _instant(terms.schedule.generate_from),
        },
        "grace_hours": terms.grace // timedelta(hours=1),
        "product_order": [str(product_id) for product_id in terms.product_order],
        "overrides": [_override_to_json(item) for item in terms.overrides],
        "override_priority": terms.override_priority,
        "conversions": [[unit, canonical(price)] for unit, price in terms.conversions],
        "usage_filters": [
            {"starting_at": _instant(item.starting_at), "key": item.key, "values": list(item.values)}
            for item in terms.usage_filters
        ],
        "fees": fees_to_json(terms),
        **({"elsewhere": [elsewhere_to_json(item) for item in terms.elsewhere]} if terms.elsewhere else {}),
    }


def terms_from_json(form: Mapping[str, Any]) -> Terms:
    """The terms that an invoice was made from."""
    schedule = form["schedule"]
    return Terms(
        contract_id=UUID(form["contract"]),
        customer_id=UUID(form["customer"]),
        unit=Unit(form["unit"], form["unit_places"], is_fiat=True),
        period=_period_from_json(form["period"]),
        schedule=StatementSchedule(
            frequency=Frequency(schedule["frequency"]),
            day=StatementDay(schedule["day"]),
            anchor=_optional_instant(schedule["anchor"]),
            generate_from=_optional_instant(schedule["generate_from"]),
        ),
        grace=timedelta(hours=form["grace_hours"]),
        products=tuple(_product_from_json(item) for item in form["products"]),
        rates=tuple(_entry_from_json(item) for item in form["rates"]),
        product_order=tuple(UUID(item) for item in form["product_order"]),
        overrides=tuple(_override_from_json(item) for item in form.get("overrides", ())),
        override_priority=OverridePriority(form.get("override_priority", OverridePriority.LOWEST_MULTIPLIER)),
        conversions=tuple((unit, parse_decimal(price)) for unit, price in form.get("conversions", ())),
        usage_filters=tuple(
            UsageFilter(parse_instant(item["starting_at"]), item["key"], tuple(item["values"]))
            for item in form.get("usage_filters", ())
        ),
        elsewhere=tuple(elsewhere_from_json(item) for item in form.get("elsewhere", ())),
        **fees_from_json(form.get("fees", {})),
    )


def _without_empty(form: dict[str, Any]) -> dict[str, Any]:
    """A form without what says nothing, which is most of what a product or a rate could say."""
    return {name: value for name, value in form.items() if value is not None and value != [] and value != {}}


def product_to_json(product: Product) -> dict[str, Any]:
    """One of the `products` of terms. A product or rate has only the keys that say something; earlier releases wrote null
    and empty ones too.
    """
    form = {
        "id": str(product.id),
        "name": product.name,
        "type": product.type,
        "metric": None if product.metric_id is None else str(product.metric_id),
        "pricing_group_key": list(product.pricing_group_key),
        "presentation_group_key": list(product.presentation_group_key),
        "tags": list(product.tags),
        "conversion": None if product.conversion is None else conversion_to_json(product.conversion),
        "rounding": None if product.rounding is None else rounding_to_json(product.rounding),
        "sql_granularity": product.sql_granularity,
        "money": None if product.money is None else [product.money.currency, product.money.currency_property],
        "composite": None if product.composite is None else composite_to_json(product.composite),
        "versions": [_version_to_json(version) for version in product.versions],
        "custom_fields": dict(product.custom_fields),
        "namings": [
            {"starting_at": _instant(item.starting_at), "name": item.name, "tags": list(item.tags)}
            | ({} if item.composite is None else {"composite": composite_to_json(item.composite)})
            for item in product.namings
        ],
    }
    return _without_empty(form)


def _version_to_json(version: ProductVersion) -> dict[str, Any]:
    return {
        "starting_at": _instant(version.starting_at),
        "metric": str(version.metric_id),
        "conversion": None if version.conversion is None else conversion_to_json(version.conversion),
        "rounding": None if version.rounding is None else rounding_to_json(version.rounding),
        "pricing_group_key": list(version.pricing_group_key),
        "presentation_group_key": list(version.presentation_group_key),
        "sql_granularity": version.sql_granularity,
    }


def _product_from_json(item: Mapping[str, Any]) -> Product:
    pricing_group_key = tuple(item.get("pricing_group_key", ()))
    presentation_group_key = tuple(item.get("presentation_group_key", ()))
    return Product(
        id=UUID(item["id"]),
        name=item["name"],
        type=ProductType(item["type"]),
        metric_id=UUID(item["metric"]) if item.get("metric") else None,
        pricing_group_key=pricing_group_key,
        presentation_group_key=presentation_group_key,
        tags=tuple(item.get("tags", ())),
        conversion=_conversion(item.get("conversion")),
        rounding=_rounding(item.get("rounding")),
        sql_granularity=SqlGranularity(item.get("sql_granularity", SqlGranularity.HOUR)),
        money=MoneyOf(*item["money"]) if item.get("money") else None,
        composite=_composite(item.get("composite")),
        namings=tuple(
            Naming(
                parse_instant(found["starting_at"]),
                found["name"],
                tuple(found["tags"]),
                _composite(found.get("composite")),
            )
            for found in item.get("namings", ())
        ),
        custom_fields=tuple(sorted(item.get("custom_fields", {}).items())),
        versions=tuple(
            ProductVersion(
                starting_at=parse_instant(version["starting_at"]),
                metric_id=UUID(version["metric"]),
                conversion=_conversion(version["conversion"]),
                rounding=_rounding(version["rounding"]),
                # Terms of an earlier release had one pair of keys for all versions.
                pricing_group_key=tuple(version.get("pricing_group_key", pricing_group_key)),
                presentation_group_key=tuple(version.get("presentation_group_key", presentation_group_key)),
                sql_granularity=SqlGranularity(version.get("sql_granularity", item.get("sql_granularity", "HOUR"))),
            )
            for version in item.get("versions", ())
        ),
    )


def _composite(form: Mapping[str, Any] | None) -> Composite | None:
    return None if form is None else composite_from_json(form)


def _conversion(item: Mapping[str, Any] | None) -> Conversion | None:
    return None if item is None else conversion_from_json(item)


def _rounding(item: Mapping[str, Any] | None) -> Rounding | None:
    return None if item is None else rounding_from_json(item)


def rates_to_json(rates: Iterable[RateEntry]) -> list[dict[str, Any]]:
    """The `rates` of terms, in the order of their addition."""
    return [_entry_to_json(entry) for entry in sorted(rates, key=lambda entry: (entry.added, entry.id))]


def _entry_to_json(entry: RateEntry) -> dict[str, Any]:
    form = {
        "id": str(entry.id),
        "product": str(entry.product_id),
        "rate": rate_to_json(entry.rate),
        "period": _period_to_json(entry.period),
        "entitled": entry.entitled,
        "group_values": dict(entry.group_values),
        "added": entry.added,
        "commit_rate": None if entry.commit_rate is None else rate_to_json(entry.commit_rate),
        "unit": entry.unit,
        "minimum": None if entry.minimum is None else canonical(entry.minimum),
        "billing_frequency": entry.billing_frequency,
    }
    return _without_empty(form)


def _entry_from_json(item: Mapping[str, Any]) -> RateEntry:
    return RateEntry(
        id=UUID(item["id"]),
        product_id=UUID(item["product"]),
        rate=bound(rate_from_json(item["rate"])),
        period=_period_from_json(item["period"]),
        entitled=item["entitled"],
        group_values=tuple(sorted(item.get("group_values", {}).items())),
        added=item["added"],
        commit_rate=rate_from_json(item["commit_rate"]) if item.get("commit_rate") else None,
        unit=item.get("unit"),
        minimum=parse_decimal(item["minimum"]) if item.get("minimum") else None,
        billing_frequency=Frequency(item["billing_frequency"]) if item.get("billing_frequency") else None,
    )


def _override_to_json(override: Override) -> dict[str, Any]:
    return {
        "id": str(override.id),
        "period": _period_to_json(override.period),
        "specifiers": [specifier_to_json(specifier) for specifier in override.specifiers],
        "change": None if override.change is None else change_to_json(override.change),
        "entitled": override.entitled,
        "priority": override.priority,
        "added": override.added,
        "is_commit_specific": override.is_commit_specific,
        "target": override.target,
    }


def _override_from_json(item: Mapping[str, Any]) -> Override:
    return Override(
        id=UUID(item["id"]),
        period=_period_from_json(item["period"]),
        specifiers=tuple(specifier_from_json(specifier) for specifier in item["specifiers"]),
        change=None if item["change"] is None else bound_change(change_from_json(item["change"])),
        entitled=item["entitled"],
        priority=item["priority"],
        added=item["added"],
        is_commit_specific=item.get("is_commit_specific", False),
        target=RateTarget(item.get("target", RateTarget.LIST_RATE)),
    )


def _period_to_json(period: Period) -> dict[str, str | None]:
    return {"starting_at": _instant(period.starting_at), "ending_before": _instant(period.ending_before)}


def _period_from_json(item: Mapping[str, str | None]) -> Period:
    starting_at = _optional_instant(item["starting_at"])
    assert starting_at is not None, "a period has a start"
    return Period(starting_at, _optional_instant(item["ending_before"]))


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def _optional_instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
