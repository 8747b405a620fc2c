"""`metrograph connections`: our accounts at providers, how each stands, and their pauses.

Owns the report; the rules are in `app/delivery/connections.py`.
"""

from __future__ import annotations

from app.access import audit
from app.actor import system
from app.change import take_change
from app.commands.shell import emit, say
from app.delivery import connections
from app.delivery.connections import Standing
from app.notices.service import written
from app.runtime import Runtime

ACTOR = system("metrograph connections", kind="command")


async def show(runtime: Runtime, *, as_json: bool) -> None:
    """Every account by name: whether it is paused, what waits and since when, what needs somebody."""
    async with runtime.store.transaction() as session:
        found = await connections.standings(session, runtime.connections)
    _print(found, as_json=as_json)


async def pause(runtime: Runtime, *, name: str, reason: str, as_json: bool) -> None:
    """Send an account nothing until it is resumed. Errors: those of `connections.pause`."""
    now = runtime.clock.now()
    async with runtime.store.transaction() as session:
        await connections.pause(session, runtime.connections, name, reason=reason, now=now)
        await audit.record(
            session, ACTOR, action="provider_account.pause", now=now, code=None, change=take_change(session)
        )
        found = await connections.standings(session, runtime.connections)
    _print([item for item in found if item.connection.name == name], as_json=as_json)


async def resume(runtime: Runtime, *, name: str, as_json: bool) -> None:
    """Send to an account again; what waited is enqueued. Errors: those of `connections.resume`."""
    async with runtime.store.transaction() as session:
        await connections.resume(session, runtime.connections, name)
        await audit.record(
            session, ACTOR, action="provider_account.resume", now=runtime.clock.now(), code=None,
            change=take_change(session),
        )  # fmt: skip
        found = await connections.standings(session, runtime.connections)
    _print([item for item in found if item.connection.name == name], as_json=as_json)


def _print(found: list[Standing], *, as_json: bool) -> None:
    if as_json:
        emit({"connections": [_document(item) for item in found]})
        return
    for item in found:
        say(_line(item))


def _document(item: Standing) -> dict[str, object]:
    return {
        "name": item.connection.name,
        "provider": item.connection.provider,
        "pausedSince": written(item.pause and item.pause.paused_at),
        "pauseReason": None if item.pause is None else item.pause.reason,
        "openDeliveries": dict(sorted(item.deliveries.items())),
        "openMeteringSlots": dict(sorted(item.slots.items())),
        "oldestUnsentAt": written(item.oldest_unsent),
        "needsAttention": item.needs_attention,
    }


def _line(item: Standing) -> str:
    state = "runs" if item.pause is None else f"paused since {written(item.pause.paused_at)}: {item.pause.reason}"
    waiting = sum(item.deliveries.values()) + sum(item.slots.values()) - item.needs_attention
    oldest = "" if item.oldest_unsent is None else f", the oldest since {written(item.oldest_unsent)}"
    return (
        f"{item.connection.name} ({item.connection.provider}) {state}; {waiting} on the way{oldest}; "
        f"{item.needs_attention} need attention"
    )
