"""`metrograph keys create`: the first key of a deployment, made on the machine itself."""

from __future__ import annotations

from app.access import audit
from app.access.keys import create_key
from app.access.scopes import ROLES, Role
from app.actor import system
from app.change import take_change
from app.commands.shell import Exit, emit, fail, note, say
from app.errors import InvalidInput
from app.runtime import Runtime
from app.store.ids import to_text

ACTOR = system("metrograph keys", kind="command")


async def create(runtime: Runtime, *, name: str, scopes: list[str], as_json: bool) -> None:
    """Make a key with scopes, or with a role's scopes; its secret goes to stdout, once."""
    wanted: set[str] = set()
    for scope in scopes:
        wanted |= ROLES[Role(scope.upper())] if scope.upper() in Role.__members__ else {scope}
    now = runtime.clock.now()
    try:
        async with runtime.store.transaction() as session:
            row, secret = await create_key(session, name=name, scopes=wanted, now=now)
            await audit.record(session, ACTOR, action="apiKey.create", now=now, code=None, change=take_change(session))
    except InvalidInput as error:
        fail(error.message, Exit.USAGE)
    if as_json:
        emit({"id": to_text("api_key", row.id), "secret": secret, "scopes": sorted(wanted)})
    else:
        say(secret)
        note(f"Key {to_text('api_key', row.id)} with {', '.join(sorted(wanted))}; the secret is not shown again.")
