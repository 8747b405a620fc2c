"""What an open invoice may draw from: the segments that serve its contract, with what earlier invoices left in each.

Owns the arithmetic of sharing and the stored form that is frozen with an invoice. Which grants serve a contract is
decided by their scope, in the grants slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from app.core.grants import Grant, GrantType, Pot, Segment
from app.core.ledger import Movement, remaining
from app.core.money import canonical, parse_decimal
from app.core.overrides import specifier_from_json, specifier_to_json
from app.core.period import Period
from app.core.terms import RateTarget


def pots_of(
    grants: Iterable[Grant],
    movements: Mapping[UUID, Sequence[Movement]],
    *,
    shared: Mapping[UUID, tuple[Period, ...] | None] = MappingProxyType({}),
) -> tuple[Pot, ...]:
    """Every segment of the grants with what is left of it, active or not; by grant id and number.

    `movements` are all that moved so far in each grant's book, the draws of earlier open invoices among them; `shared` is
    when a grant of a parent may be drawn on, where that is not always so.
    """
    ordered = sorted(grants, key=lambda grant: grant.id)
    return tuple(
        Pot(grant, segment, remaining(segment, movements.get(grant.id, ())), shared.get(grant.id))
        for grant in ordered
        for segment in sorted(grant.segments, key=lambda segment: segment.number)
    )


def pots_to_json(pots: Iterable[Pot]) -> list[dict[str, Any]]:
    """The stored form: each grant once, with its segments; decimals as canonical text, in the order of ids."""
    found: dict[UUID, dict[str, Any]] = {}
    for pot in sorted(pots, key=lambda pot: pot.key):
        form = found.setdefault(pot.grant.id, _grant_to_json(pot.grant) | _shared_to_json(pot.shared))
        form["segments"].append(
            {
                "number": pot.segment.number,
                "starting_at": _text(pot.segment.period.starting_at),
                "ending_before": _text(pot.segment.period.ending_before),
                "amount": canonical(pot.segment.amount),
                "available": canonical(pot.available),
            }
        )
    return list(found.values())


def pots_from_json(forms: Iterable[Mapping[str, Any]]) -> tuple[Pot, ...]:
    """The pots of a stored form."""
    return tuple(pot for form in forms for pot in _pots_from_json(form))


def _grant_to_json(grant: Grant) -> dict[str, Any]:
    return {
        "id": str(grant.id),
        "type": grant.type,
        "unit": grant.unit,
        "created_at": _text(grant.created_at),
        "priority": canonical(grant.priority),
        "products": [str(product_id) for product_id in grant.product_ids],
        "tags": list(grant.tags),
        "specifiers": [specifier_to_json(specifier) for specifier in grant.specifiers],
        "contract_count": grant.contract_count,
        "rate_type": grant.rate_type,
        "recurring": None if grant.recurring_id is None else str(grant.recurring_id),
        "is_free": grant.is_free,
        "is_rollover": grant.is_rollover,
        "seat": None if grant.seat is None else list(grant.seat),
        "segments": [],
    } | ({"is_refund": True} if grant.is_refund else {})


def _shared_to_json(shared: tuple[Period, ...] | None) -> dict[str, Any]:
    """Nothing for what is always open, as all was before access could change."""
    if shared is None:
        return {}
    return {
        "shared": [
            [_text(period.starting_at), None if period.ending_before is None else _text(period.ending_before)]
            for period in shared
        ]
    }


def _shared_from_json(form: Mapping[str, Any]) -> tuple[Period, ...] | None:
    if "shared" not in form:
        return None
    return tuple(
        Period(datetime.fromisoformat(start), None if end is None else datetime.fromisoformat(end))
        for start, end in form["shared"]
    )


def _pots_from_json(form: Mapping[str, Any]) -> Iterable[Pot]:
    available: dict[int, Decimal] = {item["number"]: parse_decimal(item["available"]) for item in form["segments"]}
    segments = tuple(
        Segment(
            item["number"],
            Period(datetime.fromisoformat(item["starting_at"]), datetime.fromisoformat(item["ending_before"])),
            parse_decimal(item["amount"]),
        )
        for item in form["segments"]
    )
    grant = Grant(
        id=UUID(form["id"]),
        type=GrantType(form["type"]),
        unit=form["unit"],
        segments=segments,
        created_at=datetime.fromisoformat(form["created_at"]),
        priority=parse_decimal(form["priority"]),
        product_ids=tuple(UUID(item) for item in form["products"]),
        tags=tuple(form["tags"]),
        specifiers=tuple(specifier_from_json(item) for item in form["specifiers"]),
        contract_count=form["contract_count"],
        rate_type=RateTarget(form["rate_type"]),
        recurring_id=None if form["recurring"] is None else UUID(form["recurring"]),
        is_free=form["is_free"],
        is_rollover=form["is_rollover"],
        is_refund=form.get("is_refund", False),
        seat=(form["seat"][0], form["seat"][1]) if form.get("seat") else None,
    )
    shared = _shared_from_json(form)
    return (Pot(grant, segment, available[segment.number], shared) for segment in segments)


def _text(instant: datetime | None) -> str:
    assert instant is not None, "a segment has an end"
    return instant.isoformat().replace("+00:00", "Z")
