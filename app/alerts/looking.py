"""Who looks at alerts: one worker of a deployment at a time, and never for ever."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import func, select

from app.alerts.evaluating import evaluate_touched
from app.alerts.tables import AlertTouch
from app.store.engine import Store
from app.store.locks import hold


async def evaluate_alone(store: Store, *, now: datetime) -> bool:
    """Look at all of whom something is noted by now; False when somebody else is at it, and it is to be asked for again.

    Under steady usage there is always something more, for which a job of its own was asked: one that went on for ever, or
    several at the same customers, would leave no worker for what has to be told of it.
    """
    async with hold(store, "alerts.evaluate") as is_ours:
        if is_ours:
            async with store.transaction() as session:
                last = await session.scalar(select(func.max(AlertTouch.id)))
            while last is not None and await evaluate_touched(store, now=now, up_to=last):
                pass
        return is_ours
