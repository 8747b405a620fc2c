"""What alerts of one customer may read at an instant: each draft is rated once, however many alerts there are.

Owns the way to drafts, balances and custom fields. What an alert makes of them is in `readings.py`.
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
from app.invoices.balances import CustomerBook
from app.invoices.drafts import RatedStatement
from app.invoices.statements import Statement


@dataclass(slots=True)
class Snapshot:
    """A customer as it stands; made for one evaluation, under the customer's lock."""

    session: AsyncSession
    customer_id: UUID
    now: datetime
    rated: int = 0
    """Drafts that were asked for, so that a measurement can tell how many evaluations cost."""
    _book: CustomerBook | None = None
    _movements: Mapping[UUID, Sequence[Movement]] | None = None
    _fields: dict[UUID, dict[str, str]] = field(default_factory=dict[UUID, dict[str, str]])

    async def book(self) -> CustomerBook:
        """The customer's book."""
        if self._book is None:
            self._book = await CustomerBook.of(self.session, self.customer_id, now=self.now)
        return self._book

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
            self.rated += len(book.open)
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
        self.rated += 1
        return await book.rate(statement)
