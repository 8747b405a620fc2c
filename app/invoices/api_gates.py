"""Payments for which commits wait, in GraphQL: listed, and told by whoever collects them.

Owns the query and the mutation; the rules are in `gates.py`.
"""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlmodel import col, select

from app.custom_fields.api_filters import Carrying, Entity, with_custom_fields
from app.errors import ErrorCode, InvalidInput
from app.grants.api import BalancePayload
from app.grants.api_kinds import PaymentGate, PaymentGateStatus
from app.grants.api_types import Commit
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.invoices import gates
from app.store import ids

GRANTS = GrantRow.__table__.c  # type: ignore[attr-defined]


@strawberry.type
class GatesQuery:
    @query_field(
        scope="contracts:read",
        description="Commits of all customers that wait for their payment, oldest first.",
    )
    async def awaited_payments(
        self,
        info: Info,
        collected_by: Annotated[
            PaymentGate | None,  # type: ignore[valid-type]
            strawberry.argument(description="Collected by this one; default: by any."),
        ] = None,
        custom_fields: Carrying = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Commit]:
        statement = select(GrantRow).where(IS_UNPAID)
        if collected_by is not None:
            statement = statement.where(GrantRow.gate == collected_by)
        statement = await with_custom_fields(
            info, statement, Entity.COMMIT, GRANTS.id, custom_fields or (), path=("customFields",)
        )
        return await connection(info, statement, sort=[col(GrantRow.id)], first=first, after=after)


@strawberry.type
class GatesMutation:
    @mutation_field(
        scope="contracts:write",
        action="commit.release",
        description="Tell what became of a payment that you collect. PAID lets the commit be used; FAILED voids its "
        "invoice for good, and disables the threshold that bought it. The same answer again changes nothing.",
    )
    async def commit_release(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the commit.")],
        outcome: Annotated[
            PaymentGateStatus,  # type: ignore[valid-type]
            strawberry.argument(description="PAID or FAILED."),
        ],
        reason: Annotated[
            str, strawberry.argument(description="Why, at most 500 characters; shown with the commit.")
        ] = "",
    ) -> BalancePayload:
        if outcome not in gates.OUTCOMES:
            raise InvalidInput(ErrorCode.INVALID, f"outcome is {outcome}; write PAID or FAILED.", path=("outcome",))
        context = info.context
        grant_id = ids.from_text("commit", id, path=("id",))
        row = await gates.release_by_caller(context.session, grant_id, outcome, reason=reason, now=context.now)
        return BalancePayload(balance=row)  # type: ignore[arg-type]
