"""The pieces of a small scenario: calls that are added up, and a contract for the year 2025."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

CALLS: Json = {"id": "m_calls", "aggregation": "SUM", "key": "n", "event_types": {"in": ["calls"]}}


def at(instant: str) -> str:
    """An instant of 2025: `02-05`, or `02-05T13`."""
    date, _, hour = instant.partition("T")
    return f"2025-{date}T{hour or '00'}:00:00Z"


def event(instant: str, kind: str = "calls", **properties: str) -> Json:
    """Something that acme did."""
    return {"customer": "acme", "type": kind, "timestamp": at(instant), "properties": properties}


def flat(product: str = "calls", price: str = "1", **fields: Any) -> Json:
    """One price for every unit."""
    return {"product": product, "rate_type": "FLAT", "price": price, **fields}


def card(*rates: Json) -> Sequence[Json]:
    """A rate card in dollars."""
    return [{"id": "card", "unit": "USD", "rates": list(rates)}]


def contract(**fields: Any) -> Sequence[Json]:
    """A contract of acme for the year."""
    whole = {"starting_at": at("01-01"), "ending_before": "2026-01-01T00:00:00Z"}
    return [{"id": "c1", "customer": "acme", "rate_card": "card", **whole, **fields}]


def observe(instant: str, *answers: tuple[Json, Any]) -> Json:
    """What is asked at an instant, and what the answers must be."""
    return {
        "at": at(instant), "action": "observe", "observe": [query for query, _ in answers],
        "expect": [expected for _, expected in answers],
    }  # fmt: skip


def finalize(instant: str) -> Json:
    """Finalize what is due."""
    return {"at": at(instant), "action": "finalize", "expect": {"ok": True}}
