"""Secrets of all accounts are canaries here: none is seen in logs, errors, answers, rows or the audit log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from app.clock import Clock
from app.commands.logs import configure_logs
from app.delivery.inbound import Place, handle_all
from app.delivery.notice_sweep import sweep_notices
from app.delivery.registry import Connections, connect
from app.delivery.sync import Target, sweep
from app.errors import BillingError
from app.sandbox import CREDENTIALS, further_tables, tables
from app.store.engine import Store
from app.web_notices import notice_routes
from app.worker import NOTICE_HANDLERS
from tests.delivery.test_notices import PATH, event, signed
from tests.delivery.world import HOUR, NOVEMBER, PROVIDERS, World

NOISE = ("html_200", "error_in_200", "refuse_500", "throttle_429", "drop_after", "", "reject")
MARK = "canary"


def canaries(*, odd: str = "") -> dict[str, str]:
    """A secret of its own for every reference; `odd` breaks it in a way that no header may have."""
    found = {name: f"sk_test_{MARK}_{place}{odd}_{'0' * 16}" for place, name in enumerate(CREDENTIALS)}
    # This one has a form that is checked at start: 27 bytes in base64.
    return found | {"METROGRAPH_SANDBOX_SIGNING": "whsec_" + MARK * 6}


def accounts(world: World, environ: Mapping[str, str]) -> Connections:
    base = world.sandbox.base
    chosen = {**tables(stripe=base, aws=base, azure=f"{base}/api"), **further_tables(base)}
    environ = {**environ, "METROGRAPH_ENVIRONMENT": "sandbox"}
    return connect(chosen, environ=environ, now=world.sandbox.now)


async def all_rows(store: Store) -> str:
    """Everything that is stored, as text."""
    async with store.transaction() as session:
        names = (await session.execute(text("select tablename from pg_tables where schemaname = 'public'"))).scalars()
        found = [
            str((await session.execute(text(f'select t::text from "{name}" t'))).scalars().all())
            for name in names.all()
        ]
    return "\n".join(found)


@pytest.mark.parametrize("odd", ["", "\x01"], ids=["plain", "no header value"])
async def test_no_secret_is_seen_anywhere(
    world: World, odd: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    configure_logs("debug")
    secrets = canaries(odd=odd)
    connections = accounts(world, secrets)
    seen: list[str] = []
    for provider in PROVIDERS:
        await world.account(provider, name=provider)
        await world.use(1234, at=NOVEMBER - HOUR, customer=provider)
    await world.finalize()
    target = Target(world.store, connections, world.sandbox.now)
    for kind in NOISE:
        for provider in PROVIDERS if kind else ():
            world.sandbox.fault(provider, kind)
        await sweep(target, at_once=True)
    assert bool(world.sandbox.effects("stripe")) is not bool(odd), "the canaries were sent, where they can be"

    app = Starlette(routes=notice_routes(world.store, Clock(str(world.sandbox.clock_file)), connections))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as http:
        body = event(1, "invoice.paid", {"id": "in_1"}, at=world.now)
        for secret in (secrets["METROGRAPH_SANDBOX_STRIPE_HOOK"], "another"):
            answer = await http.post(PATH, content=body, headers=signed(body, at=world.now, secret=secret))
            seen.append(f"{answer.status_code} {answer.text} {answer.headers}")
        for connection in connections.all():
            path = f"/webhooks/{connection.provider.replace('_', '-')}/{connection.name}"
            answer = await http.post(path, content=b"{}", headers={"authorization": "Bearer x"})
            seen.append(f"{answer.status_code} {answer.text}")
    place = Place(world.store, connections, world.sandbox.now)
    await handle_all(place, NOTICE_HANDLERS, at_once=True)
    await sweep_notices(place)
    for connection in connections.all():
        seen.append(f"{connection!r} {vars(connection.connector)!r}")
        with pytest.raises(BillingError) as refused:
            connections.resolve(connection.provider, connection.name, {"colour": "red"})
        seen.append(repr(refused.value))
    await connections.close()

    printed = capsys.readouterr()
    everything = [caplog.text, printed.out, printed.err, await all_rows(world.store), *seen]
    assert "delivery" in everything[3], "the rows were read"
    for part in everything:
        place_of = part.find(MARK)
        assert place_of < 0, part[max(0, place_of - 300) : place_of + 60]
