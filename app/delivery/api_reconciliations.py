"""Reconciliations in GraphQL: ask for one, and read what was found, every difference with its remedy.

Owns the types and fields; when they are made is in `reconciliations.py`, what counts as a difference in the core.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
from sqlalchemy import select

from app.core import money, period, reconciliation
from app.delivery import reconciliations, tables
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import Node, load_node, node_type
from app.graphql.payload import Payload
from app.graphql.values import Interval, described_enum

ROWS = tables.ReconciliationRow.__table__.c  # type: ignore[attr-defined]
DIFFERENCES = tables.ReconciliationDifference.__table__.c  # type: ignore[attr-defined]
ReconciliationState = described_enum(
    reconciliations.State,
    name="ReconciliationState",
    description="Where a reconciliation stands.",
    sentences={
        reconciliations.State.REQUESTED: "It was asked for, and a job will make it.",
        reconciliations.State.DONE: "Both sides were read; of a provider that shows nothing, ours alone: see problem.",
        reconciliations.State.UNREAD: "The provider did not answer; nothing is called missing that was not read.",
    },
)
DifferenceReason = described_enum(
    reconciliation.Reason,
    name="ReconciliationReason",
    description="Why our books and the provider's differ.",
    sentences=reconciliation.REMEDIES,
)


@strawberry.type(description="What one side has in one currency.")
class ReconciliationSum:
    currency: str = strawberry.field(description="The currency; `units` for quantities at a marketplace.")
    amount: Decimal = strawberry.field(description="The sum, money in the major unit.")


@strawberry.type(description="One difference between our books and the provider's.")
class ReconciliationDifference:
    row: strawberry.Private[tables.ReconciliationDifference]

    @strawberry.field(description="Why they differ.")
    def reason(self) -> DifferenceReason:  # type: ignore[valid-type]
        return reconciliation.Reason(self.row.reason)

    @strawberry.field(description="What somebody can do about it.")
    def remedy(self) -> str:
        return reconciliation.REMEDIES[reconciliation.Reason(self.row.reason)]

    @strawberry.field(description="Id of our invoice, or what the marketplace calls the day of usage.")
    def reference(self) -> str:
        return self.row.reference

    @strawberry.field(description="The provider's ids of what it has, at most 100.")
    def provider_references(self) -> list[str]:
        return self.row.provider_references

    @strawberry.field(description="What we have; null when nothing.")
    def ours(self) -> Decimal | None:
        return self.row.ours

    @strawberry.field(description="What the provider has; null when nothing.")
    def theirs(self) -> Decimal | None:
        return self.row.theirs

    @strawberry.field(description="Theirs less ours; a side that has nothing counts as 0.")
    def difference(self) -> Decimal:
        with money.exact():
            return (self.row.theirs or money.ZERO) - (self.row.ours or money.ZERO)

    @strawberry.field(description="In which currency; null for units of usage.")
    def currency(self) -> str | None:
        return self.row.currency


@node_type(
    "reconciliation",
    of=tables.ReconciliationRow,
    scope="delivery:read",
    description="The comparison of our books with those of one provider account over a period. It changes neither.",
)
class Reconciliation(Node):
    provider: str = strawberry.field(description="Name of the provider.")
    connection: str = strawberry.field(description="Name of our account there.")
    is_scheduled: bool = strawberry.field(description="Whether it was made by itself, for a day that is complete.")
    created_at: datetime = strawberry.field(description="When it was asked for.")
    finished_at: datetime | None = strawberry.field(description="When it was made last; null while it waits.")
    compared: int = strawberry.field(description="How many invoices, or days of usage, of ours were compared.")
    not_ours: int = strawberry.field(description="Objects at the provider that carry no reference of ours.")
    problem: str | None = strawberry.field(description="Why the provider's side was not read whole; null when it was.")
    difference_count: int = strawberry.field(description="How many differences were found.")

    @strawberry.field(description="Where it stands.")
    def state(self, row: strawberry.Parent[tables.ReconciliationRow]) -> ReconciliationState:  # type: ignore[valid-type]
        return reconciliations.State(row.state)

    @strawberry.field(description="The period that was compared.")
    def interval(self, row: strawberry.Parent[tables.ReconciliationRow]) -> Interval:
        return Interval(starting_at=row.starting_at, ending_before=row.ending_before)

    @strawberry.field(description="What counts in our books, by currency.")
    def ours(self, row: strawberry.Parent[tables.ReconciliationRow]) -> list[ReconciliationSum]:
        return _sums(row.ours)

    @strawberry.field(description="What counts at the provider, by currency.")
    def theirs(self, row: strawberry.Parent[tables.ReconciliationRow]) -> list[ReconciliationSum]:
        return _sums(row.theirs)

    @strawberry.field(description="The differences, by our reference; the first 10,000 are kept.")
    async def differences(
        self,
        info: Info,
        row: strawberry.Parent[tables.ReconciliationRow],
        reason: Annotated[
            list[DifferenceReason] | None,  # type: ignore[valid-type]
            strawberry.argument(description="Only those of these reasons."),
        ] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[ReconciliationDifference]:
        statement = select(tables.ReconciliationDifference).where(DIFFERENCES.reconciliation_id == row.id)
        if reason is not None:
            statement = statement.where(DIFFERENCES.reason.in_([item.value for item in reason]))
        page: Connection[Any] = await connection(info, statement, sort=[DIFFERENCES.position], first=first, after=after)
        page.nodes = [ReconciliationDifference(row=item) for item in page.nodes]
        for edge, node in zip(page.edges, page.nodes, strict=True):
            edge.node = node
        return page


def _sums(sums: Mapping[str, str]) -> list[ReconciliationSum]:
    return [ReconciliationSum(currency=name, amount=Decimal(text)) for name, text in sorted(sums.items())]


@strawberry.input(description="Which reconciliations to list; conditions add up.")
class ReconciliationFilter:
    connection: str | None = strawberry.field(default=None, description="Those of this account.")
    state: list[ReconciliationState] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those in one of these states."
    )
    has_differences: bool | None = strawberry.field(default=None, description="Those with differences, or without.")


@strawberry.input(description="What to compare.")
class ReconciliationStartInput:
    connection: str = strawberry.field(description="Name of the account.")
    starting_at: datetime = strawberry.field(description="From when on.")
    ending_before: datetime = strawberry.field(description="Until when, at most 366 days later.")


@strawberry.type(description="Answer to the request for a reconciliation.")
class ReconciliationPayload(Payload):
    reconciliation: Reconciliation | None = strawberry.field(
        default=None, description="What was asked for; null after an error."
    )


@strawberry.type
class ReconciliationsQuery:
    @query_field(scope="delivery:read", description="One reconciliation; null when there is none.")
    async def reconciliation(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the reconciliation.")]
    ) -> Reconciliation | None:
        row = await load_node(info.context, id)
        return row if isinstance(row, tables.ReconciliationRow) else None  # type: ignore[return-value]

    @query_field(
        scope="delivery:read",
        description="Reconciliations, newest first; every night the last complete days (UTC) of each account are compared.",
    )
    async def reconciliations(
        self,
        info: Info,
        filter: Annotated[ReconciliationFilter | None, strawberry.argument(description="Which ones.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Reconciliation]:
        statement = select(tables.ReconciliationRow)
        if filter is not None and filter.connection is not None:
            statement = statement.where(ROWS.connection == filter.connection)
        if filter is not None and filter.state is not None:
            statement = statement.where(ROWS.state.in_([state.value for state in filter.state]))
        if filter is not None and filter.has_differences is not None:
            statement = statement.where((ROWS.difference_count > 0) == filter.has_differences)
        return await connection(info, statement, sort=[ROWS.id], descending=True, first=first, after=after)


@strawberry.type
class ReconciliationsMutation:
    @mutation_field(
        scope="delivery:write",
        action="reconciliation.start",
        description="Ask for the comparison of our books with those of one account; a job makes it and changes nothing.",
    )
    async def reconciliation_start(
        self,
        info: Info,
        input: Annotated[ReconciliationStartInput, strawberry.argument(description="Which account and period.")],
    ) -> ReconciliationPayload:
        context = info.context
        if input.ending_before <= input.starting_at:
            raise InvalidInput(
                ErrorCode.INVALID_INTERVAL, "The end must lie after the start.", path=("input", "endingBefore")
            )
        row = await reconciliations.ask_for(
            context.session, context.providers, input.connection, period.Period(input.starting_at.astimezone(UTC), input.ending_before.astimezone(UTC)),
            now=context.now,
        )  # fmt: skip
        return ReconciliationPayload(reconciliation=row)  # type: ignore[arg-type]
