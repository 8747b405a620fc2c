"""Commits and credits: made, given entries by hand, archived.

Owns what is written of a balance. What it is worth is computed above, from its transfers and the drafts that draw on it;
what one may say is checked by `definitions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import Path, at_most
from app.contracts.tables import Contract
from app.custom_fields.service import insert_custom_fields
from app.customers.reading import changeable_customer
from app.grants import gates, references, sharing
from app.grants.definitions import NewGrant, check_grant
from app.grants.rows import count_of_contract, row_of, segments_of
from app.grants.shown import KINDS, shown
from app.grants.tables import GrantRow
from app.store.unique import once

MAX_GRANTS = 500


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
    """The commits and credits of a contract, in the order given. Errors as of `create_grant`; at most 500 of a contract."""
    if not entries:
        return []
    held = await count_of_contract(session, contract.id)
    at_most(range(held + len(entries)), MAX_GRANTS, path=path)
    return [
        await insert_grant(session, contract.customer_id, contract, entry, path=(*path, str(index)), now=now)
        for index, entry in enumerate(entries)
    ]


async def insert_grant(
    session: AsyncSession, customer_id: UUID, contract: Contract | None, entry: NewGrant, *, path: Path, now: datetime
) -> GrantRow:
    """Check and store one."""
    check_grant(entry, of_customer=contract is None, path=path)
    await sharing.check_sharing(session, contract, entry.sharing, path=(*path, "childAccess"))
    await references.check_references(session, customer_id, entry, path=path)
    row = row_of(entry, customer_id, contract, now=now)
    async with once(session, GrantRow, entry.uniqueness_key):
        session.add(row)
        await session.flush()
        session.add_all(segments_of(row.id, entry.segments, now=now))
        await session.flush()
        await insert_custom_fields(session, row, entry.custom_fields, path=(*path, "customFields"))
    if row.gate is not None:
        await gates.ask_to_collect(session)
    return row
