"""`metrograph webhooks trigger` and `resend`: made-up notices for what receives them, and one that is told again."""

from __future__ import annotations

from app.access import audit
from app.actor import system
from app.change import take_change
from app.commands.shell import Exit, fail, say_line
from app.errors import InvalidInput, NotFound
from app.notices import asking
from app.runtime import Runtime
from app.store import ids

ACTOR = system("metrograph webhooks", kind="command")


async def trigger(runtime: Runtime, event_type: str, *, endpoint: str | None, as_json: bool) -> None:
    """Have a made-up notice told."""
    now = runtime.clock.now()
    try:
        only = None if endpoint is None else ids.from_text("webhook_endpoint", endpoint, path=("--endpoint",))
        async with runtime.store.transaction() as session:
            made = await asking.trigger(session, runtime.settings, event_type, endpoint_id=only, now=now)
            await audit.record(session, ACTOR, action="notice.trigger", now=now, code=None, change=take_change(session))
    except (InvalidInput, NotFound) as error:
        fail(error.message, Exit.USAGE)
    identifier = ids.to_text("notice", made.id)
    say_line({"id": identifier, "type": made.type, "data": made.data}, identifier, as_json=as_json)


async def resend(runtime: Runtime, notice: str, *, endpoint: str | None, as_json: bool) -> None:
    """Have a notice told again, with its id."""
    now = runtime.clock.now()
    try:
        only = None if endpoint is None else ids.from_text("webhook_endpoint", endpoint, path=("--endpoint",))
        notice_id = ids.from_text("notice", notice, path=("NOTICE",))
        async with runtime.store.transaction() as session:
            found = await asking.resend(session, notice_id, endpoint_id=only, now=now)
            change = take_change(session)
            await audit.record(session, ACTOR, action="notice.resend", now=now, code=None, change=change)
    except (InvalidInput, NotFound) as error:
        fail(error.message, Exit.USAGE)
    count = (change.after or {}).get("resent", 0) if change else 0
    say_line(
        {"id": notice, "type": found.type, "endpoints": count}, f"Told again to {count} endpoints.", as_json=as_json
    )
