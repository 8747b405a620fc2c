"""A receiver of webhooks on the loopback interface, which answers as a test tells it and remembers what it got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import webhooks

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def status(code: int, *, head: str = "", body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {code} X\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body


@dataclass
class Message:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        return json.loads(self.body)

    def verified(self, secret: str) -> bool:
        """What the public verifier says, as of the time at which the message says that it was signed."""
        signed_at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)

        class Then(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return signed_at

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(webhooks, "datetime", Then)
            try:
                webhooks.Webhook(secret).verify(self.body, self.headers)
            except webhooks.WebhookVerificationError:
                return False
        return True


@dataclass
class Receiver:
    """Answers with the first of `answers` that is left, else with 200; an answer of None is never given."""

    port: int = 0
    got: list[Message] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def take(self) -> list[Message]:
        """What came since the last look."""
        found, self.got = self.got, []
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.got.append(Message(first.split(" ")[1], headers, body))
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    await reader.read()  # until the other side gives up
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver for as long as the block runs."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
