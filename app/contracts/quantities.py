"""How the quantity of a subscription changes: from an hour on, with its history kept.

Owns its rows; the rules of an update are in `quantity_rules.py`. Which fees follow from the history is worked out in `core.subscriptions`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.contracts.changing import balances_follow, changeable_subscription
from app.contracts.quantity_rules import checked_update
from app.contracts.tables import QuantityUpdateRow, SubscriptionRow
from app.core.money import canonical
from app.errors import ErrorCode, InvalidInput
from app.store.ids import to_text
from app.store.unique import once


async def update_quantity(
    session: AsyncSession,
    subscription_id: UUID,
    *,
    starting_at: datetime,
    quantity: Decimal | None = None,
    delta: Decimal | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> SubscriptionRow:
    """Change the quantity from an hour on, to a quantity or by a difference; the history is kept.

    Updates of one instant apply in the order in which they were added. None reaches back behind a fee that is final,
    because fees of a period are worked out from the quantities before.
    Errors: `NotFound`, ARCHIVED, REQUIRED, INVALID, QUANTITY_NEGATIVE, NOT_HOUR_ALIGNED, INVALID_INTERVAL,
    ALREADY_FINALIZED, `Conflict`, `LimitExceeded` above 5,000 updates.
    """
    row, contract, subscription, billed = await changeable_subscription(session, subscription_id)
    if row.seats_from is not None:
        raise InvalidInput(ErrorCode.INVALID, "Its quantity is made of seats; change those.", path=("id",))
    update = checked_update(subscription, contract, billed, starting_at=starting_at, quantity=quantity, delta=delta)
    async with once(session, QuantityUpdateRow, uniqueness_key):
        session.add(
            QuantityUpdateRow(
                created_at=now, subscription_id=row.id, starting_at=update.starting_at, quantity=quantity, delta=delta,
                added=len(subscription.updates) + 1, uniqueness_key=uniqueness_key,
            )
        )  # fmt: skip
        await session.flush()
    await balances_follow(session, contract, now=now)
    change = {"quantity": quantity} if delta is None else {"delta": delta}
    note_change(
        session, "contract", contract.id,
        after={
            "subscription": to_text("subscription", row.id), "startingAt": update.starting_at.isoformat(),
            **{name: canonical(value) for name, value in change.items() if value is not None},
        },
    )  # fmt: skip
    return row
