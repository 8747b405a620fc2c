"""Commits and credits in GraphQL: what can be read, made and entered by hand.

Owns the root fields; how a balance looks is in `api_types.py`, what callers send in `api_inputs.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

import strawberry

from app.core.ledger import GrantStatus, balance_at
from app.errors import NotFound
from app.grants import adjustments, reading, service
from app.grants.api_inputs import BalanceAdjustInput, BalanceCreateInput, BalanceFilter, new_grant
from app.grants.api_types import Balance, status_of
from app.grants.tables import GrantRow
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.payload import Payload
from app.store import ids

MAX_BALANCES = 1_000


@strawberry.type(description="Answer to a mutation of a commit or credit.")
class BalancePayload(Payload):
    balance: Balance | None = strawberry.field(default=None, description="The balance; null after an error.")


@strawberry.type
class BalancesQuery:
    @query_field(
        scope="contracts:read",
        for_customers=True,
        description="The commits and credits of a customer and of its contracts, by id.",
    )
    async def balances(
        self,
        info: Info,
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
        filter: Annotated[BalanceFilter | None, strawberry.argument(description="Which of them.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Balance]:
        wanted = filter or BalanceFilter()
        rows = await _rows(info, ids.from_text("customer", customer_id, path=("customerId",)))
        found = [row for row in rows if await _is_wanted(info, row, wanted)]
        return list_connection(found, key=lambda row: str(row.id), first=first, after=after)  # type: ignore[return-value]


async def _rows(info: Info, customer_id: UUID) -> list[GrantRow]:
    own = info.context.actor.customer_id
    if own is not None and own != customer_id:
        return []
    return await reading.rows_of_customer(info.context.session, customer_id, limit=MAX_BALANCES)


async def _is_wanted(info: Info, row: GrantRow, wanted: BalanceFilter) -> bool:
    state = await info.context.load("balance.state", row.id)
    status = status_of(row, state, at=info.context.now)
    hidden = (GrantStatus.EXPIRED, GrantStatus.VOIDED)
    if status not in wanted.status if wanted.status is not None else status in hidden:
        return False
    if wanted.kind is not None and row.type not in wanted.kind:
        return False
    return not (wanted.exclude_exhausted and not balance_at(state.grant, state.movements, at=info.context.now))


@strawberry.type
class BalancesMutation:
    @mutation_field(
        scope="contracts:write",
        action="balance.create",
        description="Make a commit or credit of a customer; those of a contract come with the contract.",
    )
    async def balance_create(
        self, info: Info, input: Annotated[BalanceCreateInput, strawberry.argument(description="The new balance.")]
    ) -> BalancePayload:
        path = ("input", "terms")
        billed_on = None
        if input.invoice_contract_id is not None:
            billed_on = ids.from_text("contract", input.invoice_contract_id, path=("input", "invoiceContractId"))
        contracts = [
            ids.from_text("contract", item, path=("input", "contractIds", str(index)))
            for index, item in enumerate(input.contract_ids)
        ]
        entry = replace(new_grant(input.terms, path=path), contract_ids=contracts, invoice_contract_id=billed_on)
        customer_id = ids.from_text("customer", input.customer_id, path=("input", "customerId"))
        row = await service.create_grant(info.context.session, customer_id, entry, now=info.context.now)
        return BalancePayload(balance=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="contracts:write",
        action="balance.adjust",
        description="Enter an amount by hand. It counts at once, whatever instant it stands under.",
    )
    async def balance_adjust(
        self, info: Info, input: Annotated[BalanceAdjustInput, strawberry.argument(description="The entry.")]
    ) -> BalancePayload:
        found = ids.parse(input.id)
        if found is None or found[0] not in ("commit", "credit"):
            raise NotFound("Balance", input.id, path=("input", "id"))
        context = info.context
        await adjustments.adjust(
            context.session, found[1], segment=input.segment, amount=input.amount, reason=input.reason, at=input.at,
            now=context.now,
        )  # fmt: skip
        row = await context.session.get_one(GrantRow, found[1])
        return BalancePayload(balance=row)  # type: ignore[arg-type]
