"""The default event store: PostgreSQL tables, one transaction from the batch to billable buckets.

Owns the SQL of writing usage; reading is in `reads_postgres.py`. A batch is copied into a temporary table; one statement takes the ids that are new, stores their
events and appends their bucket deltas; a second one, with a fresh snapshot, tells repeats from conflicts. Readers add
folded hours and unfolded deltas, so what was accepted is billable at once. Everything is sorted before it is written,
because concurrent batches that touch the same ids in another order would deadlock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.store.engine import raw_connection
from app.usage.events import NewEvent, Stored
from app.usage.outcomes_postgres import PostgresOutcomes
from app.usage.reads_postgres import PostgresReads
from app.usage.sql_postgres import PostgresQueries
from app.usage.voids_postgres import PostgresVoids

STAGE = """
create temp table if not exists ingest_stage (
    id uuid, payload uuid, transaction_id text, reference text, event_type text, occurred_at timestamptz,
    properties jsonb, place integer
) on commit delete rows
"""
STAGE_DELTAS = """
create temp table if not exists ingest_deltas (id uuid, metric_id uuid, group_values text, quantity numeric)
on commit delete rows
"""
TAKE = """
with taken as (
    insert into event_ids (id, payload) select id, payload from ingest_stage order by id
    on conflict (id) do nothing returning id
), kept as (
    insert into events (id, transaction_id, reference, event_type, occurred_at, properties, batch, place)
    select s.id, s.transaction_id, s.reference, s.event_type, s.occurred_at, s.properties, %(batch)s, s.place
    from ingest_stage s join taken using (id)
), added as (
    insert into bucket_deltas (metric_id, reference, hour, group_values, quantity, events)
    select d.metric_id, s.reference, date_trunc('hour', s.occurred_at), d.group_values, sum(d.quantity), count(*)
    from ingest_deltas d join taken using (id) join ingest_stage s using (id)
    group by 1, 2, 3, 4 order by 2, 3, 1, 4
)
select count(*), (select array_agg(s.id) from ingest_stage s where s.id not in (select id from taken)) from taken
"""
# The conflict check is a statement of its own: ON CONFLICT DO NOTHING can skip a row that its own snapshot cannot see,
# and under READ COMMITTED the next statement gets a new snapshot.
SKIPPED = "select id, payload from event_ids where id = any(%(ids)s)"
FOLD = """
with chosen as (
    select ctid from bucket_deltas order by reference, hour, metric_id, group_values limit :limit for update skip locked
), moved as (
    delete from bucket_deltas where ctid in (select ctid from chosen)
    returning metric_id, reference, hour, group_values, quantity, events
), summed as (
    select reference, metric_id, hour, group_values, sum(quantity) as quantity, sum(events) as events
    from moved group by 1, 2, 3, 4 order by 1, 2, 3, 4
), folded as (
    insert into bucket_hours as h (reference, metric_id, hour, group_values, quantity, events)
    select reference, metric_id, hour, group_values, quantity, events from summed
    on conflict (reference, metric_id, hour, group_values)
    do update set quantity = h.quantity + excluded.quantity, events = h.events + excluded.events
)
select count(*) from moved
"""


class PostgresEvents(PostgresReads, PostgresQueries, PostgresOutcomes, PostgresVoids):
    """The event store on the gateway's own database."""

    async def append(self, session: AsyncSession, events: Sequence[NewEvent], *, batch: int) -> Stored:
        """Store a batch whose ids are distinct; see `EventStore.append`."""
        ordered = sorted(events, key=lambda event: event.id)
        connection = await raw_connection(session)
        async with connection.cursor() as cursor:
            await cursor.execute(STAGE)
            await cursor.execute(STAGE_DELTAS)
            async with cursor.copy("copy ingest_stage from stdin") as copy:
                for event in ordered:
                    await copy.write_row(
                        (
                            event.id, event.payload, event.transaction_id, event.reference, event.event_type,
                            event.occurred_at, event.properties_json, event.place,
                        )
                    )  # fmt: skip
            async with cursor.copy("copy ingest_deltas from stdin") as copy:
                for event in ordered:
                    for delta in event.deltas:
                        await copy.write_row((event.id, delta.metric_id, delta.group_values, delta.quantity))
            await cursor.execute(TAKE, {"batch": batch})
            row = await cursor.fetchone()
            assert row is not None
            accepted, skipped = int(row[0]), frozenset[UUID](row[1] or ())
            stored: dict[UUID, UUID] = {}
            if skipped:
                await cursor.execute(SKIPPED, {"ids": list(skipped)})
                stored = dict(await cursor.fetchall())
        assert accepted + len(skipped) == len(ordered), "every event of a batch is either new or known"
        differing = (event.id for event in ordered if event.id in skipped and stored[event.id] != event.payload)
        return Stored(accepted, skipped, frozenset(differing))

    async def add_deltas(
        self, session: AsyncSession, rows: Iterable[tuple[UUID, str, dt.datetime, str, Decimal]], *, count: int = 1
    ) -> int:
        """Append deltas outside an ingest: for a metric's earlier events, or for events that are taken out."""
        connection = await raw_connection(session)
        written = 0
        async with (
            connection.cursor() as cursor,
            cursor.copy(
                "copy bucket_deltas (metric_id, reference, hour, group_values, quantity, events) from stdin"
            ) as copy,
        ):
            for row in rows:
                await copy.write_row((*row, count))
                written += 1
        return written

    async def fold(self, session: AsyncSession, *, limit: int) -> int:
        """Move deltas into hours, in order of customer and hour, so that reading one customer stays on few pages."""
        return int((await session.execute(text(FOLD), {"limit": limit})).scalar_one())

    async def watermark(self, session: AsyncSession) -> int:
        """The highest batch number in sight; 0 before the first."""
        return int((await session.execute(text("select coalesce(max(number), 0) from ingest_batches"))).scalar_one())
