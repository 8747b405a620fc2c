"""`metrograph webhooks`: notices on one's own machine, made-up ones, and one that is told again."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from app.notices.kinds import TYPES
from app.notices.samples import sample_of
from app.store.engine import Store
from tests.api.conftest import Api
from tests.commands.conftest import NOW, ROOT, Deployment
from tests.conftest import NOW as INSTANT
from tests.notices.receiver import receiving, status


async def test_a_developer_hears_what_happens_and_what_was_made_up(
    deployment: Deployment, api: Api, store: Store
) -> None:
    env = {"DATABASE_URL": deployment.database_url, "METROGRAPH_ENVIRONMENT": "sandbox", "METROGRAPH_CLOCK": NOW}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("METROGRAPH_", "DATABASE_URL"))}
    async with receiving() as receiver:
        receiver.answers = [status(500)]
        listening = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "webhooks", "listen", "--event", "invoice.*", "--count", "2"),
            *("--forward-to", receiver.url),
            cwd=ROOT, env={**kept, "PYTHONPATH": str(ROOT), **env}, stdout=-1, stderr=-1,
        )  # fmt: skip
        assert listening.stdout is not None
        assert listening.stderr is not None
        secret = (await listening.stdout.readline()).decode().removeprefix("Signing secret: ").strip()
        assert b"Listening" in await listening.stderr.readline()
        answer = await api('mutation { customerCreate(input: {name: "unheard"}) { customer { id } } }')
        assert answer["customerCreate"]["customer"]
        made = await asyncio.to_thread(deployment.run, "webhooks", "trigger", "invoice.voided", "--json")
        first = (await asyncio.wait_for(listening.stdout.readline(), 30)).decode()
        identifier = json.loads(made.out)["id"]
        assert first.split()[:4] == ["2023-11-20T12:00:00Z", "invoice.voided", identifier, "500"]
        again = await asyncio.to_thread(deployment.run, "webhooks", "resend", identifier)
        assert again.out == "Told again to 0 endpoints.\n"
        rest, said = await asyncio.wait_for(listening.communicate(), 30)
        assert rest.decode().split()[1:4] == ["invoice.voided", identifier, "200"]
        assert (listening.returncode, b"Traceback" in said) == (0, False)
        one, two = receiver.take()
        assert one.verified(secret)
        assert two.verified(secret)
        assert one.headers["webhook-id"] == two.headers["webhook-id"] == identifier
        assert one.content["data"]["test"] is True
    async with store.transaction() as session:
        audited = await session.connection()
        found = await audited.exec_driver_sql(
            "select action from audit_entries where actor_kind = 'command' order by id"
        )
        assert list(found.scalars()) == ["notice.trigger", "notice.resend"]
        assert (await audited.exec_driver_sql("select count(*) from webhook_endpoints")).scalar_one() == 0


def test_every_type_has_an_example() -> None:
    for event_type in TYPES:
        assert json.loads(json.dumps(sample_of(event_type, now=INSTANT)))


def test_what_cannot_be_asked_for(deployment: Deployment) -> None:
    for arguments, said in (
        (("listen", "--forward-to", "127.0.0.1"), "is no address"),
        (("trigger", "invoice.eaten"), "is no event"),
    ):
        refused = deployment.run("webhooks", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err
