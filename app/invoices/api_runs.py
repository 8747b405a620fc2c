"""Billing runs in GraphQL: asking for one, and looking at those there are.

Owns the queries and the mutation; how a job is shown is in `api_jobs.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from sqlalchemy import select

from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import load_node
from app.graphql.payload import Payload
from app.invoices import due, runs, tables
from app.invoices.api_jobs import Job


@strawberry.type(description="Answer to a billing run.")
class FinalizeDuePayload(Payload):
    due_contracts: int = strawberry.field(
        default=0,
        description="Contracts that it finalizes: those with a statement that is due, and what a job before left.",
    )
    jobs: int = strawberry.field(
        default=0, description="Pieces of work that were enqueued now; 0 for a dry run, and where they wait already."
    )
    job: Job | None = strawberry.field(
        default=None, description="The job to watch; null for a dry run, and where nothing is due."
    )


@strawberry.type
class RunsQuery:
    @query_field(scope="invoices:read", description="One job by its id; null when there is none.")
    async def job(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Job | None:
        row = await load_node(info.context, id)
        return row if isinstance(row, tables.BillingRun) else None  # type: ignore[return-value]

    @query_field(scope="invoices:read", description="Jobs, latest first.")
    async def jobs(self, info: Info, first: First = 25, after: After = None) -> Connection[Job]:
        sort = [tables.BillingRun.__table__.c.id]  # type: ignore[attr-defined]
        return await connection(info, select(tables.BillingRun), sort=sort, first=first, after=after, descending=True)


@strawberry.type
class RunsMutation:
    @mutation_field(
        scope="invoices:finalize",
        action="invoice.finalize_due",
        description="Enqueue the finalization of every statement that is due, as the hourly run does.",
    )
    async def invoices_finalize_due(
        self,
        info: Info,
        as_of: Annotated[
            datetime | None, strawberry.argument(description="Only statements that were due by then; default: now.")
        ] = None,
        dry_run: Annotated[bool, strawberry.argument(description="Only count; enqueue nothing.")] = False,
    ) -> FinalizeDuePayload:
        session, now = info.context.session, info.context.now
        if as_of is not None and as_of > now:
            raise InvalidInput(
                ErrorCode.NOT_DUE, f"asOf lies after now, {now:%Y-%m-%dT%H:%M:%SZ}; nothing is due then yet.",
                path=("asOf",),
            )  # fmt: skip
        if dry_run:
            return FinalizeDuePayload(due_contracts=len(await due.due_contracts(session, as_of=as_of or now)))
        found = await runs.ask_for_runs(session, actor=info.context.actor, as_of=as_of or now, now=now)
        contracts = jobs = 0
        for progress in (await runs.progress_of(session, found)).values():
            contracts += progress.total - progress.done
            jobs += await due.enqueue_run(session, progress.run.id, contracts=progress.total - progress.done)
        last = found[-1] if found else None
        return FinalizeDuePayload(due_contracts=contracts, jobs=jobs, job=last)  # type: ignore[arg-type]
