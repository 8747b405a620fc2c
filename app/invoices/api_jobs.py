"""How a billing run is shown in GraphQL: as a job that can be watched.

Owns the type and its loader; the record is kept by `runs.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import select

from app.contracts.api_types import Contract
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Context, Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS, Node, node_type
from app.graphql.values import Money, described_enum
from app.invoices import due, runs, tables
from app.invoices.api_types import Invoice

JobStatus = described_enum(
    runs.RunStatus,
    name="JobStatus",
    description="Where a job stands.",
    sentences={
        runs.RunStatus.QUEUED: "It waits for a worker.",
        runs.RunStatus.RUNNING: "It was begun. After a kill it goes on with the next run, at the latest within the hour.",
        runs.RunStatus.SUCCEEDED: "It is finished, and nothing failed.",
        runs.RunStatus.FAILED: "It is finished, and some of it failed; failures say what.",
    },
)
FINALIZE = due.FINALIZE_JOB


@strawberry.type(description="A contract that a job could not bill. The next billing run tries again.")
class JobFailure:
    code: str = strawberry.field(
        description="Stable code of what went wrong, as in userErrors; INTERNAL is our mistake."
    )
    message: str = strawberry.field(description="What went wrong.")
    contract_id: strawberry.Private[UUID]

    @object_field(scope="contracts:read", description="The contract. Scope: contracts:read.")
    async def contract(self, info: Info) -> Contract:
        return await info.context.load("contract", self.contract_id)


async def _progress(context: Context, keys: Sequence[UUID]) -> Sequence[runs.Progress]:
    rows = await context.session.execute(
        select(tables.BillingRun).where(tables.BillingRun.id.in_(keys))  # type: ignore[attr-defined]
    )
    found = await runs.progress_of(context.session, rows.scalars().all())
    return [found[key] for key in keys]


LOADERS["job.progress"] = _progress
Row = strawberry.Parent[tables.BillingRun]


@node_type(
    "job",
    of=tables.BillingRun,
    scope="invoices:read",
    description="Work on many objects that can be watched. Every step is stored as it is done, also when a worker is killed.",
)
class Job(Node):
    as_of: datetime = strawberry.field(description="It finalizes what was due by then.")
    created_at: datetime = strawberry.field(description="When it was asked for.")
    started_at: datetime | None = strawberry.field(description="When a worker began; null while it waits.")

    @strawberry.field(description="What it does: invoices.finalize.")
    def kind(self) -> str:
        return FINALIZE

    @strawberry.field(description="Where it stands.")
    async def status(self, info: Info, row: Row) -> JobStatus:  # type: ignore[valid-type]
        return (await _progress_of(info, row)).status

    @strawberry.field(
        description="Contracts in all. One on which a commit of the whole customer is billed counts twice, since it comes "
        "again when all others are done."
    )
    async def total(self, info: Info, row: Row) -> int:
        return (await _progress_of(info, row)).total

    @strawberry.field(description="Contracts that are done, failed ones among them.")
    async def done(self, info: Info, row: Row) -> int:
        return (await _progress_of(info, row)).done

    @strawberry.field(description="How much is done, in whole percent, rounded down.")
    async def progress(self, info: Info, row: Row) -> int:
        found = await _progress_of(info, row)
        return found.done * 100 // found.total

    @strawberry.field(description="Contracts that failed.")
    async def failed(self, info: Info, row: Row) -> int:
        return (await _progress_of(info, row)).failed

    @strawberry.field(description="Why, for each contract that failed, in the order in which they were looked at.")
    async def failures(self, info: Info, row: Row, first: First = 25, after: After = None) -> Connection[JobFailure]:
        columns = tables.BillingRunContract.__table__.c  # type: ignore[attr-defined]
        statement = select(tables.BillingRunContract).where(columns.run_id == row.id, columns.failure_code.is_not(None))
        page = await connection(info, statement, sort=[columns.position], first=first, after=after)
        shown = [
            JobFailure(code=item.failure_code, message=item.failure, contract_id=item.contract_id)
            for item in page.nodes
        ]
        for edge, node in zip(page.edges, shown, strict=True):
            edge.node = node
        page.nodes = shown
        return page

    @strawberry.field(description="The invoices that it made, by number.")
    async def invoices(self, info: Info, row: Row, first: First = 25, after: After = None) -> Connection[Invoice]:
        columns = tables.Invoice.__table__.c  # type: ignore[attr-defined]
        links = tables.BillingRunInvoice.__table__.c  # type: ignore[attr-defined]
        made = select(links.invoice_id).where(links.run_id == row.id)
        statement = select(tables.Invoice).where(columns.id.in_(made))  # type: ignore[arg-type]
        return await connection(info, statement, sort=[columns.number], first=first, after=after)

    @strawberry.field(description="What its invoices come to, one amount for each currency.")
    async def totals(self, info: Info, row: Row) -> list[Money]:
        totals = (await _progress_of(info, row)).totals
        return [Money.of(total, currency) for currency, total in totals.items()]

    @strawberry.field(
        description="When its last step was done; a running job whose last step is long ago has no worker."
    )
    async def worked_at(self, info: Info, row: Row) -> datetime | None:
        return (await _progress_of(info, row)).worked_at

    @strawberry.field(description="When nothing was left; null while something is.")
    async def finished_at(self, info: Info, row: Row) -> datetime | None:
        found = await _progress_of(info, row)
        return found.worked_at if found.is_finished else None


async def _progress_of(info: Info, row: Any) -> runs.Progress:
    return await info.context.load("job.progress", row.id)
