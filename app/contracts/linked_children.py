"""Children of recurring commits and credits whose amount follows the quantity of a subscription.

Owns which of them are missing. A child is fixed when its period begins; what comes later in it is an entry in its ledger
(`seat_entries.py`) or, seat by seat, a balance of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.contracts.fees import subscription_of
from app.contracts.new_children import make_child
from app.contracts.quantity_history import History, first_seats, histories_of
from app.contracts.recurring_terms import recurring_of
from app.contracts.seat_entries import post_increases
from app.contracts.tables import Contract, SubscriptionRow
from app.contracts.terms import contract_period, schedule_of
from app.core import period, recurring, seat_balances, subscriptions
from app.grants.tables import GrantRow, RecurringGrantRow

Existing = Mapping[tuple[int | None, str | None], GrantRow]


async def make_linked(session: AsyncSession, contract: Contract, row: RecurringGrantRow, *, now: datetime) -> int:
    """Make what is missing by now: children, those of seats, and entries for increases. Gives how many were made."""
    assert row.subscription_id is not None, "it follows a subscription"
    subscription = await session.get_one(SubscriptionRow, row.subscription_id)
    history = (await histories_of(session, [subscription.id]))[subscription.id]
    term = recurring_of(row)
    both = term.period.intersect(period.Period(subscription.starting_at, subscription.ending_before))
    if both is None:
        return 0
    term = replace(term, period=both)
    rows = await session.execute(select(GrantRow).where(GrantRow.recurring_id == row.id))
    there = {(item.recurring_number, item.seat_id): item for item in rows.scalars()}
    make = _make_seats if row.allocation == seat_balances.Allocation.INDIVIDUAL else _make_pooled
    return await make(session, contract, row, term, subscription, history, there, now=now)


async def _make_seats(
    session: AsyncSession,
    contract: Contract,
    row: RecurringGrantRow,
    term: recurring.RecurringGrant,
    subscription: SubscriptionRow,
    history: History,
    there: Existing,
    *,
    now: datetime,
) -> int:
    made = 0
    for child in _children(contract, term, now=now):
        for seat in seat_balances.seat_children(
            child, first_seats(subscription), history.seat_changes, unit_amount=term.access_amount,
            prorate=row.prorate_seat_increases, until=now,
        ):  # fmt: skip
            if (child.number, seat.seat_id) not in there:
                own = replace(
                    child, access=seat.access, access_amount=seat.access_amount, invoice_amount=seat.invoice_amount
                )
                await make_child(session, contract, row, own, seat=(subscription.seat_group_key, seat.seat_id))
                made += 1
    return made


async def _make_pooled(
    session: AsyncSession,
    contract: Contract,
    row: RecurringGrantRow,
    term: recurring.RecurringGrant,
    subscription: SubscriptionRow,
    history: History,
    there: Existing,
    *,
    now: datetime,
) -> int:
    followed = subscription_of(subscription, history)
    found: list[tuple[GrantRow, recurring.Child]] = []
    units_at = partial(subscriptions.quantity_at, followed)
    for child in _children(contract, term, now=now, units_at=units_at):
        grant = there.get((child.number, None))
        if grant is None:
            grant = await make_child(session, contract, row, child, unit_amount=term.access_amount)
        found.append((grant, child))
    posted = await post_increases(session, followed, found, prorate=row.prorate_seat_increases, now=now)
    return posted + len([grant for grant, _ in found if (grant.recurring_number, None) not in there])


def _children(
    contract: Contract, term: recurring.RecurringGrant, *, now: datetime, **parts: object
) -> Iterator[recurring.Child]:
    return recurring.children(
        term,
        schedule_of(contract),
        contract=contract_period(contract),
        begun_by=now,
        **parts,  # type: ignore[arg-type]
    )
