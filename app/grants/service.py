"""Commits and credits: made, given entries by hand, archived.

Owns what is written of a balance. What it is worth is computed above, from its transfers and the drafts that draw on it;
what one may say is checked by `definitions.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import Path, at_most
from app.contracts.tables import Contract
from app.core.grants import DEFAULT_PRIORITY
from app.core.overrides import specifier_to_json
from app.customers.reading import changeable_customer
from app.grants.definitions import NewGrant, check_grant, payment_to_json
from app.grants.references import check_references
from app.grants.tables import GrantRow, SegmentRow
from app.store.unique import once

MAX_GRANTS = 500
KINDS = {"PREPAID": "commit", "POSTPAID": "commit", "CREDIT": "credit"}
"""The kind of object, by type: commits and credits are one table and two kinds of id."""


async def create_grant(
    session: AsyncSession, customer_id: UUID, entry: NewGrant, *, path: Path = ("input", "terms"), now: datetime
) -> GrantRow:
    """A commit or credit of a customer, usable by all of its contracts or by some.

    Errors: `NotFound`, ARCHIVED, those of `check_grant`, and `Conflict` when the uniqueness key was used for any commit
    or credit before.
    """
    await changeable_customer(session, customer_id, path=("input", "customerId"))
    row = await insert_grant(session, customer_id, None, entry, path=path, now=now)
    note_change(session, KINDS[row.type], row.id, after=shown(row))
    return row


async def insert_grants(
    session: AsyncSession, contract: Contract, entries: Sequence[NewGrant], *, path: Path, now: datetime
) -> list[GrantRow]:
    """The commits and credits of a contract, in the order given. Errors as of `create_grant`; at most 500."""
    at_most(entries, MAX_GRANTS, path=path)
    return [
        await insert_grant(session, contract.customer_id, contract, entry, path=(*path, str(index)), now=now)
        for index, entry in enumerate(entries)
    ]


async def insert_grant(
    session: AsyncSession, customer_id: UUID, contract: Contract | None, entry: NewGrant, *, path: Path, now: datetime
) -> GrantRow:
    """Check and store one."""
    check_grant(entry, of_customer=contract is None, path=path)
    await check_references(session, customer_id, entry, path=path)
    scope = entry.scope
    row = GrantRow(
        id=entry.id,
        created_at=now,
        customer_id=customer_id,
        contract_id=None if contract is None else contract.id,
        type=entry.type,
        product_id=entry.product_id,
        name=entry.name,
        description=entry.description,
        unit=entry.unit,
        priority=DEFAULT_PRIORITY if entry.priority is None else entry.priority,
        product_ids=[str(product_id) for product_id in scope.product_ids],
        tags=list(scope.tags),
        specifiers=[specifier_to_json(specifier) for specifier in scope.specifiers],
        contract_ids=[str(contract_id) for contract_id in entry.contract_ids],
        invoice_contract_id=entry.invoice_contract_id,
        rate_type=entry.rate_type,
        rollover_fraction=entry.rollover_fraction,
        invoice=None if entry.payment is None else payment_to_json(entry.payment),
        trueup_disabled=entry.trueup_disabled,
        uniqueness_key=entry.uniqueness_key,
    )
    async with once(session, GrantRow, entry.uniqueness_key):
        session.add(row)
        await session.flush()
        session.add_all(_segments(row.id, entry, now=now))
        await session.flush()
    return row


def _segments(grant_id: UUID, entry: NewGrant, *, now: datetime) -> Iterable[SegmentRow]:
    for number, segment in enumerate(entry.segments):
        yield SegmentRow(
            created_at=now,
            grant_id=grant_id,
            number=number,
            amount=segment.amount,
            starting_at=segment.starting_at,
            ending_before=segment.ending_before,
        )


def shown(row: GrantRow) -> dict[str, str | Decimal | None]:
    """What the audit log says of a commit or credit."""
    return {"type": row.type, "name": row.name, "unit": row.unit, "priority": row.priority}
