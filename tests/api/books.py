"""Whether the books of balances hold after what a test did through the API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from app.commands.checking import RULES
from app.contracts.past import misremembered
from app.invoices.balance_books import unbalanced
from app.store.engine import Store


async def assert_sound(store: Store, now: datetime) -> None:
    """Nothing that `metrograph check` says of balances, invoices and histories is broken."""
    async with store.transaction() as session:
        counts = {rule: (await session.execute(text(query))).scalar_one() for rule, (_, query) in RULES.items()}
        _, wrong = await unbalanced(session, now=now)
        _, misled = await misremembered(session)
    assert ([rule for rule, count in counts.items() if count], wrong, misled) == ([], [], [])
