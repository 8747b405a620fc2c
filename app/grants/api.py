"""Commits and credits in GraphQL: made and entered by hand.

Owns the mutations; how a balance looks is in `api_types.py`, what callers send in `api_inputs.py`.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from app.checks import Path
from app.errors import NotFound
from app.grants import adjustments, true_ups
from app.grants.api_inputs import BalanceAdjustInput
from app.grants.api_types import Balance
from app.grants.tables import GrantRow
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.store import ids


@strawberry.type(description="Answer to a mutation of a commit or credit.")
class BalancePayload(Payload):
    balance: Balance | None = strawberry.field(default=None, description="The balance; null after an error.")


def balance_id(text: str, *, path: Path) -> UUID:
    """The id of a commit or credit; anything else is refused as one that does not exist."""
    found = ids.parse(text)
    if found is None or found[0] not in ("commit", "credit"):
        raise NotFound("Balance", text, path=path)
    return found[1]


@strawberry.type
class BalancesMutation:
    @mutation_field(
        scope="contracts:write",
        action="balance.disable_true_up",
        description="Never bill what is missing of a POSTPAID commit. A true-up that is final stays; void it first.",
    )
    async def balance_disable_true_up(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the commit.")]
    ) -> BalancePayload:
        grant_id = ids.from_text("commit", id, path=("id",))
        row = await true_ups.disable_true_up(info.context.session, grant_id)
        return BalancePayload(balance=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="balance.adjust",
        description="Enter an amount by hand. It counts at once, whatever instant it stands under.",
    )
    async def balance_adjust(
        self, info: Info, input: Annotated[BalanceAdjustInput, strawberry.argument(description="The entry.")]
    ) -> BalancePayload:
        grant_id = balance_id(input.id, path=("input", "id"))
        context = info.context
        await adjustments.adjust(
            context.session, grant_id, segment=input.segment, amount=input.amount, reason=input.reason, at=input.at,
            now=context.now,
        )  # fmt: skip
        row = await context.session.get_one(GrantRow, grant_id)
        return BalancePayload(balance=row)  # type: ignore[arg-type]
