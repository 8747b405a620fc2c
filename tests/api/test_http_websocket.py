"""GraphQL over WebSocket, on a real server on a loopback port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.api.conftest import BOOTSTRAP
from tests.api.serving import served

PROTOCOL = Subprotocol("graphql-transport-ws")
INIT = {"type": "connection_init", "payload": {"Authorization": f"Bearer {BOOTSTRAP}"}}


@pytest.fixture
async def address(app: Starlette) -> AsyncIterator[str]:
    """The application behind uvicorn; stopped when the test ends."""
    async with served(app) as host:
        yield f"ws://{host}/graphql"


async def send(connection: ClientConnection, message: Any) -> None:
    await connection.send(json.dumps(message))


async def receive(connection: ClientConnection) -> dict[str, Any]:
    frame = await asyncio.wait_for(connection.recv(), 5)
    assert isinstance(frame, str), "frames are text"
    return json.loads(frame)


async def close_code(connection: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(connection.recv(), 5)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_queries_mutations_and_errors(address: str) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as connection:
        await send(connection, INIT)
        assert await receive(connection) == {"type": "connection_ack"}
        await send(connection, {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}})
        assert (await receive(connection))["payload"] == {"data": {"__typename": "Query"}}
        assert await receive(connection) == {"type": "complete", "id": "1"}
        await send(connection, {"type": "subscribe", "id": "2", "payload": {"query": "{ nothing }"}})
        refused = await receive(connection)
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        create = 'mutation { apiKeyCreate(input: {name: "a", roles: [VIEWER]}) { apiKey { name } } }'
        await send(connection, {"type": "subscribe", "id": "3", "payload": {"query": create}})
        assert (await receive(connection))["payload"]["data"]["apiKeyCreate"]["apiKey"] == {"name": "a"}
        assert (await receive(connection))["type"] == "complete"
        await send(connection, {"type": "subscribe", "id": "4", "payload": {"query": "{ auditLog { totalCount } }"}})
        assert (await receive(connection))["payload"]["data"] == {"auditLog": {"totalCount": 1}}, "and it was committed"


async def test_the_handshake_may_carry_the_key(address: str) -> None:
    headers = {"Authorization": f"Bearer {BOOTSTRAP}"}
    async with connect(address + "/", subprotocols=[PROTOCOL], additional_headers=headers) as connection:
        await send(connection, {"type": "connection_init"})
        assert await receive(connection) == {"type": "connection_ack"}


async def test_strangers_are_refused(address: str) -> None:
    for payload in (None, {}, [], {"Authorization": "Bearer wrong"}, {"Authorization": 1}):
        async with connect(address, subprotocols=[PROTOCOL]) as connection:
            await send(connection, {"type": "connection_init", "payload": payload})
            assert await close_code(connection) == 4403
    async with connect(address, subprotocols=[PROTOCOL]) as connection:
        await send(connection, {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}})
        assert await close_code(connection) == 4401


@pytest.mark.parametrize("message", ["[", "[]", "1", "null", '{"type": 1}', "{}", '{"a": NaN}', "[" * 5000])
async def test_what_is_no_message_ends_the_connection(address: str, message: str) -> None:
    async with connect(address, subprotocols=[PROTOCOL]) as connection:
        await send(connection, INIT)
        await receive(connection)
        await connection.send(message)
        assert await close_code(connection) == 4400


async def test_the_old_protocol_is_not_spoken(address: str) -> None:
    async with connect(address, subprotocols=[Subprotocol("graphql-ws")]) as connection:
        assert await close_code(connection) == 4406
