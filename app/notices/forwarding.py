"""A notice brought to an address that the person at the keyboard chose, signed as it is in earnest.

Unlike `posting.py` it asks nothing of the address: it is called from one's own machine, to one's own machine.
"""

from __future__ import annotations

import time
from datetime import datetime

import httpx

from app.core.signing import LIKE, key_of, signed

__all__ = ["LIKE", "SECONDS", "forward", "is_secret"]

SECONDS = 15.0
"""What receives a notice has so long to answer, as it has in earnest."""


def is_secret(text: str) -> bool:
    """Whether a text can sign; else it is not written as `LIKE` says."""
    return key_of(text) is not None


async def forward(
    client: httpx.AsyncClient, url: str, body: bytes, *, secret: str, message_id: str, now: datetime
) -> str:
    """The status of the answer, or why there was none, and how long it took."""
    key = key_of(secret)
    assert key is not None, "secrets are looked at before they are used"
    headers = signed(body, message_id=message_id, now=now, keys=[key])
    begun = time.perf_counter()
    try:
        response = await client.post(url, content=body, headers={"content-type": "application/json", **headers})
        came = str(response.status_code)
    except httpx.HTTPError as error:
        came = f"no answer ({type(error).__name__})"
    return f"{came} in {int((time.perf_counter() - begun) * 1000)} ms"
