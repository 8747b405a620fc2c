"""One POST to an address of somebody else's choice, which cannot be turned against us.

Owns the guard around the call: every address that a name has must be public, the connection goes to one of those that
were looked at and to no other, redirects are not followed, and waits and answers are bounded. What the answer means is
left to `sending.py`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext

import httpx

from app.core.targets import RefusedTarget, Target, is_public, target_of

CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 5.0, 10.0, 15.0
MAX_ANSWER = 4_096
"""Bytes of an answer that are read; the rest is not waited for."""
KEPT = 500
"""Characters of it that are shown in the log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Without a `status_code` there was no answer, and `error` says why."""

    status_code: int | None
    text: str | None
    error: str | None
    milliseconds: int

    @property
    def is_success(self) -> bool:
        """Whether the receiver took the message: 2xx and nothing else."""
        return self.status_code is not None and 200 <= self.status_code <= 299


@asynccontextmanager
async def poster() -> AsyncIterator[httpx.AsyncClient]:
    """A client for messages to one endpoint: no proxies of ours, no redirects, no cookies kept."""
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(verify=_tls(), trust_env=False, follow_redirects=False, timeout=timeout) as client:
        yield client


@cache
def _tls() -> SSLContext:
    """Made once: reading the certificates takes longer than a whole call."""
    return httpx.create_ssl_context(trust_env=False)


async def post(
    client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool
) -> Answer:
    """Post once. Whatever goes wrong is an answer without a status."""
    begun = time.perf_counter()
    status_code: int | None = None
    text: str | None = None
    error: str | None = None
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            target = target_of(url, allow_private=allow_private)
            address = await checked_address(target, allow_private=allow_private)
            status_code, text = await _call(client, target, address, body, headers)
    except RefusedTarget as refused:
        error = f"The address is not taken: {refused}."
    except TimeoutError:
        error = f"There was no answer within {WHOLE_SECONDS:.0f} seconds."
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
        error = f"The receiver cannot be reached ({type(fault).__name__})."
    return Answer(status_code, text, error, int((time.perf_counter() - begun) * 1000))


async def checked_address(target: Target, *, allow_private: bool) -> str:
    """An address of the host, after all of them were looked at. Errors: `RefusedTarget`, OSError without any."""
    found = await resolve(target.host, target.port)
    if not found:
        raise OSError("the name has no address")
    if not allow_private:
        inside = [address for address in found if not is_public(address)]
        if inside:
            raise RefusedTarget("the name leads to an address that is not public")
    return found[0]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a name, in the order in which they are to be tried."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]).partition("%")[0] for *_, place in answers]


async def _call(
    client: httpx.AsyncClient, target: Target, address: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, str]:
    # The name is in the Host header and in the certificate's check; the connection itself never asks for it again.
    literal = f"[{address}]" if ":" in address else address
    request = client.build_request(
        "POST", f"{target.scheme}://{literal}:{target.port}{target.path}", content=body,
        headers={
            "content-type": "application/json", "user-agent": "metrograph-webhooks/1", "accept-encoding": "identity",
            **headers, "host": target.authority,
        },
        extensions={"sni_hostname": target.host},
    )  # fmt: skip
    response = await client.send(request, stream=True)
    try:
        read = b""
        async for part in response.aiter_raw(1_024):
            read += part
            if len(read) >= MAX_ANSWER:
                break
    finally:
        await response.aclose()
    return response.status_code, read[:MAX_ANSWER].decode("utf-8", "replace").replace("\0", "")[:KEPT]
