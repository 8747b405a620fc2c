"""What an event store must do, whatever keeps the events.

Owns the values that cross the border (`NewEvent`, `Delta`, `Stored`) and the protocol. The default keeps them in
PostgreSQL (`events_postgres.py`); a scale-out store implements the same verbs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters
from app.core.metering import Event, HourQuantity
from app.core.per_event import Measure, PercentagePerEvent
from app.core.period import Period
from app.core.sql_metric import Query
from app.core.terms import Group, Metric
from app.core.windows import UsageQuery, WindowValues
from app.usage.outcomes import Before, OutcomeReading


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A checked event on its way in. `id` and `payload` are digests of the transaction id and of the content.

    `place` is its index in the batch; `deltas` are empty for metrics that are folded from the events.
    """

    id: UUID
    payload: UUID
    transaction_id: str
    reference: str
    event_type: str
    occurred_at: datetime
    properties_json: str
    place: int
    deltas: tuple[Delta, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """What one event adds to one hour of one metric and group."""

    metric_id: UUID
    group_values: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch: ids that were new, ids that were there, and those there with another payload."""

    accepted: int
    duplicates: frozenset[UUID]
    conflicts: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """A stored event with the number of the ingest call that brought it; `id` is the digest of its transaction id."""

    id: UUID
    transaction_id: str
    batch: int
    event: Event


class BucketsAsked(NamedTuple):
    """Metrics that add up, over one period with an end, of the usage under some references."""

    metric_ids: Sequence[UUID]
    references: Sequence[str]
    period: Period


HoursOfMetrics = Mapping[UUID, Mapping[str, Sequence[HourQuantity]]]
"""By metric and group (canonical JSON text), hours ascending, zero hours left out."""


@dataclass(frozen=True, slots=True)
class VoidedEvent:
    """An event that was taken back, when and why."""

    found: FoundEvent
    voided_at: datetime
    reason: str


Steps = Sequence[tuple[datetime, Mapping[Group, Decimal]]]
"""Quantities by group, for each hour or window in which something happened."""


class EventStore(Protocol):
    """Keeps events and answers for their hourly quantities. Every call runs in the caller's transaction."""

    async def append(self, session: AsyncSession, events: Sequence[NewEvent], *, batch: int) -> Stored:
        """Store a batch without repeated ids; what is accepted here is billable when the transaction commits."""
        ...

    async def hours(self, session: AsyncSession, asked: Sequence[BucketsAsked]) -> list[HoursOfMetrics]:
        """Hourly quantities for each question; an answer may hold metrics that only another question asked for."""
        ...

    async def hourly(
        self,
        session: AsyncSession,
        metric: Metric,
        *,
        by: Sequence[str],
        references: Sequence[str],
        starting_at: datetime,
        ending_before: datetime,
        filters: Filters = (),
    ) -> Mapping[Group, Mapping[datetime, Decimal]]:
        """What the events of each hour that pass the filters come to by themselves (`core.metering.hourly`)."""
        ...

    async def hourly_per_event(
        self,
        session: AsyncSession,
        metric: Metric,
        rates: Sequence[PercentagePerEvent],
        *,
        by: Sequence[str],
        references: Sequence[str],
        starting_at: datetime,
        ending_before: datetime,
        filters: Filters = (),
    ) -> Mapping[Measure, Mapping[Group, Mapping[datetime, Decimal]]]:
        """What prices per event ask of each hour (`core.metering.fold_measure`), all of it of the same events."""
        ...

    def outcomes(
        self,
        session: AsyncSession,
        metric: Metric,
        *,
        by: Sequence[str],
        references: Sequence[str],
        period: Period,
        filters: Filters,
        before: Before | None,
    ) -> OutcomeReading:
        """A reading of an outcome metric; `before` is None where no statement goes before."""
        ...

    async def windows(
        self,
        session: AsyncSession,
        metric: Metric,
        query: UsageQuery,
        *,
        references: Sequence[str],
        from_buckets: bool,
    ) -> WindowValues:
        """The values of a usage query, at most one more of groups and of entries than `core.windows` allows.

        The first groups by their text are given. `from_buckets`: the metric adds up and its buckets hold all events.
        """
        ...

    async def query_hours(
        self,
        session: AsyncSession,
        query: Query,
        *,
        by: Sequence[str],
        references: Sequence[str],
        period: Period,
        filters: Filters,
    ) -> Steps:
        """What an SQL metric comes to at the end of each hour with events (`core.sql_values`); see `Query.is_additive`.

        Of an additive query, what the hour itself adds. Errors: `LimitExceeded` when it takes too long.
        """
        ...

    async def query_windows(
        self, session: AsyncSession, query: Query, asked: UsageQuery, *, references: Sequence[str]
    ) -> WindowValues:
        """What an SQL metric comes to over the events of each window alone. Errors: as `query_hours`."""
        ...

    async def find(self, session: AsyncSession, ids: Sequence[UUID]) -> Sequence[FoundEvent]:
        """The events with these digests of their transaction ids, in no stated order."""
        ...

    async def behind(
        self,
        session: AsyncSession,
        metric: Metric,
        *,
        group: Group,
        references: Sequence[str],
        period: Period,
        filters: Filters,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[FoundEvent]:
        """The first events that a metric counts in a period for one group, by time and then by the digest of their id.

        Of an SQL metric, those that its innermost query reads, of whatever group. `after`: behind this position.
        """
        ...

    def earlier(
        self,
        session: AsyncSession,
        *,
        up_to_batch: int,
        references: Sequence[str] | None = None,
        starting_at: datetime | None = None,
        ending_before: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Sequence[Event]]:
        """The events of batches up to a number, oldest first, in pages; at most `limit` of them."""
        ...

    async def void(
        self, session: AsyncSession, ids: Sequence[UUID], *, actor: str, reason: str, now: datetime
    ) -> Sequence[FoundEvent]:
        """Take events out, and keep them beside; gives those that were there, by digest. Their ids stay taken."""
        ...

    async def came_after(
        self, session: AsyncSession, batch: int, *, references: Sequence[str], period: Period
    ) -> Sequence[UUID]:
        """The digests of the ids of events in a period with an end that came with later batches, sorted."""
        ...

    async def voided(self, session: AsyncSession, ids: Sequence[UUID]) -> Sequence[VoidedEvent]:
        """Those of the events that were taken back, by digest."""
        ...

    async def add_deltas(
        self, session: AsyncSession, rows: Iterable[tuple[UUID, str, datetime, str, Decimal]], *, count: int = 1
    ) -> int:
        """Append deltas (metric, reference, hour, group, quantity), each for `count` events that are stored or taken out."""
        ...

    async def fold(self, session: AsyncSession, *, limit: int) -> int:
        """Move up to `limit` appended deltas into the hourly buckets; returns how many were moved."""
        ...

    async def watermark(self, session: AsyncSession) -> int:
        """Number of the last batch that this transaction sees."""
        ...
