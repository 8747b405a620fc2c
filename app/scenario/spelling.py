"""Invoices in the words of the scenario format: its ids, its instants, nothing that is absent.

Owns the form of an answer's parts. Which invoices there are is left to `observing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.breakdown import Window
from app.core.lines import Line, LineType
from app.core.money import canonical
from app.core.period import Period
from app.scenario.world import Json, World


def head(
    world: World,
    contract_id: UUID,
    *,
    kind: str,
    period: Period,
    unit: str,
    ordinal: int,
    own_unit: str,
) -> Json:
    """What names an invoice: its contract, and its period or its date."""
    contract = world.name_of("contracts", contract_id)
    start = spell_instant(period.starting_at)
    named: Json = {"ref": f"{contract}/{kind}/{start}", "contract": contract, "type": kind}
    if unit != own_unit:
        named["ref"] += f"/{unit}"
    if ordinal:
        named["ref"] += f"#{ordinal + 1}"
    if period.ending_before is None:
        return {**named, "date": start}
    return {**named, "starting_at": start, "ending_before": spell_instant(period.ending_before)}


def lines_of(world: World, lines: Sequence[Line]) -> list[Json]:
    """The lines of an invoice, without what is absent."""
    return [_line(world, line) for line in lines]


def _line(world: World, line: Line) -> Json:
    shown: Json = {
        "type": line.type,
        "unit": line.unit,
        "product": world.name_of("products", line.product_id),
        "subscription": world.name_of("subscriptions", line.subscription_id),
        "charge": world.name_of("charges", line.charge_id),
        "pricing": dict(line.pricing),
        "presentation": dict(line.presentation),
        "tier": None if line.tier is None else line.tier.level,
        "unit_price": _decimal(line.unit_price),
        "quantity": _decimal(line.quantity),
        "amount": canonical(line.amount),
        "starting_at": None if line.starting_at is None else spell_instant(line.starting_at),
        "ending_before": None if line.ending_before is None else spell_instant(line.ending_before),
        "in_total": None if line.in_total else False,
        "balance": world.name_of("grants", line.grant_id),
        "segment": None if line.type is LineType.COMMIT_PURCHASE else line.segment,
        "applied_to": line.applied_to,
        "converted_unit": line.converted_unit,
    }
    return {key: value for key, value in shown.items() if value not in (None, {})}


def spell_window(world: World, window: Window) -> Json:
    """A window of a breakdown; its lines lie in it and so have no dates of their own."""
    return {
        "starting_at": spell_instant(window.period.starting_at),
        "ending_before": None if window.period.ending_before is None else spell_instant(window.period.ending_before),
        "total": canonical(window.total),
        "lines": lines_of(world, [line._replace(starting_at=None, ending_before=None) for line in window.lines]),
    }


def with_unrated(invoice: Json, world: World, unrated: Sequence[Mapping[str, Any]]) -> Json:
    """Add the usage that found no price, when there is some."""
    if unrated:
        invoice["unrated"] = [
            {**item, "product": world.name_of("products", UUID(str(item["product"])))} for item in unrated
        ]
    return invoice


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else canonical(value)


def spell_instant(instant: datetime) -> str:
    """An instant in UTC, ending in Z."""
    return instant.isoformat().replace("+00:00", "Z")
