"""Packages: contracts that are still to be signed, made once and never changed.

Owns their rows, their names, and which one a new contract means; how their dates become a contract's is in
`package_dates.py`. A contract that is made of one goes the way of every other create.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog import alias_schedules
from app.catalog.alias_schedules import NewAlias
from app.change import note_change
from app.checks import Path, name_of
from app.contracts.package_dates import BillingAnchor
from app.contracts.package_ways import PackageWay
from app.contracts.tables import PackageAlias, PackageRow
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.store.ids import to_text
from app.store.unique import once

PACKAGES = alias_schedules.AliasKind("package", PackageRow, PackageAlias, "package_id")


async def create_package(
    session: AsyncSession,
    *,
    name: str,
    definition: Mapping[str, Any],
    way: PackageWay = PackageWay(),
    billing_anchor: BillingAnchor = BillingAnchor.CONTRACT_START_DATE,
    aliases: Sequence[tuple[Path, NewAlias]] = (),
    uniqueness_key: str | None = None,
    now: datetime,
) -> PackageRow:
    """Keep a package whose definition was tried. Errors: REQUIRED, INVALID, `Conflict`, those of names."""
    async with once(session, PackageRow, uniqueness_key):
        row = PackageRow(
            created_at=now, name=name_of(name, path=("input", "name")), definition=dict(definition), provider=way.provider,
            connection=way.connection, billing_anchor=billing_anchor, uniqueness_key=uniqueness_key,
        )  # fmt: skip
        session.add(row)
        await session.flush()
        await alias_schedules.insert(session, PACKAGES, row, aliases, now=now)
    note_change(session, "package", row.id, after=await _shown(session, row) | {"definition": row.definition})
    return row


async def archive_package(session: AsyncSession, package_id: UUID, *, now: datetime) -> PackageRow:
    """Offer a package no more; its contracts stay. Errors: `NotFound`, ARCHIVED."""
    row = await _changeable(session, package_id)
    row.archived_at = now
    await session.flush()
    note_change(session, "package", row.id, before={"archivedAt": None}, after={"archivedAt": now.isoformat()})
    return row


async def give_alias(session: AsyncSession, package_id: UUID, alias: NewAlias, *, now: datetime) -> PackageRow:
    """Let a name point to a package; whoever holds it at its start loses it at that instant.

    Errors: `NotFound`, ARCHIVED, and those of `alias_schedules.insert`.
    """
    row = await _changeable(session, package_id)
    before = await _shown(session, row)
    await alias_schedules.insert(session, PACKAGES, row, [(("alias",), alias)], now=now)
    note_change(session, "package", row.id, before=before, after=await _shown(session, row))
    return row


async def offered_package(
    session: AsyncSession, package_id: UUID | None, alias: str | None, *, at: datetime
) -> PackageRow:
    """The package that is named by its id, or by the alias that it has at an instant.

    Errors: INVALID for both, `NotFound`, ARCHIVED.
    """
    if alias is None:
        path: Path = ("input", "packageId")
        assert package_id is not None, "one of the two is given"
        row = await session.get(PackageRow, package_id)
        if row is None:
            raise NotFound("Package", to_text("package", package_id), path=path)
    else:
        path = ("input", "packageAlias")
        if package_id is not None:
            raise InvalidInput(ErrorCode.INVALID, "Name the package by its id or by an alias, not by both.", path=path)
        row = await alias_schedules.resolve(session, PACKAGES, alias, at=at, path=path)
    if row.archived_at is not None:
        raise _archived(row, path=path)
    return row


async def find_package(session: AsyncSession, alias: str, *, at: datetime) -> PackageRow | None:
    """The package to which a name points at an instant, if any; an archived one too."""
    return await alias_schedules.find(session, PACKAGES, alias, at=at)


async def _changeable(session: AsyncSession, package_id: UUID) -> PackageRow:
    row = await session.get(PackageRow, package_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("Package", to_text("package", package_id), path=("id",))
    if row.archived_at is not None:
        raise _archived(row, path=("id",))
    return row


def _archived(row: PackageRow, *, path: Path) -> InvalidState:
    return InvalidState(
        ErrorCode.ARCHIVED, f"Package {to_text('package', row.id)} is archived; choose another one.", path=path,
        conflicting=row,
    )  # fmt: skip


async def _shown(session: AsyncSession, row: PackageRow) -> dict[str, object]:
    own = {
        "name": row.name,
        "provider": row.provider,
        "connection": row.connection,
        "billingAnchor": row.billing_anchor,
    }
    return own | await alias_schedules.shown(session, PACKAGES, row)
