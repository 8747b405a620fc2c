"""Breakdowns of statements that are final: with their own prices, and with the usage that is there now."""

from __future__ import annotations

from typing import Any

from tests.scenario.calls import CALLS, at, card, contract, event, finalize, flat, observe
from tests.scenario.conftest import Run

JANUARY = {"what": "breakdown", "contract": "c1", "starting_at": at("01-01")}


def window(start: str, end: str, quantity: str, price: str, amount: str) -> dict[str, Any]:
    line = {"type": "usage", "unit": "USD", "product": "calls", "unit_price": price}
    return {
        "starting_at": at(start), "ending_before": at(end), "total": amount,
        "lines": [{**line, "quantity": quantity, "amount": amount}],
    }  # fmt: skip


async def test_late_usage_shows_in_the_breakdown_and_nowhere_else(run: Run) -> None:
    hourly = {**JANUARY, "window": "HOUR", "from": at("01-20"), "to": at("01-21")}
    late = event("01-20T03", n="7")
    totals = {"what": "invoices", "contract": "c1", "status": "FINALIZED"}
    lines = [{"type": "usage", "unit": "USD", "product": "calls", "unit_price": "2", "quantity": "10", "amount": "20",
              "starting_at": at("01-01"), "ending_before": at("02-01")}]  # fmt: skip
    final = {
        "ref": f"c1/USAGE/{at('01-01')}", "contract": "c1", "type": "USAGE", "status": "FINALIZED", "unit": "USD",
        "starting_at": at("01-01"), "ending_before": at("02-01"), "issued_at": at("02-02"), "subtotal": "20",
        "total": "20", "lines": lines,
    }  # fmt: skip
    problems = await run(
        metrics=[CALLS],
        products=[{"id": "calls", "metric": "m_calls"}],
        rate_cards=card(flat(price="2")),
        contracts=contract(),
        events=[event("01-10T01", n="10")],
        steps=[
            finalize("02-02"),
            {"at": at("02-05"), "action": "ingest", "events": [late], "expect": {"accepted": 1, "duplicates": 0}},
            observe(
                "02-05",
                (totals, [final]),
                (JANUARY, [window("01-10", "01-11", "10", "2", "20"), window("01-20", "01-21", "7", "2", "14")]),
                (hourly, [window("01-20T03", "01-20T04", "7", "2", "14")]),
            ),
        ],
    )
    assert problems == []


async def test_a_contract_that_begins_and_ends_within_days_has_shorter_windows(run: Run) -> None:
    problems = await run(
        metrics=[CALLS],
        products=[{"id": "calls", "metric": "m_calls"}],
        rate_cards=card(flat(), flat(price="3", starting_at=at("01-02T06"))),
        contracts=contract(starting_at=at("01-01T10"), ending_before=at("01-02T06")),
        events=[event("01-01T10", n="1"), event("01-02T05", n="2")],
        steps=[
            observe(
                "01-03",
                (
                    {**JANUARY, "starting_at": at("01-01T10")},
                    [window("01-01T10", "01-02", "1", "1", "1"), window("01-02", "01-02T06", "2", "1", "2")],
                ),
            )
        ],
    )
    assert problems == []
