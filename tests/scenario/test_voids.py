"""What voids and regenerations move in the books of commits: draws, purchases, true-ups (golden decisions 29 and 43)."""

from __future__ import annotations

from typing import Any

from tests.scenario.calls import CALLS, at, card, contract, event, finalize, flat, observe
from tests.scenario.conftest import Run

PURCHASE = f"c1/SCHEDULED/{at('01-01')}"
JANUARY = f"c1/USAGE/{at('01-01')}"
TRUE_UP = "c1/TRUEUP/post"
ACCESS = {"starting_at": at("01-01"), "ending_before": at("02-01")}


def step(instant: str, action: str, invoice: str) -> dict[str, Any]:
    return {"at": at(instant), "action": action, "invoice": invoice, "expect": {"ok": True}}


def entry(kind: str, instant: str, amount: str, invoice: str | None = None) -> dict[str, Any]:
    named = {} if invoice is None else {"invoice": invoice, "contract": "c1"}
    return {"timestamp": at(instant), "segment": 0, "type": kind, "amount": amount, **named}


async def test_what_an_invoice_sold_is_canceled_with_it_and_comes_back_with_the_new_one(run: Run) -> None:
    pre = {"id": "pre", "type": "PREPAID", "access": [{"amount": "100", "starting_at": at("01-01"), "ending_before": at("07-01")}],
           "invoice": {"items": [{"timestamp": at("01-01"), "amount": "80"}]}}  # fmt: skip
    ledger = [
        entry("PREPAID_COMMIT_SEGMENT_START", "01-01", "100"),
        entry("PREPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION", "02-01", "-10", JANUARY),
        entry("PREPAID_COMMIT_CANCELED", "02-07", "-90", PURCHASE),
        entry("PREPAID_COMMIT_CREDITED", "02-08", "90", f"{PURCHASE}#2"),
        entry("PREPAID_COMMIT_CANCELED", "02-09", "-90", f"{PURCHASE}#2"),
        entry("PREPAID_COMMIT_CREDITED", "02-09", "90", f"{PURCHASE}#3"),
    ]
    asked = {"what": "ledger", "balance": "pre"}
    problems = await run(
        metrics=[CALLS],
        products=[{"id": "calls", "metric": "m_calls"}],
        rate_cards=card(flat()),
        contracts=contract(balances=[pre]),
        events=[event("01-10T01", n="10")],
        steps=[
            finalize("02-06"),
            step("02-07", "void", PURCHASE),
            observe("02-07", (asked, ledger[:3])),
            step("02-08", "regenerate", PURCHASE),
            observe("02-08", (asked, ledger[:4])),
            step("02-09", "void", f"{PURCHASE}#2"),
            step("02-09", "regenerate", f"{PURCHASE}#2"),
            observe("02-09", (asked, ledger), ({"what": "lifetime", "customer": "acme"}, {"USD": "80"})),
        ],
    )
    assert problems == []


async def test_a_true_up_is_made_again_from_what_is_missing_then(run: Run) -> None:
    post = {
        "id": "post",
        "type": "POSTPAID",
        "access": [{"amount": "30", **ACCESS}],
        "invoice": {"timestamp": at("02-01")},
    }
    late = {"at": at("02-05"), "action": "ingest", "events": [event("01-20", n="5")], "expect": {"accepted": 1, "duplicates": 0}}  # fmt: skip
    problems = await run(
        metrics=[CALLS],
        products=[{"id": "calls", "metric": "m_calls"}],
        rate_cards=card(flat()),
        contracts=contract(ending_before=at("02-01"), balances=[post]),
        events=[event("01-10T01", n="10")],
        steps=[
            finalize("02-04"),
            observe("02-04", ({"what": "lifetime", "customer": "acme"}, {"USD": "30"})),
            late,
            step("02-06", "void", JANUARY),
            finalize("02-06"),
            observe("02-06", ({"what": "lifetime", "customer": "acme"}, {"USD": "20"})),
            step("02-07", "void", TRUE_UP),
            step("02-07", "regenerate", JANUARY),
            finalize("02-07"),
            step("02-07", "regenerate", TRUE_UP),
            finalize("02-08"),
            observe(
                "02-08",
                ({"what": "lifetime", "customer": "acme"}, {"USD": "30"}),
                (
                    {"what": "ledger", "balance": "post"},
                    [
                        entry("POSTPAID_COMMIT_INITIAL_BALANCE", "01-01", "30"),
                        entry("POSTPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION", "02-01", "-10", JANUARY),
                        {key: value for key, value in entry("POSTPAID_COMMIT_TRUEUP", "02-01", "-20", TRUE_UP).items() if key != "contract"},
                        entry("POSTPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION", "02-01", "-15", f"{JANUARY}#2"),
                        {key: value for key, value in entry("POSTPAID_COMMIT_TRUEUP", "02-01", "-15", f"{TRUE_UP}#2").items() if key != "contract"},
                        entry("POSTPAID_COMMIT_CREDITED", "02-06", "10", JANUARY),
                        entry("POSTPAID_COMMIT_CREDITED", "02-07", "20", TRUE_UP),
                    ],
                ),
            ),
        ],
    )  # fmt: skip
    assert problems == []
