"""The `edit` step of scenarios, field by field: what is added, removed and changed while a contract runs."""

from __future__ import annotations

from typing import Any

from tests.scenario.calls import CALLS, at, card, contract, event, finalize, flat, observe
from tests.scenario.conftest import Run

PRODUCTS = [{"id": "calls", "metric": "m_calls", "pricing_group_key": ["region"], "tags": ["t"]},
            {"id": "seat", "type": "SUBSCRIPTION"}]  # fmt: skip
CARD = card(flat(group_values={"region": "eu"}), flat("seat", "31", billing_frequency="MONTHLY"))
WHOLE = {"starting_at": at("01-01"), "ending_before": "2026-01-01T00:00:00Z"}


def edit(instant: str, expected: object = None, **changes: object) -> dict[str, object]:
    return {"at": at(instant), "action": "edit", "contract": "c1", "expect": expected or {"ok": True}, **changes}


def credit(identifier: str, amount: str, **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "type": "CREDIT", "access": [{"amount": amount, **WHOLE}], **fields}


def worth(identifier: str, amount: str, kind: str = "CREDIT", **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "type": kind, "unit": "USD", "balance": amount, "status": "ACTIVE", **fields}


async def test_overrides_come_and_go_and_what_is_final_stays(run: Run) -> None:
    problems = await run(
        metrics=[CALLS], products=PRODUCTS, rate_cards=CARD,
        contracts=contract(overrides=[{"id": "first", "type": "MULTIPLIER", "multiplier": "2"}]),
        events=[event("01-05", n="10", region="eu"), event("02-05", n="10", region="eu")],
        steps=[
            finalize("02-02"),
            observe("02-02", ({"what": "lifetime", "customer": "acme"}, {"USD": "20"})),
            edit("02-03", remove_overrides=["first"], add_overrides=[{"id": "second", "type": "MULTIPLIER", "multiplier": "3"}]),
            # Removed already, so refused; the override beside it is not there either.
            edit("02-03", {"error": "NOT_FOUND"}, add_overrides=[{"type": "MULTIPLIER", "multiplier": "0"}], remove_overrides=["first"]),
            edit("02-03", {"error": "MULTIPLIER_NEGATIVE"}, add_overrides=[{"type": "MULTIPLIER", "multiplier": "-1"}]),
            finalize("03-02"),
            observe("03-02", ({"what": "lifetime", "customer": "acme"}, {"USD": "50"})),
            edit("03-03", remove_overrides=["second"]),
            {"at": at("03-03"), "action": "void", "invoice": f"c1/USAGE/{at('02-01')}", "expect": {"ok": True}},
            {"at": at("03-03"), "action": "regenerate", "invoice": f"c1/USAGE/{at('02-01')}", "expect": {"ok": True}},
            observe("03-03", ({"what": "lifetime", "customer": "acme"}, {"USD": "30"})),
        ],
    )  # fmt: skip
    assert problems == []


async def test_balances_come_recur_and_change(run: Run) -> None:
    monthly = {
        "id": "free",
        "type": "CREDIT",
        "access_amount": {"amount": "1"},
        "starting_at": at("02-01"),
        "priority": "1",
    }
    problems = await run(
        metrics=[CALLS], products=PRODUCTS, rate_cards=CARD,
        contracts=contract(balances=[credit("old", "100", products=["calls"])]),
        events=[event("01-05", n="10", region="eu")],
        steps=[
            observe("01-06", ({"what": "net_balance", "customer": "acme"}, "90")),
            edit("01-06", add_balances=[credit("new", "4", priority="50")], add_recurring=[monthly], uniqueness_key="once"),
            # The key was used: a refusal leaves the names of what there is alone.
            edit("01-06", {"error": "CONFLICT"}, add_balances=[credit("new", "4", priority="50")], uniqueness_key="once"),
            observe(
                "01-07",
                ({"what": "balances", "customer": "acme"}, [worth("new", "0", exhausted=True), worth("old", "94")]),
            ),
            edit("01-07", update_balances=[{"id": "old", "priority": "10", "products": []}, {"id": "new", "tags": ["none"]}]),
            observe(
                "02-01",
                ({"what": "balances", "customer": "acme"}, [worth("free#1", "1"), worth("new", "4"), worth("old", "90")]),
            ),
            # Tags stay beside the specifiers that are named, and the two exclude each other.
            edit("02-01", {"error": "SCOPE_EXCLUSIVE"}, update_balances=[
                {"id": "old", "priority": "1"}, {"id": "new", "specifiers": [{"product": "calls"}]},
            ]),
            edit("02-01", update_balances=[
                {"id": "new", "tags": [], "specifiers": [{"product": "calls", "pricing": {"region": "eu"}}], "priority": "9"},
            ]),
            observe(
                "02-01",
                ({"what": "balances", "customer": "acme"}, [worth("free#1", "1"), worth("new", "0", exhausted=True), worth("old", "94")]),
            ),
        ],
    )  # fmt: skip
    assert problems == []


async def test_a_true_up_is_called_off_and_a_rate_type_changes(run: Run) -> None:
    january = {"starting_at": at("01-01"), "ending_before": at("02-01")}
    commit = {
        "id": "post",
        "type": "POSTPAID",
        "access": [{"amount": "50", **january}],
        "invoice": {"timestamp": at("02-01"), "amount": "50"},
    }
    steps = [
        edit("01-02", update_balances=[{"id": "post", "trueup_disabled": True, "rate_type": "COMMIT_RATE"}]),
        finalize("02-05"),
        # 10 calls at the commit rate of 0.5, and no true-up of 45.
        observe("02-05", ({"what": "lifetime", "customer": "acme"}, {"USD": "5"})),
    ]
    rate = flat(group_values={"region": "eu"}, commit_rate={"rate_type": "FLAT", "price": "0.5"})
    problems = await run(
        metrics=[CALLS], products=PRODUCTS[:1], rate_cards=card(rate), contracts=contract(balances=[commit]),
        events=[event("01-05", n="10", region="eu")], steps=steps,
    )  # fmt: skip
    assert problems == []


async def test_filters_and_quantities(run: Run) -> None:
    seats = {"id": "s", "product": "seat", "frequency": "MONTHLY", "collection": "ARREARS", "initial_quantity": "1",
             "starting_at": at("02-01"), "updates": [{"starting_at": at("03-01"), "delta": "1"}]}  # fmt: skip
    problems = await run(
        metrics=[CALLS], products=PRODUCTS, rate_cards=CARD, contracts=contract(),
        events=[event("01-05", n="10", region="eu"), event("01-20", n="5", region="eu")],
        steps=[
            edit(
                "01-25", add_usage_filter={"key": "region", "values": ["us"], "starting_at": at("01-10")},
                add_subscriptions=[seats], quantity_updates=[{"subscription": "s", "starting_at": at("03-01"), "delta": "1"}],
            ),
            finalize("02-02"),
            # The calls of the 5th; those of the 20th are in Europe, which is not taken from the 10th on.
            observe("02-02", ({"what": "lifetime", "customer": "acme"}, {"USD": "10"})),
            edit("02-03", add_usage_filter=[{"key": "region", "values": ["eu"], "starting_at": at("03-01")}]),
            finalize("04-02"),
            # One seat in February, three in March.
            observe("04-02", ({"what": "lifetime", "customer": "acme"}, {"USD": "134"})),
        ],
    )  # fmt: skip
    assert problems == []
