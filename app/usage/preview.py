"""Usage that was not sent: what quantities would be if some events were there.

Owns the joining of given events with those that are stored, for every aggregation. Nothing is written, so a preview asks
for no lock and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import metric_of
from app.catalog.tables import MetricRow
from app.core.filters import takes
from app.core.metering import Event, HoursByGroup, added, fold, fold_measure
from app.core.period import Period
from app.core.quantities import Split
from app.errors import ErrorCode, InvalidInput, LimitExceeded
from app.usage.checking import check
from app.usage.incoming import IncomingEvent
from app.usage.metric_hours import HoursAsked, carried_into, hours_of_metrics
from app.usage.service import EVENTS

MAX_GIVEN = 100
MAX_STORED = 100_000
PATH = ("input", "events")


@dataclass(frozen=True, slots=True)
class GivenUsage:
    """Events to measure with; `replaces` measures them alone, as if nothing else had been used."""

    events: tuple[Event, ...]
    replaces: bool

    async def hours_of_metrics(
        self, session: AsyncSession, asked: Sequence[HoursAsked]
    ) -> list[dict[Split, HoursByGroup]]:
        """In the place of `metric_hours.hours_of_metrics`; given events count as sent last.

        Errors: `LimitExceeded` when more than 100,000 stored events would have to be folded again; NOT_SUPPORTED for an
        SQL metric.
        """
        return [await self._hours(session, item) for item in asked]

    async def _hours(self, session: AsyncSession, asked: HoursAsked) -> dict[Split, HoursByGroup]:
        for reading in asked.readings:
            _refuse_queries(reading.row)
        additive = [one for one in asked.readings if metric_of(one.row).aggregation.is_additive and not self.replaces]
        [stored] = await hours_of_metrics(session, [asked._replace(readings=additive)])
        own = [event for event in self.events if asked.period.contains(event.timestamp) and takes(asked.filters, event)]
        known: list[Event] | None = None
        found: dict[Split, HoursByGroup] = {}
        for reading in asked.readings:
            metric = metric_of(reading.row)
            if reading.measure is not None:
                measured = fold_measure(metric, own, reading.measure, by=reading.by)
                found[reading.split] = added(stored.get(reading.split, {}), measured)
            elif reading.split in stored:
                found[reading.split] = added(stored[reading.split], fold(metric, own))
            elif self.replaces:
                found[reading.split] = fold(metric, own, by=None if metric.aggregation.is_additive else reading.by)
            else:
                if known is None:
                    every = await _stored(session, asked.references, asked.period)
                    known = [item for item in every if takes(asked.filters, item)]
                carried = await carried_into(session, reading, asked, own)
                found[reading.split] = fold(
                    metric, [*known, *own], by=reading.by, since=asked.period.starting_at, carried=carried
                )
        return found


def _refuse_queries(row: MetricRow) -> None:
    if metric_of(row).query is not None:
        raise InvalidInput(
            ErrorCode.NOT_SUPPORTED,
            f"The SQL metric {row.name[:80]!r} is not previewed.",
            path=("input", "customerId"),
        )


def given_events(
    events: Sequence[IncomingEvent], *, now: datetime, allow_historical: bool = False
) -> tuple[Event, ...]:
    """Events that are acceptable as if they were sent. Errors: REQUIRED, `LimitExceeded` above 100, `BatchRefused`."""
    if not events:
        raise InvalidInput(ErrorCode.REQUIRED, "Give at least one event.", path=PATH)
    if len(events) > MAX_GIVEN:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"{len(events)} events; a preview takes at most {MAX_GIVEN}.", path=PATH
        )
    return tuple(checked.event for checked in check(events, now=now, allow_historical=allow_historical))


async def _stored(session: AsyncSession, references: Sequence[str], period: Period) -> Iterable[Event]:
    pages = EVENTS.earlier(
        session,
        up_to_batch=await EVENTS.watermark(session),
        references=references,
        starting_at=period.starting_at,
        ending_before=period.ending_before,
        limit=MAX_STORED + 1,
    )
    found = [event async for page in pages for event in page]
    if len(found) > MAX_STORED:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"The statement has more than {MAX_STORED} events to fold again; preview with REPLACE.",
            path=("input", "mode"),
        )
    return found
