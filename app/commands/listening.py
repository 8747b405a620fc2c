"""`metrograph webhooks listen`: hear notices on one's own machine.

It hears what is committed and leaves nothing behind, however it ends: it makes no endpoint, so nothing waits for it
afterwards and nothing is sent to it that others would miss.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from uuid import UUID

import httpx

from app.clock import Clock
from app.commands.shell import Exit, fail, note, say_line
from app.errors import InvalidInput, LimitExceeded, Unavailable
from app.notices import kinds, secrets
from app.notices.forwarding import LIKE, SECONDS, forward, is_secret
from app.notices.service import body_of, written
from app.notices.tables import Notice
from app.runtime import Runtime
from app.store import ids
from app.store.listening import Change


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Where notices go, and by which secret their receiver knows them."""

    url: str | None
    secret: str
    events: list[str]
    count: int | None
    as_json: bool


def forwarding(
    *, url: str | None, secret: str | None, events: list[str], count: int | None, as_json: bool
) -> Forwarding:
    """What was asked for; ends the command when it cannot be done."""
    if url is not None and not _is_address(url):
        fail(f"{url[:200]!r} is no address; write one such as http://127.0.0.1:3000/webhooks.", Exit.USAGE)
    if secret is not None and not is_secret(secret):
        fail(f"--secret is {LIKE}.", Exit.USAGE)
    try:
        wanted = kinds.selection(events, path=())
    except (InvalidInput, LimitExceeded) as error:
        fail(error.message, Exit.USAGE)
    return Forwarding(url, secret or secrets.new_secret(), wanted, count, as_json)


def _is_address(url: str) -> bool:
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return found.scheme in ("http", "https") and bool(found.host)


async def listen(runtime: Runtime, asked: Forwarding) -> None:
    """Print a line for each notice, and forward it, until a signal or the count ends it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    say_line({"secret": asked.secret}, f"Signing secret: {asked.secret}", as_json=asked.as_json)
    hearing = asyncio.create_task(_hear(runtime, asked))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if hearing.done():
        hearing.result()
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)


async def _hear(runtime: Runtime, asked: Forwarding) -> None:
    left = asked.count
    async with httpx.AsyncClient(timeout=SECONDS, trust_env=False, follow_redirects=False) as client:
        while left != 0:
            try:
                async with runtime.store.listener.subscribe(lambda change: change.kind == "notice") as heard:
                    note("Listening for notices; Ctrl+C ends it.")
                    while left != 0:
                        change = await heard.next(wait_seconds=60)
                        if isinstance(change, Change) and await _tell(runtime, client, asked, change.id):
                            left = None if left is None else left - 1
            except (Unavailable, LimitExceeded) as error:
                note(f"{error.message} Notices that were missed can be sent again: metrograph webhooks resend ID.")
                await asyncio.sleep(1)


async def _tell(runtime: Runtime, client: httpx.AsyncClient, asked: Forwarding, notice_id: UUID) -> bool:
    async with runtime.store.transaction() as session:
        notice = await session.get(Notice, notice_id)
    if notice is None or not kinds.is_selected(asked.events, notice.type):
        return False
    identifier = ids.to_text("notice", notice.id)
    answer = None
    if asked.url is not None:
        # Receivers compare with their own clock, which is the real one, whatever time it is in the sandbox.
        body = body_of(notice, environment=runtime.settings.environment)
        answer = await forward(client, asked.url, body, secret=asked.secret, message_id=identifier, now=Clock().now())
    told = {"id": identifier, "type": notice.type, "data": notice.data, "answer": answer}
    shown = f"{written(notice.occurred_at)}  {notice.type}  {identifier}"
    say_line(told, f"{shown}  {answer}" if answer else shown, as_json=asked.as_json)
    return True
