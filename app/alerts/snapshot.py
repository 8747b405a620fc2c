"""What alerts of customers may read at an instant: each draft is rated once, however many alerts there are.

Owns the way to drafts, balances and custom fields, and that what customers who are looked at together need is read for all
of them at once. What an alert makes of it is in `readings.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts.tables import AlertRow
from app.core.invoice import InvoiceType
from app.core.ledger import Movement
from app.custom_fields.service import custom_fields_of
from app.grants.reading import StoredGrant
from app.invoices.balances import CustomerBook, open_books
from app.invoices.drafts import RatedStatement, read_ahead
from app.invoices.statements import Statement
from app.usage.metric_hours import hours_of_metrics


@dataclass(slots=True)
class Together:
    """Customers who are looked at together, under their locks: opened and read when the first of them is asked for."""

    session: AsyncSession
    customer_ids: Sequence[UUID]
    now: datetime
    rated: int = 0
    """Drafts that were asked for, so that a measurement can tell how many evaluations cost."""
    _books: Mapping[UUID, CustomerBook] = field(default_factory=dict[UUID, CustomerBook])
    _is_read: bool = False

    async def book_of(self, customer_id: UUID) -> CustomerBook:
        """The book of one of them."""
        if not self._books:
            self._books = await open_books(self.session, self.customer_ids, now=self.now)
        return self._books[customer_id]

    async def read_ahead(self) -> None:
        """The terms of all, and the usage of their statements of now; that of others is read when it is asked for."""
        if self._is_read:
            return
        self._is_read = True
        books = {id(book): book for book in self._books.values()}.values()
        open_ones = [item for book in books for item in book.open]
        asked = [item for item in open_ones if item.type is InvoiceType.USAGE and item.period.contains(self.now)]
        found = await read_ahead(self.session, open_ones, asked, hours=hours_of_metrics)
        for book in books:
            book.know(found)


@dataclass(slots=True)
class Snapshot:
    """A customer as it stands; made for one evaluation, under the customer's lock."""

    together: Together
    customer_id: UUID
    _movements: Mapping[UUID, Sequence[Movement]] | None = None
    _fields: dict[UUID, dict[str, str]] = field(default_factory=dict[UUID, dict[str, str]])

    @property
    def session(self) -> AsyncSession:
        """The transaction of the evaluation."""
        return self.together.session

    @property
    def now(self) -> datetime:
        """The instant at which it stands so."""
        return self.together.now

    async def book(self) -> CustomerBook:
        """The customer's book."""
        return await self.together.book_of(self.customer_id)

    async def drafts(self, row: AlertRow, *, current: bool = False) -> list[RatedStatement]:
        """The open invoices of the contracts that an alert means; the usage statements of now alone with `current`."""
        book = await self.book()
        own = [item for item in book.open if item.contract.customer_id == self.customer_id]
        if current:
            own = [item for item in own if item.type is InvoiceType.USAGE and item.period.contains(self.now)]
        meant = [item for item in own if await self.carries(row, "CONTRACT", item.contract.id)]
        return [await self._rate(book, item) for item in meant]

    async def grants(self, row: AlertRow) -> list[StoredGrant]:
        """The customer's own balances that count for an alert, whatever their type; those of seats among them."""
        book = await self.book()
        return [
            item
            for item in book.grants
            if item.row.customer_id == self.customer_id
            and item.row.archived_at is None
            and await self.carries(row, "CREDIT" if item.row.type == "CREDIT" else "COMMIT", item.row.id)
        ]

    async def movements(self) -> Mapping[UUID, Sequence[Movement]]:
        """What moved in each balance, the draws of open invoices included."""
        if self._movements is None:
            book = await self.book()
            self.together.rated += len(book.open)
            await self.together.read_ahead()
            self._movements = await book.movements()
        return self._movements

    async def carries(self, row: AlertRow, entity: str, identifier: UUID) -> bool:
        """Whether an object has all values that the alert's filters ask of its kind."""
        wanted = [item for item in row.custom_field_filters if item["entity"] == entity]
        if not wanted:
            return True
        if identifier not in self._fields:
            self._fields |= await custom_fields_of(self.session, [identifier])
        return all(self._fields[identifier].get(item["key"]) == item["value"] for item in wanted)

    async def _rate(self, book: CustomerBook, statement: Statement) -> RatedStatement:
        self.together.rated += 1
        await self.together.read_ahead()
        return await book.rate(statement)
