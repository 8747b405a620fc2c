"""What a customer's balances are worth while invoices are open: every open invoice in turn, each from what the last one left.

Owns the order in which drafts share balances (golden decision 25) and what each of them may draw from. Prices are left to
the core; stored movements come from the grants slice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.tables import Contract
from app.core.invoice import InvoiceType
from app.core.ledger import Movement
from app.grants import drawable, entries, reading, sharing
from app.invoices import draws, finding, missing, putting_together, rollovers
from app.invoices.drafts import RatedStatement, ReadAhead, rate, read_ahead
from app.invoices.statements import Constituent, Statement, order_of
from app.usage.metric_hours import HoursReader, hours_of_metrics


@dataclass(slots=True)
class CustomerBook:
    """The balances of a customer and the open invoices that draw on them; each is rated once.

    Where children draw on balances of their parents, those of all customers concerned are one book.

    An invoice sees what final ones have drawn, and open ones that become final before it. Reading one that no balance
    serves rates nothing else. What rolls over at a renewal counts once the last statement of the old contract is rated;
    `provisional` are the balances that have it and whose books are not posted.
    """

    session: AsyncSession
    hours: HoursReader
    open: Sequence[Statement]
    renewals: rollovers.Renewals
    customers: frozenset[UUID] = frozenset()
    provisional: set[UUID] = field(default_factory=set[UUID])
    _grants: dict[UUID, reading.StoredGrant] = field(default_factory=dict[UUID, reading.StoredGrant])
    _known: ReadAhead = field(default_factory=ReadAhead)
    _rated: dict[UUID, RatedStatement] = field(default_factory=dict[UUID, RatedStatement])
    _moved: dict[UUID, list[Movement]] = field(default_factory=dict[UUID, list[Movement]])

    @classmethod
    async def of(
        cls, session: AsyncSession, customer_id: UUID, *, now: datetime, hours: HoursReader = hours_of_metrics
    ) -> CustomerBook:
        """The book as it stands now, with the invoices that are open by now."""
        return (await open_books(session, [customer_id], now=now, hours=hours))[customer_id]

    @property
    def grants(self) -> list[reading.StoredGrant]:
        """The balances, by id."""
        return list(self._grants.values())

    def take_in(self, found: Sequence[reading.StoredGrant]) -> None:
        """The balances, as they are stored."""
        self._grants = {item.row.id: item for item in found}
        self._moved = {item.row.id: list(item.movements) for item in found}

    def know(self, found: ReadAhead) -> None:
        """Terms and usage that were read for many books at once."""
        self._known = found

    async def suppose(self, moved: Callable[[UUID, Sequence[Movement]], Sequence[Movement]]) -> None:
        """Read the books otherwise than they are, before anything is rated; `moved` is given them entry by entry."""
        assert not self._rated, "what was rated drew on the books as they are"
        full = await entries.in_full(self.session, [item.grant for item in self.grants], self._moved)
        self._moved = {grant_id: list(moved(grant_id, found)) for grant_id, found in full.items()}

    async def rate(self, statement: Statement) -> RatedStatement:
        """An open invoice, after all that become final before it and may draw on the same balances."""
        # A true-up hangs on what all contracts drew of its commit, also where no balance serves its own contract.
        if statement.id not in self._rated and (statement.type is InvoiceType.TRUEUP or self._serving(statement)):
            for earlier in self.open:
                if earlier.id == statement.id:
                    break
                await self._rate(earlier)
        await self._rate(statement)
        return self._rated[statement.id]

    async def movements(self, *, with_drafts: bool = True) -> dict[UUID, Sequence[Movement]]:
        """What moved in the book of each grant: stored movements summed, and the draws of all open invoices, or of none.

        A book that was read without drafts is for nothing else.
        """
        for statement in self.open if with_drafts else ():
            if self._serving(statement):
                await self._rate(statement)
        self._roll_over(before=None)
        return dict(self._moved)

    async def entries(self, *, with_drafts: bool = True) -> dict[UUID, Sequence[Movement]]:
        """What `movements` sums up, one by one and in the order of its making: for ledgers."""
        moved = await self.movements(with_drafts=with_drafts)
        return await entries.in_full(self.session, [item.grant for item in self.grants], moved)

    async def _rate(self, statement: Statement) -> None:
        if statement.id in self._rated:
            return
        self._roll_over(before=statement)
        pots = drawable.pots_for(statement.contract, self.grants, self._moved)
        if not self._known.terms:
            self._known = await read_ahead(self.session, self.open, hours=self.hours)
        terms = self._known.terms.get(statement.contract.id)
        if statement.type is InvoiceType.TRUEUP:
            assert statement.grant_id is not None, "a true-up is that of a commit"
            grant = self._grants[statement.grant_id].grant
            rated = missing.rated_true_up(
                statement, grant, self._moved[grant.id], self._known.terms[statement.contract.id]
            )
        else:
            usage = self._known.usage.get(statement.id)
            rated = await rate(self.session, statement, pots=pots, hours=self.hours, terms=terms, usage=usage)
        self._rated[statement.id] = rated
        for draw in rated.draws:
            self._moved[draw.pot.grant_id].append(draws.draft_movement(draw, statement))

    def _roll_over(self, *, before: Statement | None) -> None:
        for row, contract in self.renewals.known_before(before, self.open):
            self.provisional |= rollovers.provisional(row, contract, self._grants, self._moved)

    def _serving(self, statement: Statement) -> list[reading.StoredGrant]:
        return [item for item in self.grants if item.may_serve(statement.contract)]


async def open_books(
    session: AsyncSession, customer_ids: Collection[UUID], *, now: datetime, hours: HoursReader = hours_of_metrics
) -> dict[UUID, CustomerBook]:
    """The books of some customers, and of all with whom they share one, by customer; in as many statements as for one."""
    groups = await sharing.sharing_customers(session, customer_ids)
    group_of = {customer_id: group for group in groups for customer_id in group}
    open_ones: dict[frozenset[UUID], list[Statement]] = {group: [] for group in groups}
    for item in await finding.open_of_customers(session, sorted(group_of), now=now):
        # What puts others together draws nothing itself.
        if item.type is not InvoiceType.USAGE_CONSOLIDATED:
            open_ones[group_of[item.contract.customer_id]].append(item)
    renewals = await rollovers.Renewals.of(session, *sorted(group_of), now=now)
    grants: dict[frozenset[UUID], list[reading.StoredGrant]] = {group: [] for group in groups}
    for grant in await reading.grants_of_customers(session, sorted(group_of), for_sums=True):
        grants[group_of[grant.row.customer_id]].append(grant)
    books: dict[UUID, CustomerBook] = {}
    for group in groups:
        book = CustomerBook(session, hours, open_ones[group], renewals.of_customers(group), group)
        book.take_in(grants[group])
        books |= dict.fromkeys(group, book)
    return books


class Books:
    """Rates open invoices of any customers, each from what earlier ones left; every customer's book is opened once."""

    def __init__(self, session: AsyncSession, *, now: datetime, hours: HoursReader = hours_of_metrics) -> None:
        """`now` is until when invoices are open."""
        self.now = now
        self._session, self._hours = session, hours
        self._books: dict[UUID, CustomerBook] = {}

    async def of(self, customer_id: UUID) -> CustomerBook:
        """The book of one customer."""
        return (await self.of_customers([customer_id]))[customer_id]

    async def of_customers(self, customer_ids: Collection[UUID]) -> Mapping[UUID, CustomerBook]:
        """The books of these customers, and all others that were opened."""
        unknown = [customer_id for customer_id in dict.fromkeys(customer_ids) if customer_id not in self._books]
        if unknown:
            self._books |= await open_books(self._session, unknown, now=self.now, hours=self._hours)
        return self._books

    async def open_of(self, contracts: Sequence[Contract]) -> list[Statement]:
        """The open invoices of these contracts but consolidated ones, in the order in which they become final."""
        books = await self.of_customers([contract.customer_id for contract in contracts])
        wanted = {contract.id for contract in contracts}
        concerned = {id(book): book for book in (books[contract.customer_id] for contract in contracts)}.values()
        return sorted((item for book in concerned for item in book.open if item.contract.id in wanted), key=order_of)

    async def rate_many(self, statements: Sequence[Statement]) -> list[RatedStatement]:
        """Several open invoices, none of which is consolidated; terms and usage are read for all at once."""
        books = await self.of_customers([item.contract.customer_id for item in statements])
        concerned = {id(book): book for book in (books[item.contract.customer_id] for item in statements)}.values()
        open_ones = [item for book in concerned for item in book.open]
        found = await read_ahead(self._session, open_ones, statements, hours=self._hours)
        for book in concerned:
            book.know(found)
        return [await books[item.contract.customer_id].rate(item) for item in statements]

    async def rate(self, statement: Statement) -> RatedStatement:
        """One open invoice; a consolidated one from those that it puts together."""
        if statement.type is not InvoiceType.USAGE_CONSOLIDATED:
            return await (await self.of(statement.contract.customer_id)).rate(statement)
        drafts = [await self._constituent(part) for part in statement.constituents if not part.is_final]
        return await putting_together.rated_together(self._session, statement, {item.id: item for item in drafts})

    async def _constituent(self, part: Constituent) -> RatedStatement:
        book = await self.of(part.contract.customer_id)
        return await book.rate(next(item for item in book.open if item.id == part.invoice_id))
