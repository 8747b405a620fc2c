"""The `edit` step of scenarios: charges, subscriptions and quantities that come while a contract runs."""

from __future__ import annotations

from tests.scenario.calls import at, contract, finalize, flat, observe
from tests.scenario.conftest import Run

PRODUCTS = [{"id": "fee", "type": "FIXED"}, {"id": "seat", "type": "SUBSCRIPTION"}]
CARDS = [{"id": "card", "unit": "USD", "rates": [flat("seat", "31", billing_frequency="MONTHLY")]}]
SEATS = {"id": "s", "product": "seat", "frequency": "MONTHLY", "collection": "ADVANCE", "initial_quantity": "2"}


def edit(instant: str, expected: object = None, **added: object) -> dict[str, object]:
    return {"at": at(instant), "action": "edit", "contract": "c1", "expect": expected or {"ok": True}, **added}


def charge(identifier: str, instant: str, amount: str) -> dict[str, object]:
    return {"id": identifier, "product": "fee", "items": [{"timestamp": at(instant), "amount": amount}]}


async def test_what_is_added_while_a_contract_runs(run: Run) -> None:
    def scheduled(date: str, amount: str, *, again: str = "") -> dict[str, object]:
        line = {"type": "scheduled", "unit": "USD", "product": "fee", "charge": "b" if again else "a",
                "quantity": "1", "unit_price": amount, "amount": amount}  # fmt: skip
        return {
            "ref": f"c1/SCHEDULED/{at(date)}{again}", "contract": "c1", "type": "SCHEDULED", "status": "FINALIZED",
            "date": at(date), "issued_at": at(date), "unit": "USD", "subtotal": amount, "total": amount, "lines": [line],
        }  # fmt: skip

    problems = await run(
        products=PRODUCTS,
        rate_cards=CARDS,
        contracts=contract(scheduled_charges=[charge("a", "01-10", "5")]),
        steps=[
            finalize("01-12"),
            edit("01-12", add_scheduled_charges=[charge("b", "01-10", "7")]),
            edit(
                "01-12", add_subscriptions=[{**SEATS, "starting_at": at("01-12")}],
                quantity_updates=[{"subscription": "s", "starting_at": at("01-21"), "delta": "1"}],
            ),
            # Refused whole: the charge before it is not there either.
            edit(
                "01-12", {"error": "QUANTITY_NEGATIVE"}, add_scheduled_charges=[charge("c", "01-11", "9")],
                quantity_updates=[{"subscription": "s", "starting_at": at("01-21"), "delta": "-4"}],
            ),
            finalize("01-25"),
            observe(
                "01-25",
                ({"what": "invoices", "contract": "c1", "ref": f"c1/SCHEDULED/{at('01-10')}"}, [scheduled("01-10", "5")]),
                (
                    {"what": "invoices", "contract": "c1", "ref": f"c1/SCHEDULED/{at('01-10')}#2"},
                    [scheduled("01-10", "7", again="#2")],
                ),
                # 2 x 31 x 20/31 = 40, 1 x 31 x 11/31 = 11
                ({"what": "lifetime", "customer": "acme"}, {"USD": "63"}),
            ),
        ],
    )  # fmt: skip
    assert problems == []
