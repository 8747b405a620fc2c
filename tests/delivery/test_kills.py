"""SIGKILL to `metrograph sync` itself: one effect at the provider, none lost, and then silence.

The command is a process of its own that dies at a named point of ours, or while a provider keeps it waiting. Every step
of every connector is gone through by `test_matrix.py`, in forks; here is the command as users run it.
"""

from __future__ import annotations

import signal

import pytest

from app.delivery.states import DeliveryStatus
from tests.delivery.world import HOUR, NOVEMBER, World

POINTS = [("stripe", "delivery.called"), ("aws_marketplace", "metering.called")]
CALLS = [("stripe", "invoices.create"), ("azure_marketplace", "usageEvent")]


async def owing(world: World, provider: str) -> None:
    """An invoice over 12.34 USD that is final and not delivered."""
    await world.account(provider)
    await world.use(1234, at=NOVEMBER - HOUR)
    report = await world.finalize()
    assert report.finalized == 1


async def proven_once(world: World, provider: str) -> None:
    """After one more sync the provider has it once, our books say so, and a further sync calls nobody."""
    await world.sweep()
    effects = world.sandbox.effects(provider)
    assert len(effects) == 1
    if provider == "stripe":
        assert (effects[0]["status"], effects[0]["total"], len(effects[0]["lines"])) == ("open", 1234, 1)
    else:
        assert int(effects[0]["quantity"]) == 1234
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.acknowledged) == (DeliveryStatus.DELIVERED, delivery.total)
    before = world.sandbox.calls(), delivery, await world.slots()
    done = await world.sweep()
    assert (done.attempted, done.slots_sent, done.delivered, done.opened) == (0, 0, 0, 0)
    assert (world.sandbox.calls(), *await world.deliveries(), await world.slots()) == before


@pytest.mark.parametrize(("provider", "point"), POINTS)
async def test_killed_at_a_point_of_ours(world: World, provider: str, point: str) -> None:
    await owing(world, provider)
    code, output = world.run("sync", "all", failpoint=point)
    assert code == -signal.SIGKILL, output
    await proven_once(world, provider)


@pytest.mark.parametrize(("provider", "step"), CALLS)
async def test_killed_while_a_provider_is_at_it(world: World, provider: str, step: str) -> None:
    await owing(world, provider)
    world.sandbox.fault(provider, "hang_after", match=step)
    world.run_until_hanging("sync", "all")
    world.sandbox.reset("faults")
    await proven_once(world, provider)
