"""Drafts: what an invoice would say now. A view, computed on each read and never stored.

Owns the way from a contract and a period or a date to a rated draft; finalization uses the same function, so a draft
shows what the final invoice will say. Which invoices are open is told by `open.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.terms import terms_of, terms_of_contracts
from app.core.grants import Pot
from app.core.invoice import Draft, InvoiceType, assemble
from app.core.items import fees_and_charges, item_lines
from app.core.lines import Line
from app.core.money import fiat
from app.core.rating import Draw, Unrated, Usage, rate_fees, rate_statement
from app.core.terms import Terms
from app.invoices import earlier, elsewhere
from app.invoices.statements import Statement
from app.usage import metric_hours, reading


@dataclass(frozen=True, slots=True)
class RatedPart:
    """A constituent of a consolidated invoice: a draft, or a final invoice with the digest of what it says."""

    invoice_id: UUID
    draft: RatedStatement | None
    content_hash: str | None


@dataclass(frozen=True, slots=True)
class RatedStatement:
    """An open invoice with its lines: the draft, the inputs that made it, and usage that has no price.

    `items` are those of its lines that bill fees and charges; `pots` is what it could draw from, `draws` what it took.
    `parts` are the constituents of a consolidated one.
    """

    statement: Statement
    draft: Draft
    items: Sequence[Line]
    unrated: Sequence[Unrated]
    terms: Terms
    usage: Usage
    pots: Sequence[Pot] = ()
    draws: Sequence[Draw] = ()
    parts: Sequence[RatedPart] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether there will be no invoice: of a commit that is used up nothing is missing."""
        return self.statement.type is InvoiceType.TRUEUP and not self.draft.lines

    @property
    def id(self) -> UUID:
        """The id that the invoice will have."""
        return self.statement.id

    @property
    def customer_id(self) -> UUID:
        """Whose statement it is."""
        return self.statement.contract.customer_id

    @property
    def contract_id(self) -> UUID:
        """The contract that it bills."""
        return self.statement.contract.id


async def rate(
    session: AsyncSession,
    statement: Statement,
    *,
    pots: Sequence[Pot] = (),
    hours: metric_hours.HoursReader = metric_hours.hours_of_metrics,
    terms: Terms | None = None,
    usage: Usage | None = None,
) -> RatedStatement:
    """Rate an open invoice from the usage in sight, or from what a preview reads in its place.

    `pots` are the segments that serve its contract; `balances.py` knows what earlier invoices left in them. `terms` and
    `usage` are read unless they are at hand.
    """
    if terms is None:
        terms = await terms_of(session, statement.contract)
    items = item_lines(statement.items, terms)
    fees, charges = fees_and_charges(items)
    if statement.type is InvoiceType.SCHEDULED:
        rating = rate_fees(terms, fees, pots=pots)
        draft = assemble([*rating.lines, *charges], fiat(statement.currency))
        return RatedStatement(statement, draft, items, (), terms, {}, pots, rating.draws)
    terms = await elsewhere.with_elsewhere(session, statement.contract, terms, statement.period, hours=hours)
    if usage is None:
        found = await _usage(session, [statement], {statement.contract.id: terms}, hours=hours)
        usage = found[statement.id]
    rating = rate_statement(terms, statement.period, usage, pots=pots, fees=fees)
    draft = assemble([*rating.lines, *charges], terms.unit)
    return RatedStatement(statement, draft, items, rating.unrated, terms, usage, pots, rating.draws)


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """What was read for many statements at once: terms by contract, and the usage of statements by their id."""

    terms: Mapping[UUID, Terms] = field(default_factory=dict[UUID, Terms])
    usage: Mapping[UUID, Usage] = field(default_factory=dict[UUID, Usage])


async def read_ahead(
    session: AsyncSession,
    open_ones: Iterable[Statement],
    asked: Sequence[Statement] = (),
    *,
    hours: metric_hours.HoursReader,
) -> ReadAhead:
    """The terms of the contracts of open statements, and the usage of those asked for; in as many queries as for one."""
    contracts = {item.contract.id: item.contract for item in (*open_ones, *asked)}
    terms = await terms_of_contracts(session, list(contracts.values()))
    return ReadAhead(terms, await _usage(session, asked, terms, hours=hours))


async def _usage(
    session: AsyncSession,
    statements: Sequence[Statement],
    terms: Mapping[UUID, Terms],
    *,
    hours: metric_hours.HoursReader,
) -> dict[UUID, Usage]:
    """Of those that are usage statements, by id."""
    asking = [item for item in statements if item.type is InvoiceType.USAGE]
    asked = [
        reading.UsageAsked(
            item.contract.customer_id,
            terms[item.contract.id].products,
            item.period,
            terms[item.contract.id].usage_filters,
            earlier.statements_before(session, item.contract.id, item.period.starting_at),
        )
        for item in asking
    ]
    found = await reading.usage_of_many(session, asked, hours=hours)
    return {item.id: usage for item, usage in zip(asking, found, strict=True)}
