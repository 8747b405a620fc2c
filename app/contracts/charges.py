"""Scheduled charges of a contract: their rows.

Owns their way into the database; what one may say is checked by `charge_rules.py`, and invoices are above this slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from app.catalog import reading, tables
from app.change import note_change
from app.checks import Path, at_most, currency_of
from app.contracts.charge_rules import NewCharge, check_product, schedule_of, shown_charge
from app.contracts.placement import check_routes
from app.contracts.reading import changeable_contract
from app.contracts.tables import Contract, ScheduledChargeRow
from app.custom_fields.service import insert_custom_fields
from app.providers import ProviderDirectory
from app.store.unique import once

MAX_CHARGES = 500


async def add_scheduled_charge(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract_id: UUID,
    charge: NewCharge,
    *,
    revision: int | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> ScheduledChargeRow:
    """Add a charge to a contract. What is dated on a day that has a final invoice gets an invoice of its own.

    Errors: `NotFound`, ARCHIVED, STALE_REVISION, `Conflict`, CURRENCY_MISMATCH, and those of `insert_charges`.
    """
    contract = await changeable_contract(session, contract_id, revision=revision)
    async with once(session, ScheduledChargeRow, uniqueness_key, path=("uniquenessKey",)):
        [row] = await insert_charges(session, contract, [charge], path=None, now=now)
        row.uniqueness_key = uniqueness_key
        contract.revision += 1
        await session.flush()
    await check_routes(session, directory, contract, path=("input", "currency"), now=now)
    fields = {"customFields": dict(charge.custom_fields)}
    note_change(session, "contract", contract.id, after={"scheduledCharge": shown_charge(row) | fields})
    return row


async def insert_charges(
    session: AsyncSession, contract: Contract, charges: Sequence[NewCharge], *, path: Path | None, now: datetime
) -> list[ScheduledChargeRow]:
    """Check and store charges of a contract, in the order given. `path` is that of the list; None for a single input.

    Errors: `NotFound`, ARCHIVED, INVALID, REQUIRED, QUANTITY_NEGATIVE, NOT_SUPPORTED, INVALID_INTERVAL for a date when
    the contract is over, `LimitExceeded` above 500 charges or items, and those of `insert_custom_fields`.
    """
    last = await session.execute(
        select(func.max(ScheduledChargeRow.added)).where(ScheduledChargeRow.contract_id == contract.id)
    )
    added = last.scalar_one() or 0
    at_most(range(added + len(charges)), MAX_CHARGES, path=path or ("input", "scheduledCharges"))
    rows: list[ScheduledChargeRow] = []
    for index, charge in enumerate(charges):
        place = ("input",) if path is None else (*path, str(index))
        product = await reading.get(session, tables.ProductRow, charge.product_id, path=(*place, "productId"))
        reading.refuse_archived(product, path=(*place, "productId"))
        check_product(product, path=(*place, "productId"))
        rows.append(
            ScheduledChargeRow(
                id=charge.id,
                created_at=now,
                contract_id=contract.id,
                product_id=product.id,
                unit=contract.currency if charge.unit is None else currency_of(charge.unit, path=(*place, "currency")),
                schedule=schedule_of(charge, contract, path=place),
                is_discount=charge.is_discount,
                added=added + index + 1,
            )
        )
    session.add_all(rows)
    await session.flush()
    for index, (row, charge) in enumerate(zip(rows, charges, strict=True)):
        place = ("input",) if path is None else (*path, str(index))
        await insert_custom_fields(session, row, charge.custom_fields, path=(*place, "customFields"))
    return rows
