"""Folds outcome metrics in SQL: sessions by their starts, cases by their latest states; and keeps what is left behind.

Owns the statements. Sessions and states chain over the start of a statement: from what the last final statement kept, or,
where none did, from far enough back. The meaning is `core.outcomes`, with which this module agrees event for event.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.filters import Filters, stretches
from app.core.metering import Carried
from app.core.outcomes import OutcomeKey, Sessions, Sighting
from app.core.period import Period
from app.core.terms import Group, Metric
from app.usage.folding_postgres import conditions_of, parts_of, sighting_of, text_of
from app.usage.outcomes import Before, Keeper

SEEN = """
select {groups} as groups, {keys} as key, occurred_at as at, batch, place, {counted} as is_counted, true as is_new
from events
where reference = any(:references) and ({parts}){conditions}
"""
SESSIONS_KEPT = """
select groups, key, at, cast(0 as bigint), 0, true, false from carried_outcomes
where invoice_id = :kept_by and metric_id = :metric_id and split = cast(:split as text[])
"""
# One step down the index for each case and contract, however many statements have seen it; `is true` keeps the planner from going by
# the index of invoices, which reads all cases of a statement for each of them.
STATES_KEPT = """
select latest.* from (
    select outcome_digest(cast(:split as text[]), one.groups, one.key) as digest
    from (select distinct groups, key from seen) one
    union select unnest(cast(:also as uuid[]))
) wanted
cross join lateral (
    select found.* from unnest(cast(:contracts as uuid[])) own (contract_id) cross join lateral (
        select k.groups, k.key, k.at, cast(0 as bigint), 0, k.is_counted, false from carried_outcomes k
        where k.contract_id = own.contract_id and k.metric_id = :metric_id and k.digest = wanted.digest
          and (k.invoice_id = any(cast(:kept as uuid[]))) is true
        order by k.at desc, k.invoice_id limit 1
    ) found order by found.at desc limit 1
) latest
"""
TOGETHER = "with seen as ({seen}), together as (select * from seen union all {kept})"
OPENED = """, opened as (
    select groups, key, unnest(session_starts(at, make_interval(secs => :seconds) order by at)) as at
    from together group by groups, key
)"""
STEPS = """, steps as (
    select groups, at, is_counted, lag(is_counted, 1, false) over (
        partition by groups, key order by at, batch, place
    ) as was_counted
    from together
)"""
SESSION_HOURS = """
select groups, date_trunc('hour', at, 'UTC'), cast(count(*) as numeric) from opened where at >= :since group by 1, 2
"""
STATE_HOURS = """
select groups, date_trunc('hour', at, 'UTC'), cast(sum(case when is_counted then 1 else -1 end) as numeric)
from steps where at >= :since and is_counted <> was_counted group by 1, 2
"""
KEEP = """
insert into carried_outcomes (invoice_id, contract_id, metric_id, split, digest, groups, key, at, is_counted)
select cast(:invoice_id as uuid), :contract_id, :metric_id, cast(:split as text[]),
    outcome_digest(cast(:split as text[]), groups, key), groups, key, at, is_counted
from ({left}) left_behind
returning 1
"""
SESSIONS_LEFT = """
select groups, key, max(at) as at, true as is_counted from opened group by groups, key
having max(at) + make_interval(secs => :seconds) > :until
"""
STATES_LEFT = """
select distinct on (groups, key) groups, key, at, is_counted from seen
order by groups, key, at desc, batch desc, place desc
"""
SESSIONS_BEFORE = "select groups, key, max(at), true from opened where at < :since group by groups, key"
STATES_BEFORE = """
select distinct on (groups, key) groups, key, at, is_counted from together where at < :since
order by groups, key, at desc, batch desc, place desc
"""
KEPT_BY = """
select invoice_id, ending_before from carried_metrics
where contract_id = any(cast(:contracts as uuid[])) and metric_id = :metric_id and split = cast(:split as text[])
  and invoice_id = any(cast(:kept as uuid[]))
order by ending_before desc, invoice_id limit 1
"""
KEEPING = """
insert into carried_metrics (invoice_id, contract_id, metric_id, split, ending_before)
values (:invoice_id, :contract_id, :metric_id, :split, :ending_before)
"""
# A session surely opens at an event before which its key was quiet for a whole window.
QUIET_BEFORE = """
with seen as ({seen}), gaps as (
    select groups, key, at, lag(at) over (partition by groups, key order by at) as previous from seen
), begun as (
    select groups, key, max(at) filter (
        where at - previous >= make_interval(secs => :seconds)
           or previous is null and (at >= :surely or not :has_older)
    ) as at
    from gaps group by groups, key having max(at) > :recent
)
select count(*) filter (where at is null), min(at) from begun
"""
HAS_OLDER = "select exists (select 1 from events where reference = any(:references) and occurred_at < :horizon)"

DIGESTS = """
select outcome_digest(
    cast(:split as text[]), array(select jsonb_array_elements_text(one -> 0)),
    array(select jsonb_array_elements_text(one -> 1))
) from jsonb_array_elements(cast(:also as jsonb)) one
"""

Hours = dict[Group, dict[dt.datetime, Decimal]]


class OutcomeFold:
    """One reading of an outcome metric: what it counts in a period, for which references, split by which properties."""

    def __init__(
        self,
        session: AsyncSession,
        metric: Metric,
        *,
        by: Sequence[str],
        references: Sequence[str],
        period: Period,
        filters: Filters,
        before: Before | None,
    ) -> None:
        """`before` is None where no statement goes before, as in a usage query."""
        assert metric.outcome is not None, "only outcomes look back"
        assert period.ending_before is not None, "usage is read up to some instant"
        self._session, self._metric, self._rule = session, metric, metric.outcome
        self._names, self._filters, self._before = sorted(set(by)), filters, before
        self._since, self._until = period.starting_at, period.ending_before
        self._values: dict[str, Any] = {
            "references": list(references), "metric_id": metric.id, "split": self._names,
            "since": self._since, "until": self._until,
            "contracts": [] if before is None else [before.contract_id, *before.followed_ids],
            "kept": [] if before is None else list(before.invoice_ids), "also": list[UUID](),
        }  # fmt: skip

    async def hours(self) -> Hours:
        """What each hour adds, by group; below zero where cases were taken back."""
        together = await self._together()
        ending = OPENED + SESSION_HOURS if isinstance(self._rule, Sessions) else STEPS + STATE_HOURS
        return self._by_group(await self._session.execute(text(together + ending), self._values))

    async def keep(self, keeper: Keeper) -> Hours:
        """Keep what the statement leaves behind, and tell its hours, as of one and the same instant."""
        together = await self._together()
        values = self._values | {"invoice_id": keeper.invoice_id, "contract_id": keeper.contract_id}
        await self._session.execute(text(KEEPING), values | {"ending_before": self._until})
        left, ending = (
            (SESSIONS_LEFT, SESSION_HOURS) if isinstance(self._rule, Sessions) else (STATES_LEFT, STATE_HOURS)
        )
        steps = OPENED if isinstance(self._rule, Sessions) else STEPS
        statement = f"{together}{steps}, kept as ({KEEP.format(left=left)}){ending}"
        return self._by_group(await self._session.execute(text(statement), values))

    async def carried(self, also: Collection[tuple[Group, OutcomeKey]] = ()) -> dict[Group, Carried]:
        """What stands for everything before the period, for the participants and cases of its events and for `also`."""
        if also:
            keys = json.dumps([[[value for _, value in group], key] for group, key in also])
            found_also = await self._session.execute(text(DIGESTS), self._values | {"also": keys})
            self._values["also"] = list(found_also.scalars())
        together = await self._together()
        ending = OPENED + SESSIONS_BEFORE if isinstance(self._rule, Sessions) else STATES_BEFORE
        found: dict[Group, dict[OutcomeKey, Sighting]] = {}
        for group_values, key, at, is_counted in await self._session.execute(text(together + ending), self._values):
            group: Group = tuple(zip(self._names, group_values, strict=True))
            found.setdefault(group, {})[tuple(key)] = Sighting(at.astimezone(dt.UTC), is_counted)
        return dict(found)

    async def _together(self) -> str:
        kept_by, start = await self._start()
        self._values["kept_by"] = kept_by
        kept = SESSIONS_KEPT if isinstance(self._rule, Sessions) else STATES_KEPT
        return TOGETHER.format(seen=self._seen(start, self._until), kept=kept)

    async def _start(self) -> tuple[UUID | None, dt.datetime]:
        """The statement that kept what is needed, and from where on events are read."""
        if self._before is None:
            return None, self._since
        row = (await self._session.execute(text(KEPT_BY), self._values)).first()
        if row is not None:
            return row[0], row[1].astimezone(dt.UTC)
        if isinstance(self._rule, Sessions):
            return None, await self._quiet_before(min(self._since, self._before.starting_at))
        # Before the contract no case was billed by it.
        return None, min(self._since, self._before.starting_at)

    async def _quiet_before(self, start: dt.datetime) -> dt.datetime:
        """From where on sessions that may be open at an instant chain as they did from the first event of all.

        It goes back two windows, then four and so on, until every participant who was there within the last window is
        known to have been away for one before.
        """
        assert isinstance(self._rule, Sessions), "cases do not chain"
        window = self._rule.window
        back = 2 * window
        while True:
            horizon = start - back
            looked = await self._session.execute(text(HAS_OLDER), self._values | {"horizon": horizon})
            has_older = bool(looked.scalar_one())
            statement = text(QUIET_BEFORE.format(seen=self._seen(horizon, start)))
            known = {"surely": horizon + window, "recent": start - window, "has_older": has_older}
            unknown, begun = (await self._session.execute(statement, self._values | known)).one()
            if unknown == 0:
                return start if begun is None else begun.astimezone(dt.UTC)
            back *= 2

    def _seen(self, start: dt.datetime, end: dt.datetime) -> str:
        values = self._values
        values |= {f"by{place}": name for place, name in enumerate(self._names)}
        conditions = conditions_of(self._metric, values)
        sighted = sighting_of(self._metric, conditions, values)
        groups = ", ".join(text_of(f"by{place}") for place in range(len(self._names)))
        return SEEN.format(
            groups=f"cast(array[{groups}] as text[])",
            keys=sighted.key,
            counted=sighted.is_counted,
            parts=" or ".join(parts_of(stretches(self._filters, Period(start, end)), values)),
            conditions="".join(f"\n  and {condition}" for condition in conditions),
        )

    def _by_group(self, rows: Any) -> Hours:
        groups: Hours = {}
        for group_values, hour, quantity in rows:
            if quantity:
                group: Group = tuple(zip(self._names, group_values, strict=True))
                groups.setdefault(group, {})[hour.astimezone(dt.UTC)] = quantity
        return groups


class PostgresOutcomes:
    """Answers for outcome metrics; see `EventStore`."""

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
    ) -> OutcomeFold:
        """Folded in SQL, from the events and what final statements kept."""
        return OutcomeFold(session, metric, by=by, references=references, period=period, filters=filters, before=before)
