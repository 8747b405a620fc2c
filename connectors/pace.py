"""How fast an account may be called: one turn after the other, so that a provider's limit is never met.

Owns the waiting. A limit that is met costs a refused call and a wait that the provider chooses; staying below it costs
milliseconds. By itself each process keeps its own pace for each account; a gateway of several gives turns that they share.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, runtime_checkable


class Turns(Protocol):
    """Whoever hands out turns."""

    async def turn(self) -> None:
        """Wait for the own turn."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A connector that spaces its calls, by turns of its own or by those that it is given."""

    @property
    def calls_per_second(self) -> int:
        """How many calls a second the account may be sent."""
        ...

    def use_turns(self, turns: Turns) -> None:
        """Ask these for a turn before each call from now on."""
        ...


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
