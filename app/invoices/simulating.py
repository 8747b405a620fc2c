"""What invoices would say after a change that nobody has made: a new contract, an edit, other prices, other usage.

Owns the comparison with today. The change is carried out by the services that would carry it out, in a transaction that is
taken back, so a preview refuses what they refuse. Past statements are made again one after the other, each from what the
ones before would have left in the balances; open ones follow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract
from app.core import differences, invoice, lines, money
from app.core.period import Period
from app.errors import ErrorCode, LimitExceeded
from app.invoices import again, balances, books, detaching, draws, finding, simulated_statements
from app.invoices.drafts import RatedStatement
from app.invoices.instead import Instead
from app.store.rehearsal import rehearse
from app.usage.metric_hours import HoursReader, hours_of_metrics

MAX_STATEMENTS = 36

Change = Callable[[AsyncSession], Awaitable[UUID]]
"""Carries out a change, and returns the contract that it is about."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One invoice as it stands today and as it would be; one of the two may not be there.

    `today_id` is that of the final invoice or draft. Totals are rounded where the invoice is final today.
    """

    today_id: UUID | None
    lines_before: Sequence[lines.Line]
    total_before: Decimal
    after: RatedStatement | None
    lines_after: Sequence[lines.Line]
    total_after: Decimal
    period: Period
    currency: str

    @property
    def difference(self) -> Decimal:
        """How much more it would be."""
        with money.exact():
            return self.total_after - self.total_before

    @property
    def differences(self) -> tuple[differences.LineDifference, ...]:
        """What differs, line by line."""
        return differences.line_differences(self.lines_before, self.lines_after)


@dataclass(frozen=True, slots=True)
class _Side:
    """An invoice before or after the change."""

    period: Period
    currency: str
    due_at: datetime
    billed: Sequence[lines.Line]
    total: Decimal
    rated: RatedStatement | None = None


async def simulate(
    session: AsyncSession,
    change: Change,
    *,
    contract_id: UUID | None,
    interval: Period,
    hours: HoursReader | None = None,
    now: datetime,
) -> list[Simulated]:
    """The invoices of a contract that overlap an interval, in the order in which they are issued.

    `contract_id` is None for a contract that the change makes. `hours` reads the usage after the change, by default what is stored. Errors: whatever
    the change raises; `LimitExceeded` above 36 invoices.
    """
    assert interval.ending_before is not None, "a preview has an end"
    # Statements that begin later in the interval are shown as well, as far as they can be told today.
    until = max(now, interval.ending_before)
    async with rehearse(session) as other:
        before = {} if contract_id is None else await _today(other, contract_id, interval, now=now, until=until)
        contract = await other.get_one(Contract, await change(other), populate_existing=True)
        await finding.make_children_of(other, contract.customer_id, now=until)
        after = await _changed(
            other, contract, interval, also=before.keys(), hours=hours or hours_of_metrics, now=now, until=until
        )
    found: list[tuple[datetime, UUID, Simulated]] = []
    for identifier in dict.fromkeys([*before, *after]):
        one, other_side = before.get(identifier), after.get(identifier)
        side = other_side or one
        assert side is not None, "it is on one side at least"
        if not any(simulated_statements.meets(interval, each.period) for each in (one, other_side) if each is not None):
            continue
        item = Simulated(
            today_id=None if one is None else identifier,
            lines_before=() if one is None else one.billed,
            total_before=money.ZERO if one is None else one.total,
            after=None if other_side is None else other_side.rated,
            lines_after=() if other_side is None else other_side.billed,
            total_after=money.ZERO if other_side is None else other_side.total,
            period=side.period,
            currency=side.currency,
        )
        found.append(((one or side).due_at, identifier, item))
    return [item for _, _, item in sorted(found, key=lambda entry: entry[:2])]


async def _today(
    session: AsyncSession, contract_id: UUID, interval: Period, *, now: datetime, until: datetime
) -> dict[UUID, _Side]:
    """The invoices and drafts of a contract as they stand."""
    contract = await session.get_one(Contract, contract_id)
    found: dict[UUID, _Side] = {}
    for row in await simulated_statements.final_in(session, contract, interval, limit=MAX_STATEMENTS + 1):
        billed = await books.lines_of(session, row.id)
        found[row.id] = _Side(books.period_of(row), row.currency, row.due_at, billed, row.total)
    open_ones = await simulated_statements.open_in(session, contract, interval, until=until)
    _refuse_many(len(found) + len(open_ones))
    book = balances.Books(session, now=until)
    for statement in open_ones:
        rated = await book.rate(statement)
        if not rated.is_nothing:
            found[statement.id] = _open_side(rated)
    return found


async def _changed(
    session: AsyncSession,
    contract: Contract,
    interval: Period,
    *,
    also: Collection[UUID],
    hours: HoursReader,
    now: datetime,
    until: datetime,
) -> dict[UUID, _Side]:
    """The same after the change: final ones made again in their order, then the open ones."""
    finals = await simulated_statements.final_in(session, contract, interval, limit=MAX_STATEMENTS + 1)
    open_ones = await simulated_statements.open_in(session, contract, interval, also=also, until=until)
    _refuse_many(len(finals) + len(open_ones))
    instead = Instead(gone={row.id for row in finals}, hours=hours)
    found: dict[UUID, _Side] = {}
    for row in finals:
        made = await again.make_again(session, row, is_void=False, now=now, supposed=instead)
        if made is None:
            continue
        for draw in made.rated.draws:
            movement = draws.draft_movement(draw, made.rated.statement)
            instead.draws.setdefault(draw.pot.grant_id, []).append(movement)
        final = invoice.finalize(made.rated.draft)
        side = _open_side(made.rated)
        found[row.id] = replace(side, billed=final.lines, total=final.total)
    every = balances.Books(session, now=until, hours=hours)
    await (await every.of(contract.customer_id)).suppose(instead.moved)
    for statement in open_ones:
        rated = await every.rate(statement)
        if not rated.is_nothing:
            found[statement.id] = _open_side(rated)
    return found


def _open_side(rated: RatedStatement) -> _Side:
    kept = detaching.detached(rated)
    statement, draft = rated.statement, rated.draft
    return _Side(statement.period, draft.unit.code, statement.due_at, draft.lines, draft.subtotal, kept)


def _refuse_many(count: int) -> None:
    if count > MAX_STATEMENTS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"The interval has {count} invoices of the contract; a preview takes at most {MAX_STATEMENTS}.",
            path=("input", "interval"),
        )
