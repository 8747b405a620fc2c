"""The real application on a real database, spoken to over HTTP without a network.

`api` is the whole of it: `await api(document, **variables)` gives the data and fails on any error; `api.post(...)` gives
the bare response.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from app import schema
from app.clock import Clock
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store

BOOTSTRAP = "bootstrap-key-of-the-tests-0123456789"

CREATE_KEY = """
mutation ($input: ApiKeyCreateInput!) {
  apiKeyCreate(input: $input) { apiKey { id } secretOnce userErrors { code message path status } }
}
"""


class Api:
    """One client of the application; `as_key` gives another one with another key."""

    def __init__(self, app: Starlette, key: str | None = BOOTSTRAP) -> None:
        self.app = app
        self.key = key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://metrograph.test", headers=headers)

    async def __call__(self, document: str, /, **variables: Any) -> dict[str, Any]:
        response = await self.post(document, variables)
        answer = response.json()
        assert response.status_code == 200, answer
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def post(self, document: str, variables: Any = None, **options: Any) -> httpx.Response:
        body = {"query": document, "variables": variables or {}}
        return await self.http.post("/graphql", json=body, **options)

    async def errors(self, document: str, /, **variables: Any) -> list[dict[str, Any]]:
        """The top-level errors of a document that must have some."""
        answer = (await self.post(document, variables)).json()
        return answer["errors"]

    def as_key(self, key: str | None) -> Api:
        """The same application for another caller."""
        return Api(self.app, key)

    async def with_scopes(self, *scopes: str, **options: Any) -> Api:
        """A caller with a fresh key of these scopes."""
        made = await self(CREATE_KEY, input={"name": "test", "scopes": list(scopes), **options})
        assert made["apiKeyCreate"]["userErrors"] == []
        return self.as_key(made["apiKeyCreate"]["secretOnce"])


@pytest.fixture
def own_schema() -> Iterator[None]:
    """The schema is built anew for this test, which puts other roots in, and again after it."""
    schema.build.cache_clear()
    yield
    schema.build.cache_clear()


@pytest.fixture
def settings() -> Settings:
    """Settings of the application under test."""
    return Settings(environment="sandbox", bootstrap_key=BOOTSTRAP)


@pytest.fixture
def app(settings: Settings, store: Store, now: datetime) -> Starlette:
    """The application on this test's database; its clock stands still at `now`."""
    return create_app(settings, store, Clock(now.isoformat()))


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """Access logs of a test run help nobody."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


@pytest.fixture
async def api(app: Starlette) -> AsyncIterator[Api]:
    """The bootstrap administrator."""
    client = Api(app)
    yield client
    await client.http.aclose()
