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
from sqlmodel import col, select

from app.catalog.tables import PricingUnit, ProductRow
from app.change import note_change
from app.checks import Path
from app.contracts.tables import Contract
from app.core.currencies import MINOR_DIGITS
from app.core.grants import DEFAULT_PRIORITY
from app.core.overrides import specifier_to_json
from app.customers.reading import changeable_customer
from app.errors import ErrorCode, InvalidInput, NotFound
from app.grants.definitions import NewGrant, check_grant, payment_to_json
from app.grants.tables import GrantRow, SegmentRow
from app.store.ids import to_text
from app.store.unique import once

KINDS = {"PREPAID": "commit", "POSTPAID": "commit", "CREDIT": "credit"}
"""The kind of object, by type: commits and credits are one table and two kinds of id."""


async def create_grant(session: AsyncSession, customer_id: UUID, entry: NewGrant, *, now: datetime) -> GrantRow:
    """A commit or credit of a customer, usable by all of its contracts or by some.

    Errors: `NotFound`, ARCHIVED, those of `check_grant`, and `Conflict` when the uniqueness key was used for any commit
    or credit before.
    """
    await changeable_customer(session, customer_id, path=("input", "customerId"))
    row = await insert_grant(session, customer_id, None, entry, path=("input",), now=now)
    note_change(session, KINDS[row.type], row.id, after=shown(row))
    return row


async def insert_grants(
    session: AsyncSession, contract: Contract, entries: Sequence[NewGrant], *, path: Path, now: datetime
) -> list[GrantRow]:
    """The commits and credits of a contract, in the order given. Errors as of `create_grant`."""
    return [
        await insert_grant(session, contract.customer_id, contract, entry, path=(*path, str(index)), now=now)
        for index, entry in enumerate(entries)
    ]


async def insert_grant(
    session: AsyncSession, customer_id: UUID, contract: Contract | None, entry: NewGrant, *, path: Path, now: datetime
) -> GrantRow:
    """Check and store one."""
    check_grant(entry, of_customer=contract is None, path=path)
    await _check_references(session, customer_id, entry, path=path)
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


async def _check_references(session: AsyncSession, customer_id: UUID, entry: NewGrant, *, path: Path) -> None:
    await check_unit(session, entry.unit, path=(*path, "unit"))
    if entry.payment is not None and entry.payment.unit is not None and entry.payment.unit not in MINOR_DIGITS:
        raise InvalidInput(
            ErrorCode.INVALID, f"{entry.payment.unit!r} is no currency; commits are paid in one.", path=(*path, "payment", "unit")
        )  # fmt: skip
    if entry.product_id is not None:
        await _check_product(session, entry.product_id, path=(*path, "productId"))
    await check_products(session, entry.scope.product_ids, path=(*path, "productIds"))
    await check_products(
        session, [item.product_id for item in entry.scope.specifiers if item.product_id], path=(*path, "specifiers")
    )
    wanted = {*entry.contract_ids, *([entry.invoice_contract_id] if entry.invoice_contract_id else [])}
    found = await session.execute(
        select(Contract.id).where(col(Contract.id).in_(wanted), Contract.customer_id == customer_id)
    )
    missing = sorted(wanted - set(found.scalars()))
    if missing:
        raise NotFound("Contract", to_text("contract", missing[0]), path=(*path, "contractIds"))


async def check_unit(session: AsyncSession, unit: str, *, path: Path) -> None:
    """A currency, or a pricing unit of the seller."""
    if unit in MINOR_DIGITS:
        return
    known = await session.execute(select(PricingUnit.id).where(PricingUnit.code == unit))
    if known.scalar_one_or_none() is None:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{unit[:40]!r} is neither an ISO 4217 currency such as USD nor the code of a pricing unit.",
            path=path,
        )


async def check_products(session: AsyncSession, product_ids: Sequence[UUID], *, path: Path) -> None:
    """Products that exist."""
    found = await session.execute(select(ProductRow.id).where(col(ProductRow.id).in_(product_ids)))
    missing = sorted(set(product_ids) - set(found.scalars()))
    if missing:
        raise NotFound("Product", to_text("product", missing[0]), path=path)


async def _check_product(session: AsyncSession, product_id: UUID, *, path: Path) -> None:
    product = await session.get(ProductRow, product_id)
    if product is None:
        raise NotFound("Product", to_text("product", product_id), path=path)
    if product.type != "FIXED":
        raise InvalidInput(
            ErrorCode.INVALID, f"{product.name[:80]!r} is a {product.type} product; a balance is sold as a FIXED one.", path=path
        )  # fmt: skip


def shown(row: GrantRow) -> dict[str, str | Decimal | None]:
    """What the audit log says of a commit or credit."""
    return {"type": row.type, "name": row.name, "unit": row.unit, "priority": row.priority}
