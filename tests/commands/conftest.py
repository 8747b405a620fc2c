"""The `metrograph` command as its users run it: a process, two streams, an exit code."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.clock import Clock
from app.delivery.registry import connect
from app.main import create_app
from app.sandbox import CREDENTIALS, tables
from app.settings import Settings
from app.store.engine import Store
from tests.api.conftest import BOOTSTRAP, Api
from tests.processes import ROOT, Command

__all__ = ["ROOT"]

NOW = "2023-11-20T12:00:00Z"


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout, and nothing else."""
        return json.loads(self.out)


def metrograph(*arguments: str | Path, env: dict[str, str], stdin: str | None = None) -> Result:
    """Run the command to its end."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("METROGRAPH_", "DATABASE_URL"))}
    process = Command(*map(str, arguments), env={**kept, **env}, stdin=stdin or "")
    out, err = process.communicate()
    assert process.returncode is not None
    assert "Traceback" not in err, err
    return Result(process.returncode, out, err)


class Deployment:
    """A sandbox on a database of its own, at an instant that can be set."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.now = NOW

    def run(self, *arguments: str | Path, stdin: str | None = None) -> Result:
        env = {"DATABASE_URL": self.database_url, "METROGRAPH_ENVIRONMENT": "sandbox", "METROGRAPH_CLOCK": self.now}
        return metrograph(*arguments, env=env, stdin=stdin)


@pytest.fixture
def deployment(database_url: str) -> Deployment:
    """A deployment for this test alone."""
    return Deployment(database_url)


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """Access logs of a test run help nobody."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The administrator of the deployment, for what has to be there before a command runs."""
    stand_ins = connect(
        tables(stripe="http://127.0.0.1:1", aws="http://127.0.0.1:1", azure="http://127.0.0.1:1/api"),
        environ=CREDENTIALS | {"METROGRAPH_ENVIRONMENT": "sandbox"},
        now=Clock(NOW).now,
    )
    settings = Settings(environment="sandbox", bootstrap_key=BOOTSTRAP)
    client = Api(create_app(settings, store, Clock(NOW), providers=stand_ins))
    yield client
    await client.http.aclose()
    await stand_ins.close()
