"""Who looks at alerts: one worker of a deployment at a time, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from sqlmodel import func, select

from app.alerts.tables import AlertTouch
from app.alerts.touched import evaluate_touched
from app.store.engine import Store
from app.store.locks import hold

ROUNDS = 20
"""Times that one job looks at all of whom something is noted, before it leaves its place to others."""
PAUSE_SECONDS = 0.25
"""Between two rounds, so that what is noted meanwhile is looked at together."""


async def evaluate_alone(store: Store, *, clock: Callable[[], datetime]) -> bool:
    """Look at all of whom something is noted; False when somebody else is at it, and it is to be asked for again.

    Under steady usage there is always something more: the next round begins where the last one ends, and does not wait for
    a job of its own. It ends all the same, since one that went on for ever, or several at the same customers, would leave
    no worker for what has to be told of it; for whatever was noted meanwhile a job was asked.
    """
    async with hold(store, "alerts.evaluate") as is_ours:
        if is_ours:
            for _ in range(ROUNDS):
                async with store.transaction() as session:
                    last = await session.scalar(select(func.max(AlertTouch.id)))
                now, done = clock(), 0
                while last is not None and (looked_at := await evaluate_touched(store, now=now, up_to=last)):
                    done += looked_at
                if not done:
                    break
                await asyncio.sleep(PAUSE_SECONDS)
        return is_ours
