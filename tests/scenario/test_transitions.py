"""Contracts of a scenario that follow others, made in the middle of it: names, errors, and what is seen before it is posted."""

from __future__ import annotations

from typing import Any

from tests.scenario.calls import CALLS, at, card, contract, event, finalize, flat, observe
from tests.scenario.conftest import Run

ACCESS = {"amount": "100", "starting_at": at("01-01"), "ending_before": "2026-01-01T00:00:00Z"}
CREDIT = {"id": "cr", "type": "CREDIT", "access": [ACCESS], "rollover_fraction": "0.5"}


def follow(instant: str, name: str, old: str, expect: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A renewal that is made and starts at an instant."""
    whole = {"id": name, "customer": "acme", "rate_card": "card", "starting_at": at(instant)}
    transition = {"from": old, "type": "RENEWAL", **fields.pop("transition", {})}
    made = {**whole, "transition": transition, **fields}
    return {"at": at(instant), "action": "create_contract", "contract": made, "expect": expect}


def credit(name: str, balance: str, status: str, source: str | None = None) -> dict[str, Any]:
    shown = {"id": name, "type": "CREDIT", "unit": "USD", "balance": balance, "status": status}
    return shown if source is None else {**shown, "rolled_from": source}


async def test_a_renewal_in_the_middle_of_a_month(run: Run) -> None:
    """30 of 100 used: half of 100 rolls into c2, whose 10 it pays; half of 50 rolls on into c3."""
    asked = {"what": "balances", "customer": "acme"}
    final = {"what": "net_balance", "customer": "acme", "mode": "FINALIZED"}
    first = [credit("cr", "0", "EXPIRED"), credit("cr/0@c2", "40", "ACTIVE", "cr")]
    last = [
        credit("cr", "0", "EXPIRED"), credit("cr/0@c2", "0", "EXPIRED", "cr"),
        credit("cr/0@c2/0@c3", "25", "ACTIVE", "cr/0@c2"),
    ]  # fmt: skip
    problems = await run(
        metrics=[CALLS],
        products=[{"id": "calls", "metric": "m_calls"}],
        rate_cards=card(flat()),
        contracts=contract(balances=[CREDIT]),
        events=[event("01-10T01", n="30"), event("01-20T01", n="10")],
        steps=[
            follow("01-15", "c2", "c1", {"ok": True}),
            follow("01-16", "c4", "c1", {"error": "ALREADY_TRANSITIONED"}),
            observe("01-21", (asked, first), (final, "50")),
            follow("02-01", "c3", "c2", {"ok": True}),
            follow("02-02", "c4", "c3", {"error": "INVALID_INTERVAL"}, starting_at=at("02-01")),
            finalize("02-03"),
            observe("02-03", (asked, last), (final, "25")),
        ],
    )
    assert problems == []
