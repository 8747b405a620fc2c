"""The whole money path under a seed: whatever happens in between, the books come out as the plain model says."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.commands.checking import RULES
from app.delivery import sync
from app.delivery.tables import Delivery
from app.invoices.books import changed_invoices
from app.invoices.tables import Invoice
from app.store.engine import Store
from tests.simulation.world import World

SEEDS = 60 if os.environ.get("METROGRAPH_STRESS") else 4
STEPS = 120


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_books_are_right_after_anything(store: Store, seed: int) -> None:
    world = World(store, random.Random(seed))
    await world.found()
    steps = [
        world.usage_arrives, world.usage_arrives, world.hours_pass, world.hours_pass, world.worker_sweeps,
        world.billing_runs, world.deltas_fold, world.alias_appears,
    ]  # fmt: skip
    for _ in range(STEPS):
        await world.rng.choice(steps)()
        await _books_hold(store)
    # The storm is over: time passes until everything is final, and the providers answer.
    for provider in world.providers.values():
        provider.faulty = False
    world.now += timedelta(days=70)
    for _ in range(3):
        await world.billing_runs()
        await world.worker_sweeps()
        world.now += timedelta(hours=1)
    await _everything_arrived(world)
    calls = {name: provider.calls for name, provider in world.providers.items()}
    done = await sync.sweep(sync.Target(store, world.connections, lambda: world.now), at_once=True)
    assert (done.attempted, done.slots_sent) == (0, 0)
    assert {name: provider.calls for name, provider in world.providers.items()} == calls, "a second sweep calls nobody"


async def _books_hold(store: Store) -> None:
    async with store.transaction() as session:
        for rule, (_, broken) in RULES.items():
            assert (await session.execute(text(broken))).scalar_one() == 0, rule


async def _everything_arrived(world: World) -> None:
    names = {identifier: name for name, identifier in world.contracts.items()}
    async with world.store.transaction() as session:
        assert (await changed_invoices(session))[1] == []
        invoices = (await session.execute(select(Invoice))).scalars().all()
        deliveries = {row.invoice_id: row for row in (await session.execute(select(Delivery))).scalars()}
    billed = {(names[row.contract_id], row.starting_at): row for row in invoices}
    for key, owed in world.owed.items():
        assert billed[key].subtotal == owed, key
        assert billed[key].total == owed.quantize(Decimal("0.01"), ROUND_HALF_UP), key
    assert {row.id for row in invoices} == set(deliveries)
    waiting = {row.status for row in deliveries.values()} - {"DELIVERED"}
    assert not waiting, waiting
    by_mode = {"invoices": Decimal(0), "usage": Decimal(0)}
    for row in invoices:
        by_mode[deliveries[row.id].provider] += row.total
    assert sum(world.providers["invoices"].effects.values()) == by_mode["invoices"]
    assert sum(world.providers["usage"].effects.values()) / 100 == by_mode["usage"]
