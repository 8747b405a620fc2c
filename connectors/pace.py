"""How fast an account may be called: one turn after the other, so that a provider's limit is never met.

Owns the waiting. A limit that is met costs a refused call and a wait that the provider chooses; staying below it costs
milliseconds. Each process keeps its own pace for each account.
"""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Hands out turns `per_second` apart at most; who comes too early sleeps until the own turn."""

    def __init__(self, per_second: int) -> None:
        assert per_second > 0, "a pace of nothing would wait for ever"
        self._step = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for a turn. Turns are given in the order in which they were asked for."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._step
        if at > now:
            await asyncio.sleep(at - now)
