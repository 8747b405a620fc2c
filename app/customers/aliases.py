"""Ingest aliases: the references under which a customer's usage arrives.

Owns who holds which alias. Usage is stored under the reference as sent and resolved on reading, so moving an alias from
one customer to another moves its usage with it and nothing has to be rewritten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.change import note_change
from app.checks import Path, at_most, text_of
from app.customers.reading import changeable_customer
from app.customers.tables import Customer, IngestAlias
from app.errors import Conflict, ErrorCode, InvalidInput
from app.store import ids

MAX_ALIASES = 2_000
MAX_ALIAS = 128


async def set_ingest_aliases(
    session: AsyncSession, customer_id: UUID, aliases: Collection[str], *, now: datetime
) -> Customer:
    """Replace the whole set; the same set again changes nothing. The external id stays an alias in any case.

    Errors: `NotFound`, ARCHIVED, INVALID, `LimitExceeded` above 2,000, `Conflict` ALIAS_TAKEN naming the holder.
    """
    path = ("aliases",)
    wanted = checked_aliases(aliases, path=path)
    customer = await changeable_customer(session, customer_id)
    if customer.external_id is not None:
        wanted.add(customer.external_id)
    present = set(await aliases_of(session, customer_id))
    async with session.begin_nested():
        await session.execute(
            delete(IngestAlias).where(
                col(IngestAlias.customer_id) == customer_id, col(IngestAlias.alias).in_(present - wanted)
            )
        )
        await claim(session, customer_id, wanted - present, path=path, now=now)
    note_change(
        session, "customer", customer_id,
        before={"ingestAliases": sorted(present)}, after={"ingestAliases": sorted(wanted)},
    )  # fmt: skip
    return customer


async def aliases_of(session: AsyncSession, customer_id: UUID) -> list[str]:
    """A customer's aliases, its external id among them, sorted."""
    found = await session.execute(select(IngestAlias.alias).where(IngestAlias.customer_id == customer_id))
    return sorted(found.scalars())


def checked_aliases(aliases: Iterable[str], *, path: Path) -> set[str]:
    """The set of aliases, each of them acceptable."""
    wanted = {text_of(alias, path=path, longest=MAX_ALIAS) for alias in aliases}
    at_most(wanted, MAX_ALIASES, path=path)
    for alias in sorted(wanted):
        found = ids.parse(alias)
        if found is not None and found[0] == "customer":
            # Usage sent under a customer's id is that customer's; an alias must not be able to take it away.
            raise InvalidInput(ErrorCode.INVALID, f"Alias {alias!r} has the form of a customer id.", path=path)
    return wanted


async def claim(
    session: AsyncSession, customer_id: UUID, aliases: Collection[str], *, path: Path, now: datetime
) -> None:
    """Give free aliases to a customer. `Conflict` ALIAS_TAKEN when one of them has another holder."""
    if not aliases:
        return
    # Sorted, so that two callers who want the same aliases wait for each other instead of deadlocking.
    rows = [
        {"id": ids.new_id(), "created_at": now, "alias": alias, "customer_id": customer_id} for alias in sorted(aliases)
    ]
    statement = insert(IngestAlias).values(rows).on_conflict_do_nothing(index_elements=["alias"])
    taken = (await session.execute(statement.returning(col(IngestAlias.alias)))).scalars().all()
    await refuse_taken(session, set(aliases) - set(taken), path=path)


async def refuse_taken(session: AsyncSession, aliases: Collection[str], *, path: Path) -> None:
    """Raise `Conflict` ALIAS_TAKEN for the first of these aliases, naming its holder; nothing when there are none."""
    if not aliases:
        return
    alias = min(aliases)
    holder = (
        await session.execute(
            select(Customer)
            .join(IngestAlias, col(IngestAlias.customer_id) == Customer.id)
            .where(IngestAlias.alias == alias)
        )
    ).scalar_one_or_none()
    named = "another customer" if holder is None else f"{ids.to_text('customer', holder.id)} ({holder.name[:80]})"
    raise Conflict(ErrorCode.ALIAS_TAKEN, f"Ingest alias {alias!r} belongs to {named}.", path=path, conflicting=holder)
