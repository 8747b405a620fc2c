"""`metrograph apply`: a plan that was carried out and taken back, then the same for good, then nothing to do."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from app.catalog.service import create_rate_card
from app.clock import Clock
from app.commands.applying import carried_out
from app.commands.catalog_file import CatalogError, entries_of, read
from app.main import create_gateway
from app.settings import Settings
from app.store.engine import Store
from tests.commands.conftest import Deployment

CATALOG = """
metrics:
  - key: volume
    name: Volume
    aggregation: SUM
    aggregationKey: amount
    eventTypes: [order]
    groupKeys: [[region]]
    money: {currency: USD}
products:
  - {key: fee, name: Fee, metric: volume, pricingGroupKey: [region], tags: [payments]}
  - {key: uplift, name: Support, type: COMPOSITE, composite: {products: [fee]}}
rateCards:
  - key: list
    name: List
    currency: USD
    rates:
      - {product: fee, price: {percentage: 0.004}, groupValues: {region: eu}}
      - product: fee
        price:
          tieredPercentage: [{size: 1000.0, unitPrice: 0.01}, {unitPrice: 0.0050}]
        startingAt: 2026-01-01T00:00:00Z
      - {product: fee, price: {percentagePerEvent: {fraction: 0.004, minPerEvent: 0.10}}, groupValues: {region: us}}
      - {product: uplift, price: {percentage: 0.1}, minimum: 10}
customers:
  - {key: acme, name: Acme, externalId: acme, ingestAliases: [acme-eu]}
contracts:
  - key: acme-2026
    customer: acme
    rateCard: list
    interval: {startingAt: 2026-01-01T00:00:00Z}
    balances: [{kind: CREDIT, unit: USD, access: [{amount: 5, startingAt: 2026-01-01T00:00:00Z, endingBefore: 2027-01-01T00:00:00Z}]}]
"""


def test_a_plan_is_shown_and_carried_out_when_it_is_confirmed(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(CATALOG)
    planned = deployment.run("apply", "-f", file)
    assert (planned.code, planned.out.splitlines()[-1]) == (1, "6 to make, 0 to change, 0 unchanged")
    assert "+ products fee (Fee)" in planned.out
    assert "--yes carries it out" in planned.err
    applied = deployment.run("apply", "-f", file, "--yes", "--json")
    assert (applied.code, applied.document["applied"]) == (0, True)
    assert [step["action"] for step in applied.document["steps"]] == ["create"] * 6
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("metrics:\n  - key: a\n    key: b\n")
    refused = deployment.run("apply", "-f", wrong, "--yes")
    assert (refused.code, "wrong.yaml:3: a name stands once" in refused.err) == (2, True)


async def test_what_changes_in_place_and_what_is_refused_with_its_line(store: Store, now: datetime) -> None:
    gateway = create_gateway(Settings(environment="sandbox"), store, Clock(now.isoformat()))

    async def applied(text: str, *, keep: bool = False) -> list[tuple[str, str, tuple[str, ...]]]:
        steps = await carried_out(gateway, list(entries_of(text, "c.yaml")), keep=keep)
        return [(step.action, step.entry.key, step.changes) for step in steps if step.action != "none"]

    assert [action for action, *_ in await applied(CATALOG, keep=True)] == ["create"] * 6
    assert await applied(CATALOG) == []
    same = CATALOG.replace("0.004}, group", "0.0040}, group").replace(
        "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"
    )
    assert await applied(same.partition("contracts:")[0]) == [], "one number, one instant, whatever their form"
    changed = CATALOG.replace("name: List", "name: Prices").replace("[acme-eu]", "[acme-eu, acme-us]").replace(
        "      - {product: uplift", "      - {product: fee, price: {flat: 3}, groupValues: {region: us}}\n      - {product: uplift"
    )  # fmt: skip
    changes = [
        ("change", "list", ('name: "List" -> "Prices"', '+ price of fee: {"flat": 3}')),
        ("change", "acme", ('ingestAliases: ["acme-eu"] -> ["acme-eu", "acme-us"]',)),
    ]
    assert await applied(changed) == changes
    assert await applied(changed) == changes, "a plan leaves nothing behind"
    assert await applied(changed, keep=True) == changes
    assert await applied(changed) == []
    assert await applied("products: [{key: other, name: Other, metric: volume}]") == [("create", "other", ())]
    refusals = {
        ("aggregation: SUM", "aggregation: COUNT"): "c.yaml:5: metrics[0].aggregation (volume): aggregation: ",
        ("tags: [payments]", "tags: [cards]"): "c.yaml:11: products[0].tags (fee): tags: ",
        (
            "metric: volume",
            "metric: volumes",
        ): "c.yaml:11: products[0].metric (fee): there is none of metrics with the key",
        (
            "currency: USD\n    rates",
            "colour: red\n    rates",
        ): "c.yaml:16: rateCards[0].colour (list): there is no field",
        ("minimum: 10", "minimum: ten"): "c.yaml:25: rateCards[0].rates[4].minimum (list): ",
        ("minimum: 10", "minimum: -1"): "c.yaml:25: rateCards[0].rates[4].minimum (list): ",
        ("amount: 5", "amount: 6"): "c.yaml:29: contracts[0] (acme-2026): it was made from another definition",
    }
    for (before, after), message in refusals.items():
        assert before in changed
        with pytest.raises(CatalogError) as refused:
            await applied(changed.replace(before, after))
        assert str(refused.value).startswith(message), str(refused.value)
    assert await applied(changed) == []


async def test_a_key_is_the_whole_key_and_a_number_is_every_digit(store: Store, now: datetime) -> None:
    gateway = create_gateway(Settings(environment="sandbox"), store, Clock(now.isoformat()))
    for key in ("list#2", "other"):
        async with store.transaction() as session:
            await create_rate_card(session, name=key, currency="USD", uniqueness_key=key, now=now)
    card = "rateCards: [{key: list, name: List, currency: USD}]"
    [step] = await carried_out(gateway, list(entries_of(card, "c.yaml")), keep=False)
    assert step.action == "create", "list#2 is a card of its own"
    digits = "9" * 30
    priced = CATALOG.partition("customers:")[0].replace("minimum: 10", f"minimum: {digits}")
    await carried_out(gateway, list(entries_of(priced, "c.yaml")), keep=True)
    last = priced.replace(f"{digits}", f"{digits[:-1]}8")
    steps = await carried_out(gateway, list(entries_of(last, "c.yaml")), keep=False)
    assert [step.entry.key for step in steps if step.action != "none"] == ["list"], "the last digit differs"
    with pytest.raises(CatalogError) as refused:
        await carried_out(gateway, list(entries_of(priced.replace(digits, "1" * 5_000), "c.yaml")), keep=False)
    assert "rateCards[0].rates[3].minimum (list)" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "c.yaml:1: write sections"),
        ("", "c.yaml:1: write sections"),
        ("metric: []", "c.yaml:1: there is no section 'metric'"),
        ("metrics: 3", "c.yaml:1: metrics is a list."),
        ("metrics: [{name: a}]", "c.yaml:1: metrics[0]: give it a key"),
        ("metrics: [{key: 7}]", "c.yaml:1: metrics[0]: give it a key"),
        ("metrics:\n- &a {key: a}\n- *a", "c.yaml:3: aliases are not read"),
        ("metrics:\n- [", "c.yaml:2: "),
        ("metrics: [{key: \x00}]", "c.yaml: ReaderError"),
        ("a" * 1_048_577, "c.yaml: a file has at most"),
        ("[" * 40 + "]" * 40, "c.yaml:1: a definition is at most 30 levels deep"),
        ("metrics:\n- {key: a}\n- {key: a}", "c.yaml:3: metrics[1].key (a): the key is that of c.yaml:2"),
    ],
)
def test_files_that_say_nothing_certain(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(CatalogError) as refused:
        read([file])
    assert str(refused.value).startswith(message), str(refused.value)
