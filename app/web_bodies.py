"""The raw body of a request, read no further than a limit.

Owns the reading alone; what a longer one is answered with is each door's matter.
"""

from __future__ import annotations

from starlette.requests import Request


async def bounded_body(request: Request, *, at_most: int) -> bytes | None:
    """The body, whatever Content-Length claims; None when it is longer. Error: `ClientDisconnect` when it breaks off."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > at_most:
            return None
        parts.append(part)
    return b"".join(parts)
