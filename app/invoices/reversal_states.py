"""Where the cases of a reversed outcome stand at the end of the statement that had billed it: later drafts begin there.

Without this a case that flips after its outcome was reversed would come off a second time, on the statement of the flip.
Later statements that are final stay as they are. What sessions leave behind stays: what belonged to one is not sold anew.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import system
from app.catalog import metrics, tables
from app.core import metering, period
from app.core.outcomes import LatestState, OutcomeKey
from app.core.terms import Group
from app.invoices import books, earlier
from app.invoices.reversal_rating import Billed
from app.store import rehearsal
from app.usage import events, kept_states, metric_hours, references, service, voiding


async def restate_cases(session: AsyncSession, statement: Billed, event: events.FoundEvent, *, now: datetime) -> None:
    """Keep how the cases of an event stand without it, and without those that are reversed already."""
    invoice = statement.invoice
    covered = books.period_of(invoice)
    end = covered.ending_before
    assert end is not None, "a statement has an end"
    found: list[tuple[UUID, tuple[str, ...], tuple[Group, OutcomeKey], bool]] = []
    kept = await kept_states.kept_splits(session, invoice.id)
    if not kept:
        return
    names = await references.references_of(session, statement.terms.customer_id)
    gone = [one.event_id for one, _ in statement.reversed if one.amount is None]
    async with rehearsal.rehearse(session) as trial:
        late = await service.EVENTS.came_after(trial, statement.frozen.ingest_batch, references=names, period=covered)
        ids = [*gone, *late, event.id]
        await voiding.void_events(trial, ids, actor=system("reversal"), reason="a trial", now=now)
        for metric_id, split in kept:
            row = await trial.get_one(tables.MetricRow, metric_id)
            metric = metrics.metric_of(row)
            if not isinstance(metric.outcome, LatestState):
                continue
            reading = metric_hours.MetricReading(row, split)
            asked = metric_hours.HoursAsked(
                [reading], names, period.Period(end, end + period.HOUR), statement.terms.usage_filters,
                earlier.statements_before(trial, invoice.contract_id, covered.starting_at),
            )  # fmt: skip
            left = await metric_hours.carried_into(trial, reading, asked, [event.event])
            for case in metering.sighted(metric, [event.event], by=split):
                stands = left.get(case[0], {}).get(case[1])
                found.append((metric_id, split, case, stands is not None and stands.is_counted))
    for metric_id, split, case, is_counted in found:
        await kept_states.restate(session, invoice.id, metric_id, split, case, is_counted=is_counted)
