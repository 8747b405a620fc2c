"""The steps of a scenario: what happens, at the scenario's own times, through the services.

Owns the clock rules of the format: before a step everything received by then is in, and the hourly meter has run at
every full hour since the step before. Errors become their codes, and nothing has changed then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from app.core.period import HOUR, ceil_hour
from app.customers.aliases import set_ingest_aliases
from app.delivery import sync
from app.errors import BillingError, ErrorCode
from app.scenario import children, editing, grants, observing
from app.scenario.billing import BILLING
from app.scenario.founding import found_contract
from app.scenario.histories import changing
from app.scenario.reading import expand
from app.scenario.stream import ACTOR, Stream, incoming, receive
from app.scenario.world import Json, World
from app.usage.service import ingest

CODES = {ErrorCode.UNIQUENESS_KEY_CONFLICT: "CONFLICT", ErrorCode.ALIAS_TAKEN: "CONFLICT"}
"""Our codes that the scenario format spells differently."""


async def advance(world: World, stream: Stream, *, previous: datetime | None, at: datetime) -> None:
    """Let time pass up to a step: usage arrives, and the meter runs at every full hour after the first step."""
    if world.providers and previous is not None:
        hour = ceil_hour(previous + timedelta(microseconds=1))
        while hour <= at:
            await receive(world, stream, hour)
            place = sync.Target(world.store, world.connections, lambda now=hour: now)
            await sync.meter(place, sync.Sweep())
            hour += HOUR
    await receive(world, stream, at)
    await children.keep_children(world, at=at)


async def carry_out(world: World, step: Json, *, number: int, at: datetime) -> Any:
    """Do one step and give its result."""
    action: Callable[[World, Json, int, datetime], Awaitable[Any]] = ACTIONS[step["action"]]
    try:
        return await action(world, step, number, at)
    except BillingError as error:
        return {"error": CODES.get(error.code, str(error.code))}


async def _ingest(world: World, step: Json, number: int, at: datetime) -> Any:
    singles = [single for event in step["events"] for single in expand(event)]
    events = [incoming(single, f"step-{number}-{place}") for place, single in enumerate(singles)]
    async with world.store.transaction() as session:
        found = await ingest(
            session, events, actor=ACTOR, now=at, source="scenario", allow_historical=step.get("historical", False)
        )
    return {"accepted": found.accepted, "duplicates": found.duplicates}


async def _set_aliases(world: World, step: Json, _number: int, at: datetime) -> Any:
    async with world.store.transaction() as session:
        await set_ingest_aliases(session, world.customers[step["customer"]], step["aliases"], now=at)
    return {"ok": True}


async def _edit(world: World, step: Json, _number: int, at: datetime) -> Any:
    # All or nothing: one transaction.
    async with world.store.transaction() as session:
        await editing.edit(session, world, step, now=at)
    return {"ok": True}


async def _manual(world: World, step: Json, _number: int, at: datetime) -> Any:
    async with changing(world, "balance.adjust", at=at) as session:
        await grants.manual(session, world, step, now=at)
    return {"ok": True}


async def _add_balance(world: World, step: Json, _number: int, at: datetime) -> Any:
    async with world.store.transaction() as session:
        await grants.add_customer_grant(session, world, step["balance"], step["balance"]["customer"], now=at)
    return {"ok": True}


async def _create_contract(world: World, step: Json, _number: int, at: datetime) -> Any:
    contract = step["contract"]
    async with changing(world, "contract.create", at=at) as session:
        await found_contract(session, world, contract, created_at=at)
    world.places[contract["id"]] = len(world.places)
    await children.keep_children(world, at=at)
    return {"ok": True}


async def _observe(world: World, step: Json, _number: int, at: datetime) -> Any:
    return [await observing.answer(world, query, at=at) for query in step["observe"]]


ACTIONS: dict[str, Callable[[World, Json, int, datetime], Awaitable[Any]]] = {
    "ingest": _ingest,
    **BILLING,
    "set_aliases": _set_aliases,
    "edit": _edit,
    "manual": _manual,
    "add_balance": _add_balance,
    "create_contract": _create_contract,
    "observe": _observe,
}
