"""The JSON form of subscriptions and scheduled charges, as an invoice keeps them among its terms.

Owns that part of the form of `frozen.py`, under the same promise: it may grow and never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.clock import parse_instant
from app.core.fees import (
    BilledItem,
    Collection,
    FeePlacement,
    FeeRounding,
    FeeRoundingMethod,
    IncreaseBilling,
    ItemKey,
    ItemKind,
    Proration,
    QuantityUpdate,
    ScheduledCharge,
    Subscription,
)
from app.core.money import Unit, canonical
from app.core.period import Frequency, Period
from app.core.scheduled import schedule_from_json, schedule_to_json
from app.core.terms import Terms


def fees_to_json(terms: Terms) -> dict[str, Any]:
    """What the terms say of fees and charges; empty when they say nothing."""
    form = {
        "subscriptions": [_subscription_to_json(item) for item in terms.subscriptions],
        "scheduled_charges": [_charge_to_json(item) for item in terms.scheduled_charges],
        "consolidate": terms.consolidate,
        "billed": [
            [item.key.kind, str(item.key.source_id), _instant(item.key.at), item.key.ordinal, canonical(item.quantity)]
            for item in terms.billed
        ],
    }
    return {name: part for name, part in form.items() if part}


def fees_from_json(form: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Terms` that are about fees and charges."""
    return {
        "subscriptions": tuple(_subscription_from_json(item) for item in form.get("subscriptions", ())),
        "scheduled_charges": tuple(_charge_from_json(item) for item in form.get("scheduled_charges", ())),
        "consolidate": form.get("consolidate", False),
        "billed": tuple(
            BilledItem(ItemKey(ItemKind(kind), UUID(source), parse_instant(at), ordinal), Decimal(quantity))
            for kind, source, at, ordinal, quantity in form.get("billed", ())
        ),
    }


def _charge_to_json(charge: ScheduledCharge) -> dict[str, Any]:
    return {
        "id": str(charge.id),
        "product": None if charge.product_id is None else str(charge.product_id),
        "unit": [charge.unit.code, charge.unit.places, charge.unit.is_fiat],
        "schedule": schedule_to_json(charge.schedule),
        "added": charge.added,
        **({"is_purchase": True} if charge.is_purchase else {}),
        **({"stands_alone": True} if charge.stands_alone else {}),
        **({"is_discount": True} if charge.is_discount else {}),
    }


def _charge_from_json(item: Mapping[str, Any]) -> ScheduledCharge:
    return ScheduledCharge(
        id=UUID(item["id"]),
        product_id=None if item["product"] is None else UUID(item["product"]),
        unit=Unit(*item["unit"]),
        schedule=schedule_from_json(item["schedule"]),
        added=item["added"],
        is_purchase=item.get("is_purchase", False),
        stands_alone=item.get("stands_alone", False),
        is_discount=item.get("is_discount", False),
    )


def _subscription_to_json(subscription: Subscription) -> dict[str, Any]:
    proration = subscription.proration
    rounding = proration.rounding
    return {
        "id": str(subscription.id),
        "product": str(subscription.product_id),
        "frequency": subscription.frequency,
        "collection": subscription.collection,
        "starting_at": _instant(subscription.period.starting_at),
        "ending_before": _instant(subscription.period.ending_before),
        "initial_quantity": canonical(subscription.initial_quantity),
        "updates": [
            {"starting_at": _instant(item.starting_at), "quantity": _text(item.quantity), "delta": _text(item.delta)}
            for item in subscription.updates
        ],
        "prorate": proration.prorate,
        "increases": proration.increases,
        "rounding": None if rounding is None else [rounding.method, rounding.places],
        "placement": subscription.placement,
        "anchor": _instant(subscription.anchor),
        "added": subscription.added,
    }


def _subscription_from_json(item: Mapping[str, Any]) -> Subscription:
    rounding = item["rounding"]
    return Subscription(
        id=UUID(item["id"]),
        product_id=UUID(item["product"]),
        frequency=Frequency(item["frequency"]),
        collection=Collection(item["collection"]),
        period=Period(parse_instant(item["starting_at"]), _optional_instant(item["ending_before"]), allow_empty=True),
        initial_quantity=Decimal(item["initial_quantity"]),
        updates=tuple(
            QuantityUpdate(parse_instant(update["starting_at"]), _number(update["quantity"]), _number(update["delta"]))
            for update in item["updates"]
        ),
        proration=Proration(
            item["prorate"],
            IncreaseBilling(item["increases"]),
            None if rounding is None else FeeRounding(FeeRoundingMethod(rounding[0]), rounding[1]),
        ),
        placement=FeePlacement(item["placement"]),
        anchor=_optional_instant(item["anchor"]),
        added=item["added"],
    )


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def _optional_instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else canonical(value)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
