"""Idempotency keys: the same request again gets the first answer and acts once, whatever happens in between."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from app.access import idempotency
from app.clock import Clock
from app.errors import Unavailable
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from tests.api.conftest import CREATE_KEY, Api

KEY = {"idempotency-key": "create-1"}
FIRST = {"input": {"name": "first", "scopes": ["usage:write"]}}
OTHER = {"input": {"name": "other", "scopes": ["usage:write"]}}


async def made(api: Api) -> int:
    """How many keys were created, besides the caller's own."""
    return (await api('{ auditLog(filter: {outcome: "ok"}) { totalCount } }'))["auditLog"]["totalCount"]


async def test_a_repeat_is_answered_from_the_store(api: Api) -> None:
    first = await api.post(CREATE_KEY, FIRST, headers=KEY)
    again = await api.post(CREATE_KEY, FIRST, headers=KEY)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.status_code == first.status_code == 200
    one, two = (answer.json()["data"]["apiKeyCreate"] for answer in (first, again))
    assert one["apiKey"] == two["apiKey"]
    assert (one["secretOnce"] is not None, two["secretOnce"]) == (True, None), "a secret is stored nowhere"
    assert await made(api) == 1


async def test_without_a_key_each_request_acts(api: Api) -> None:
    for _ in range(2):
        await api.post(CREATE_KEY, FIRST)
    assert await made(api) == 2


async def test_user_errors_are_answers_too(api: Api) -> None:
    bad = {"input": {"name": "", "scopes": ["admin"]}}
    first, again = [await api.post(CREATE_KEY, bad, headers=KEY) for _ in range(2)]
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_another_request_under_the_key_is_409(api: Api) -> None:
    await api.post(CREATE_KEY, FIRST, headers=KEY)
    refused = await api.post(CREATE_KEY, OTHER, headers=KEY)
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await made(api) == 1


async def test_the_order_of_variables_does_not_matter(api: Api) -> None:
    await api.post(CREATE_KEY, FIRST, headers=KEY)
    turned = {"input": dict(reversed(FIRST["input"].items()))}
    assert (await api.post(CREATE_KEY, turned, headers=KEY)).headers["idempotency-replayed"] == "true"


async def test_keys_belong_to_their_caller(api: Api) -> None:
    other = await api.with_scopes("admin")
    await api.post(CREATE_KEY, FIRST, headers=KEY)
    assert "idempotency-replayed" not in (await other.post(CREATE_KEY, OTHER, headers=KEY)).headers


async def test_refused_and_wrong_requests_leave_the_key_free(api: Api) -> None:
    narrow = await api.with_scopes("usage:read")
    assert (await narrow.post(CREATE_KEY, FIRST, headers=KEY)).json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert "idempotency-replayed" not in (await narrow.post(CREATE_KEY, OTHER, headers=KEY)).headers
    for wrong in ("{", "mutation { nothing }", "{ __typename }"):
        await api.post(wrong, headers=KEY)
    assert "idempotency-replayed" not in (await api.post(CREATE_KEY, FIRST, headers=KEY)).headers


async def test_queries_ignore_the_key(api: Api) -> None:
    for document in ("{ __typename }", "{ apiKeys { totalCount } }"):
        response = await api.post(document, headers=KEY)
        assert response.status_code == 200
        assert "idempotency-replayed" not in response.headers


async def test_a_day_later_the_key_is_free_again(api: Api, settings: Settings, store: Store, now: datetime) -> None:
    await api.post(CREATE_KEY, FIRST, headers=KEY)
    for hours, replayed in ((23, True), (24, False)):
        later = Api(create_app(settings, store, Clock((now + timedelta(hours=hours)).isoformat())))
        response = await later.post(CREATE_KEY, FIRST, headers=KEY)
        assert ("idempotency-replayed" in response.headers) == replayed
    async with store.transaction() as session:
        await idempotency.purge(session, now=now + timedelta(hours=48))
        assert (await session.execute(text("select count(*) from idempotency_records"))).scalar_one() == 0


async def test_twenty_at_once_act_once(api: Api) -> None:
    await api("{ __typename }")
    answers = await asyncio.gather(*(api.post(CREATE_KEY, FIRST, headers=KEY) for _ in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_IN_USE"
    done = {answer.json()["data"]["apiKeyCreate"]["apiKey"]["id"] for answer in answers if answer.status_code == 200}
    assert len(done) == 1
    assert await made(api) == 1


async def test_a_request_whose_connection_dies_blocks_nobody(api: Api, store: Store, now: datetime) -> None:
    """The lock goes with the connection and nothing was stored, so the repeat acts at once."""
    await api("{ __typename }")
    async with store.transaction() as session:
        key_id = (await session.execute(text("select id from api_keys"))).scalar_one()
    with pytest.raises(Unavailable):
        async with store.transaction() as dying:
            found = await idempotency.begin(dying, key_id=key_id, key="create-1", fingerprint="x", now=now)
            assert found is None
            assert (await api.post(CREATE_KEY, FIRST, headers=KEY)).status_code == 409
            await dying.execute(text("select pg_terminate_backend(pg_backend_pid())"))
    assert (await api.post(CREATE_KEY, FIRST, headers=KEY)).status_code == 200
    assert await made(api) == 1
