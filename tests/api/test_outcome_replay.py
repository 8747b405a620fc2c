"""A random life of outcomes: any order of arrival gives one draft, and billed minus reversed is a replay of the final truth."""

from __future__ import annotations

import os
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized
from tests.api.test_outcome_reversals import reverse, sound
from tests.api.test_usage_ingest import event, ingest
from tests.api.test_usage_voids import METRICS
from tests.conftest import NOW

__all__ = ["app"]

PRICES: dict[str, dict[str, Any]] = {
    "SUM": {"tieredPercentage": [{"size": "40", "unitPrice": "0.5"}, {"unitPrice": "0.25"}]},
    "COUNT": {"tiered": [{"size": "8", "unitPrice": "3"}, {"unitPrice": "2"}]},
}
EVENTS = 20
SEEDS = range(20) if os.environ.get("METROGRAPH_STRESS") else (1,)
"""Whole in `make stress`."""


async def agreed(api: Api) -> str:
    """A card with every kind of outcome: money by tiers, and the count of events, values, sessions and latest states."""
    rates: list[dict[str, Any]] = []
    for aggregation, fields in METRICS.items():
        if aggregation not in ("MAX", "LATEST"):
            money = {"money": {"currency": "USD"}} if aggregation == "SUM" else {}
            metric = await build.metric(api, aggregation, aggregation=aggregation, **fields, **money)
            product = await build.product(api, aggregation, metric_id=metric["id"])
            rates.append({"productId": product["id"], "price": PRICES.get(aggregation, {"flat": "1.5"})})
    return (await build.rate_card(api, rates=rates))["id"]


async def party(api: Api, name: str, card: str) -> str:
    """A customer with a commit that pays some of October; the contract's id."""
    customer = await build.customer(api, name, ingestAliases=[name])
    access = {"amount": "45", **build.interval("2026-10-01T00:00:00Z", "2027-10-01T00:00:00Z")}
    balances = [{"kind": "PREPAID", "name": "Commit", "unit": "USD", "access": [access]}]
    contract = await build.contract(api, customer["id"], card, starting_at="2026-10-01T00:00:00Z", balances=balances)
    return contract["id"]


async def october(api: Api, contract: str) -> dict[str, Any]:
    return next(item for item in await drafts_of(api, contract=contract) if item["dueAt"] == "2026-11-02T00:00:00Z")


def said(invoice: dict[str, Any]) -> list[tuple[str, ...]]:
    lines = invoice["lines"]["nodes"]
    return [(line["type"], line["productName"], str(line["quantity"]), line["amount"]["amount"]) for line in lines]


def paid(invoice: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """What the invoice asks for, and what the commit paid; exact."""
    applied = (Decimal(line["amount"]["amount"]) for line in invoice["lines"]["nodes"] if line["type"] == "APPLIED")
    return Decimal(invoice["subtotal"]["amount"]), -sum(applied, Decimal(0))


@pytest.mark.stress
@pytest.mark.parametrize("seed", SEEDS)
async def test_billed_minus_reversed_is_a_replay_of_the_truth(api: Api, store: Store, seed: int) -> None:
    random = Random(seed)
    card = await agreed(api)
    lived, shuffled, truth = [await party(api, name, card) for name in ("lived", "shuffled", "truth")]
    happened = [
        (f"2026-10-{random.randrange(1, 6):02}T{random.randrange(24):02}:{random.randrange(60):02}:{place:02}Z",
         {"n": str(random.randrange(1, 9)), "case": random.choice("abc")})
        for place in range(EVENTS)
    ]  # fmt: skip

    async def send(name: str, places: list[int]) -> None:
        sent = [(f"{name} {place}", *happened[place]) for place in places]
        await ingest(
            api, *(event(key, customerId=name, timestamp=at, properties=properties) for key, at, properties in sent)
        )

    await send("lived", list(range(EVENTS)))
    order = random.sample(range(EVENTS), EVENTS)
    for first in range(0, EVENTS, 7):
        await send("shuffled", order[first : first + 7])
    draft = await october(api, lived)
    assert said(draft) == said(await october(api, shuffled))
    final = await finalized(api, draft["id"])
    gone: set[int] = set()
    asked_less = paid_less = Decimal(0)
    for place in random.sample(range(EVENTS), EVENTS * 2 // 3):
        answer = await reverse(api, f"lived {place}")
        if answer["userErrors"]:
            # A state that kept a case from counting took something off.
            assert [error["code"] for error in answer["userErrors"]] == ["NOTHING_TO_REVERSE"]
            continue
        gone.add(place)
        for entry in answer["outcomeReversal"]["statements"][0]["entries"]:
            worth = Decimal(entry["amount"]["amount"])
            if entry["paidBy"] is None:
                asked_less += worth
            else:
                paid_less += worth
    assert len(gone) > EVENTS // 3
    await send("truth", [place for place in range(EVENTS) if place not in gone])
    asked, drawn = paid(final)
    assert (asked - asked_less, drawn - paid_less) == paid(await october(api, truth))
    assert await sound(store, NOW) == len(gone)
