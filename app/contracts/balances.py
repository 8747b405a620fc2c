"""Commits and credits of a customer, seen from the contract that bills them.

Owns that an invoice which nobody would take is found when a balance is agreed on, and not at the end of the month.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts.collecting import check_collecting
from app.contracts.placement import check_routes
from app.contracts.tables import Contract
from app.grants.definitions import NewGrant, billed_in
from app.grants.service import create_grant
from app.grants.tables import GrantRow
from app.providers import ProviderDirectory


async def create_balance(
    session: AsyncSession, directory: ProviderDirectory, customer_id: UUID, entry: NewGrant, *, now: datetime
) -> GrantRow:
    """A commit or credit of a customer. Errors: those of `create_grant` and `check_billing`."""
    row = await create_grant(session, customer_id, entry, now=now)
    path = ("input", "invoiceContractId")
    await check_billing(session, directory, entry.invoice_contract_id, entry, path=path, now=now)
    if entry.gate is not None and entry.invoice_contract_id is not None:
        contract = await session.get_one(Contract, entry.invoice_contract_id)
        await check_collecting(session, directory, contract, path=path, since=now)
    return row


async def check_billing(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract_id: UUID | None,
    entry: NewGrant,
    *,
    path: Path,
    now: datetime,
) -> None:
    """The provider of the contract that bills a balance takes its currency. Errors: CURRENCY_MISMATCH."""
    unit = billed_in(entry)
    if contract_id is None or unit is None:
        return
    contract = await session.get_one(Contract, contract_id)
    await check_routes(session, directory, contract, path=path, more_currencies=[unit], now=now)
