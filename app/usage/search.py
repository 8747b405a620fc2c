"""Finds stored events by their transaction ids, and tells what was made of them.

Owns the search of semantics 1.1: a sample for people who ask why something was billed or not. Repeats are counted when
they come and are not kept, so every event here is the first of its id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.checks import at_most, distinct, text_of
from app.core.metering import Event, contributes, matches
from app.customers.tables import Customer, IngestAlias
from app.errors import ErrorCode, InvalidInput
from app.store.ids import parse
from app.usage.receipts import received_times
from app.usage.service import EVENTS, event_id

MAX_IDS = 100
MAX_ID = 256
PATH = ("transactionIds",)


@dataclass(frozen=True, slots=True)
class Match:
    """A metric whose conditions the event meets; it may still bring no value that the metric can read."""

    metric_id: UUID
    is_counted: bool


@dataclass(frozen=True, slots=True)
class SearchedEvent:
    """A stored event, when it was received, whose it is now, and the metrics that it matches, by id."""

    transaction_id: str
    event: Event
    received_at: datetime
    customer_id: UUID | None
    matches: tuple[Match, ...]
    voided_at: datetime | None = None
    void_reason: str | None = None


async def search_events(session: AsyncSession, transaction_ids: Sequence[str]) -> list[SearchedEvent]:
    """The stored events with these transaction ids, by id, those that were taken back too; ids that never came are left out.

    Errors: REQUIRED without ids, INVALID, `LimitExceeded` above 100 ids.
    """
    if not transaction_ids:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one transaction id.", path=PATH)
    at_most(transaction_ids, MAX_IDS, path=PATH)
    wanted = distinct([text_of(item, path=PATH, longest=MAX_ID) for item in transaction_ids], path=PATH)
    keys = [event_id(item) for item in wanted]
    voided = {item.found.id: item for item in await EVENTS.voided(session, keys)}
    found = [*await EVENTS.find(session, keys), *(item.found for item in voided.values())]
    received_at = await received_times(session, {item.batch for item in found})
    owners = await owners_of(session, {item.event.reference for item in found})
    rows = (await session.execute(select(MetricRow).order_by(col(MetricRow.id)))).scalars()
    # Which events count in a query is known only to the query.
    metrics = [metric_of(row) for row in rows if row.query is None]
    return [
        SearchedEvent(
            transaction_id=item.transaction_id,
            event=item.event,
            received_at=received_at[item.batch],
            customer_id=owners.get(item.event.reference),
            matches=tuple(
                Match(metric.id, item.id not in voided and contributes(metric, item.event))
                for metric in metrics
                if matches(metric, item.event)
            ),
            voided_at=voided[item.id].voided_at if item.id in voided else None,
            void_reason=voided[item.id].reason if item.id in voided else None,
        )
        for item in sorted(found, key=lambda item: item.transaction_id)
    ]


async def owners_of(session: AsyncSession, references: Collection[str]) -> dict[str, UUID]:
    """The customers that references lead to now; a reference of nobody is left out."""
    aliases = await session.execute(
        select(IngestAlias.alias, IngestAlias.customer_id).where(col(IngestAlias.alias).in_(references))
    )
    owners = dict(list(aliases))
    named = {reference: found[1] for reference in references if (found := parse(reference)) and found[0] == "customer"}
    known = await session.execute(select(Customer.id).where(col(Customer.id).in_(named.values())))
    existing = set(known.scalars())
    return owners | {reference: customer_id for reference, customer_id in named.items() if customer_id in existing}
