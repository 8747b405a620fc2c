"""Who looks at alerts: one worker of a deployment at a time, and never for ever."""

from __future__ import annotations

from datetime import datetime

from app.alerts.evaluating import evaluate_touched
from app.store.engine import Store
from app.store.locks import hold


async def evaluate_alone(store: Store, *, now: datetime) -> bool:
    """`evaluate_touched`, once; False when somebody else is at it, and it is to be asked for again.

    Under steady usage there is always something; a job that went on for ever, or several at the same customers, would
    leave no worker for what has to be told of it.
    """
    async with hold(store, "alerts.evaluate") as is_ours:
        if is_ours:
            await evaluate_touched(store, now=now)
        return is_ours
