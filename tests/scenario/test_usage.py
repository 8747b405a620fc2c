"""Usage queries of a scenario, and what a usage filter leaves of them: nothing is taken from what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.calls import CALLS, at, card, contract, event, finalize, flat, observe
from tests.scenario.conftest import Run

HIGHEST = {"id": "m_high", "aggregation": "MAX", "key": "n", "event_types": {"in": ["calls"]}}
EVENTS = [
    event("01-10T01", n="5", region="eu"), event("01-10T02", n="50", region="us"), event("01-20T01", n="7", region="us"),
    event("01-20T02", n="90"), event("02-01T00", n="1", region="eu"),
]  # fmt: skip


def asked(metric: str, **fields: Any) -> dict[str, Any]:
    return {"what": "usage", "customer": "acme", "metric": metric, "from": at("01-01"), "to": at("02-01"), **fields}


async def test_usage_of_a_customer_whatever_contract_takes_it(run: Run) -> None:
    by_region = [
        {"group": {"region": "eu"}, "value": "5"},
        {"group": {"region": "us"}, "value": "57"},
        {"group": {"region": None}, "value": "90"},
    ]
    problems = await run(
        metrics=[CALLS, HIGHEST],
        products=[{"id": "calls", "metric": "m_calls"}],
        rate_cards=card(flat()),
        contracts=contract(usage_filter=[{"key": "region", "values": ["eu"]}]),
        events=EVENTS,
        steps=[
            observe(
                "02-05",
                (asked("m_calls"), {"value": "152"}),
                (asked("m_calls", group_by="region"), by_region),
                (asked("m_high", group_by=["region"]), [*by_region[:1], {**by_region[1], "value": "50"}, by_region[2]]),
                (asked("m_high", to=at("01-02")), {"value": "0"}),
            ),
        ],
    )
    assert problems == []


@pytest.mark.parametrize(
    ("aggregation", "quantities"),
    # eu until the 16th, us after: 5 and 7 are taken. The highest rises by 2, two values are seen, the latest rises by 2.
    [("MAX", ["5", "2"]), ("UNIQUE", ["1", "1"]), ("LATEST", ["5", "2"])],
)
async def test_what_does_not_add_up_is_measured_over_the_events_that_are_taken(
    run: Run, aggregation: str, quantities: list[str]
) -> None:
    bounds = (at("01-01"), at("01-16"), at("02-01"))
    lines = [
        {"type": "usage", "unit": "USD", "product": "calls", "unit_price": "1", "quantity": quantity, "amount": quantity,
         "starting_at": start, "ending_before": end}
        for quantity, start, end in zip(quantities, bounds, bounds[1:], strict=False)
    ]  # fmt: skip
    total = str(sum(map(int, quantities)))
    january = {"what": "invoices", "contract": "c1", "status": "FINALIZED"}
    final = {
        "ref": f"c1/USAGE/{at('01-01')}", "contract": "c1", "type": "USAGE", "status": "FINALIZED", "unit": "USD",
        "starting_at": at("01-01"), "ending_before": at("02-01"), "issued_at": at("02-02"), "subtotal": total,
        "total": total, "lines": lines,
    }  # fmt: skip
    problems = await run(
        metrics=[{**HIGHEST, "aggregation": aggregation}],
        products=[{"id": "calls", "metric": "m_high"}],
        rate_cards=card(flat()),
        contracts=contract(
            usage_filter=[
                {"key": "region", "values": ["eu"]},
                {"key": "region", "values": ["us"], "starting_at": at("01-16")},
            ]
        ),
        events=EVENTS,
        steps=[finalize("02-02"), observe("02-02", (january, [final]))],
    )
    assert problems == []
