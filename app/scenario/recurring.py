"""Recurring commits and credits of a scenario, as the service takes them; `children.py` names what they make."""

from __future__ import annotations

from decimal import Decimal

from app.contracts.new_recurring import NewRecurringGrant, RecurringAmount
from app.core.grants import GrantType
from app.core.money import ONE
from app.core.period import Frequency
from app.core.recurring import GrantProration
from app.core.terms import RateTarget
from app.grants.definitions import NewGrant
from app.scenario.grants import scope_of
from app.scenario.prices import optional_instant
from app.scenario.world import Json, World


def new_recurring(world: World, item: Json) -> NewRecurringGrant:
    """A recurring balance as the service takes it."""
    invoice = item.get("invoice_amount")
    found = NewRecurringGrant(
        child=NewGrant(
            type=GrantType(item["type"]),
            segments=(),
            product_id=world.products[item["product"]] if "product" in item else None,
            name=item["id"],
            unit=item.get("unit", "USD"),
            priority=Decimal(item["priority"]) if "priority" in item else None,
            scope=scope_of(world, item),
            rate_type=RateTarget(item.get("rate_type", RateTarget.LIST_RATE)),
            rollover_fraction=Decimal(item["rollover_fraction"]) if "rollover_fraction" in item else None,
        ),
        access_amount=_amount(item["access_amount"]),
        invoice_amount=None if invoice is None else _amount(invoice),
        starting_at=optional_instant(item.get("starting_at")),
        ending_before=optional_instant(item.get("ending_before")),
        frequency=Frequency(item["frequency"]) if "frequency" in item else None,
        duration=item.get("duration", 1),
        proration=GrantProration(item.get("proration", GrantProration.FIRST_AND_LAST)),
    )
    world.recurring[item["id"]] = found.id
    return found


def _amount(found: Json) -> RecurringAmount:
    if "amount" in found:
        return RecurringAmount(Decimal(found["amount"]), ONE)
    return RecurringAmount(Decimal(found["unit_price"]), Decimal(found["quantity"]))
