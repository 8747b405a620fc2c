"""Usage that somebody waits for: noted with the batch for thresholds and alerts, told at once to those who watch spend.

Owns the note. Finding out what it comes to is work of higher slices, and no part of a call that brings usage.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs.service import enqueue

TOUCHED_JOB = "thresholds.usage"
WAIT = timedelta(seconds=2)
"""Batches that come within it are looked at together."""

ALERTS_JOB = "alerts.touched"
ALERTS_WAIT = timedelta(milliseconds=500)
"""The same for alerts, which people wait for."""

TOUCH = text("""
with found as materialized (
  select customer_id from ingest_aliases where alias = any(:references)
  union select id from customers where id = any(cast(:ids as uuid[]))
), concerned as materialized (
  select customer_id, bool_or(is_own) as is_own from (
    select customer_id, true as is_own from found
    union all select customer_id, false from sharing_customers(array(select customer_id from found))
  ) all_of_them group by customer_id
), thresholds as (
  insert into threshold_touches (contract_id)
  select t.contract_id from concerned
  join contracts c on c.customer_id = concerned.customer_id and c.archived_at is null
  join contract_thresholds t on t.contract_id = c.id and t.removed_at is null and t.is_enabled
  where concerned.is_own or t.kind = 'BALANCE'
  group by t.contract_id
  order by t.contract_id
  returning 1
), alerts as (
  insert into alert_touches (customer_id)
  select c.customer_id from concerned c
  where exists (
    select 1 from alerts a
    where a.archived_at is null and a.disabled_at is null and (a.customer_id is null or a.customer_id = c.customer_id)
      and a.type not like 'LOW\\_REMAINING\\_DAYS\\_%'
      and (c.is_own or a.type like 'LOW\\_REMAINING\\_%' or a.type like '%INVOICE\\_TOTAL%')
  )
  returning 1
), told as materialized (
  select pg_notify('metrograph_live', 'spend ' || w.customer_id || ' ' || w.customer_id)
  from live_watches w join concerned on concerned.customer_id = w.customer_id
  where w.until > clock_timestamp()
)
select (select count(*) from thresholds), (select count(*) from alerts), (select count(*) from told)
""")

WATCH = text("""
insert into live_watches as w (customer_id, until) values (:customer, clock_timestamp() + interval '3 minutes')
on conflict (customer_id) do update set until = excluded.until
where w.until < clock_timestamp() + interval '2 minutes'
""")


async def note_usage(session: AsyncSession, references: Collection[str]) -> None:
    """Note the contracts with a threshold, and the customers with an alert, that have new usage under these references.

    Who shares balances with them is noted too, where a threshold or an alert watches what depends on those.
    """
    ids = [reference[4:] for reference in references if reference.startswith("cus_") and _is_hex(reference[4:])]
    noted = await session.execute(TOUCH, {"references": sorted(references), "ids": sorted(ids)})
    thresholds, alerts, _ = noted.one()
    if thresholds:
        await enqueue(session, TOUCHED_JOB, once=TOUCHED_JOB, wait=WAIT)
    if alerts:
        await enqueue(session, ALERTS_JOB, once=ALERTS_JOB, wait=ALERTS_WAIT)


async def watch_spend(session: AsyncSession, customer_id: UUID) -> None:
    """Have changes of a customer's spend told for two minutes at least; who watches longer asks again."""
    await session.execute(WATCH, {"customer": customer_id})


def _is_hex(text: str) -> bool:
    return len(text) == 32 and all(character in "0123456789abcdef" for character in text)
