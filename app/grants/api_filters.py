"""Which commits and credits a caller asks for.

Owns the inputs and the way from them to rows. What time and what is left decide is told by the core, from what the
invoices slice says of each balance.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from app.checks import Path, at_most
from app.core.balance_query import BalanceQuery, is_wanted
from app.custom_fields import entities, service
from app.custom_fields.api_types import custom_fields_in
from app.errors import ErrorCode, InvalidInput
from app.grants import reading
from app.grants.api_kinds import BalanceKind, BalanceStatus
from app.grants.tables import GrantRow
from app.graphql.context import Info
from app.graphql.values import KeyValueInput
from app.store import ids

MAX_IDS = 100


@strawberry.input(description="Which balances to list; conditions add up.")
class BalanceFilter:
    status: list[BalanceStatus] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Standing in one of these ways now; default: all but expired and voided ones."
    )
    include_archived: bool = strawberry.field(
        default=False, description="Archived ones as well, where no status is asked for."
    )
    include_contract_balances: bool = strawberry.field(
        default=True, description="Those of the customer's contracts as well as its own."
    )
    kind: list[BalanceKind] | None = strawberry.field(default=None, description="Of these kinds.")  # type: ignore[valid-type]
    ids: list[strawberry.ID] | None = strawberry.field(default=None, description="Any of these, at most 100.")
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="With all of these values; none match for tokens of one customer."
    )
    covering_at: datetime | None = strawberry.field(default=None, description="With a segment at this instant.")
    starting_at: datetime | None = strawberry.field(
        default=None, description="With a segment that begins at this instant or later."
    )
    effective_before: datetime | None = strawberry.field(
        default=None, description="With a segment that begins before this instant."
    )
    exclude_zero_balances: bool = strawberry.field(
        default=False, description="Only those of which something can be used now."
    )


@strawberry.input(description="Balances that count towards a sum; conditions add up.")
class NetBalanceFilter:
    kind: list[BalanceKind] | None = strawberry.field(default=None, description="Of these kinds.")  # type: ignore[valid-type]
    ids: list[strawberry.ID] | None = strawberry.field(default=None, description="Any of these, at most 100.")
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="With all of these values; none match for tokens of one customer."
    )


async def wanted_rows(info: Info, customer_id: UUID, wanted: BalanceFilter) -> list[GrantRow]:
    """The balances of a customer that meet a filter, by id."""
    query = BalanceQuery(
        statuses=wanted.status,
        include_archived=wanted.include_archived,
        covering_at=wanted.covering_at,
        starting_at=wanted.starting_at,
        effective_before=wanted.effective_before,
        exclude_zero=wanted.exclude_zero_balances,
    )
    rows = await reading.rows_of_customer(info.context.session, customer_id)
    if not wanted.include_contract_balances:
        rows = [row for row in rows if row.contract_id is None]
    plain = NetBalanceFilter(kind=wanted.kind, ids=wanted.ids, custom_fields=wanted.custom_fields)
    rows = await matching(info, rows, plain, path=("filter",))
    states = await info.context.load_many("balance.state", [row.id for row in rows])
    return [
        row
        for row, state in zip(rows, states, strict=True)
        if is_wanted(query, state.grant, state.movements, at=info.context.now, is_archived=row.archived_at is not None)
    ]


async def matching(info: Info, rows: Sequence[GrantRow], wanted: NetBalanceFilter, *, path: Path) -> list[GrantRow]:
    """Those of the rows that meet a filter. Errors: INVALID for what is no id of a balance, CUSTOM_FIELD_UNKNOWN."""
    found = list(rows)
    if wanted.kind is not None:
        found = [row for row in found if row.type in wanted.kind]
    if wanted.ids is not None:
        chosen = _ids(wanted.ids, path=(*path, "ids"))
        found = [row for row in found if row.id in chosen]
    if not wanted.custom_fields:
        return found
    place = (*path, "customFields")
    values = custom_fields_in(wanted.custom_fields, path=place)
    kinds = (entities.Entity.COMMIT, entities.Entity.CREDIT)
    await service.check_registered(info.context.session, kinds, values, path=place)
    if info.context.actor.customer_id is not None:
        return []  # A customer's own token does not see the seller's notes, and cannot ask for them either.
    fields = await info.context.load_many("custom_fields", [row.id for row in found])
    return [row for row, own in zip(found, fields, strict=True) if values.items() <= own.items()]


def _ids(texts: Sequence[str], *, path: Path) -> set[UUID]:
    at_most(texts, MAX_IDS, path=path)
    found: set[UUID] = set()
    for index, text in enumerate(texts):
        named = ids.parse(text)
        if named is None or named[0] not in ("commit", "credit"):
            raise InvalidInput(
                ErrorCode.INVALID,
                f"{text[:60]!r} is not the id of a balance; such ids look like com_0199… or crd_0199….",
                path=(*path, str(index)),
            )
        found.add(named[1])
    return found
