"""What a final invoice calls its customer, contract, balances and the statements that it is put together of.

Owns that it is what they were called when it became final: whoever is renamed later was not billed under that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.lines import Line
from app.customers.tables import Customer
from app.grants.tables import GrantRow
from app.invoices.frozen_fields import NAMES, frozen_fields
from app.invoices.origins import Origin, origins_of_lines
from app.invoices.tables import Invoice

OWNERS = ("customer", "contract")


@dataclass(frozen=True, slots=True)
class DocumentNames:
    """Names of an invoice; `balances` by id, `origins` of lines by the statement that they come from."""

    customer: str
    contract: str | None
    balances: Mapping[UUID, str]
    origins: Mapping[UUID, Origin]


async def names_on(session: AsyncSession, invoice: Invoice, lines: Sequence[Line]) -> DocumentNames:
    """What a final invoice names; names of today where it was made by a release that kept none."""
    origins = await origins_of_lines(session, lines)
    kept = await frozen_fields(session, {invoice.id, *origins})
    known = {key: _as_kept(origin, kept[key].get(NAMES)) for key, origin in origins.items()}
    names = kept[invoice.id].get(NAMES)
    if names is not None:
        balances = {UUID(key): name for key, name in names.items() if key not in OWNERS}
        return DocumentNames(names["customer"], names.get("contract"), balances, known)
    customer = await session.get_one(Customer, invoice.customer_id)
    contract = await session.get_one(Contract, invoice.contract_id)
    return DocumentNames(customer.name, contract.name, await names_of_balances(session, lines), known)


def _as_kept(origin: Origin, names: Mapping[str, str] | None) -> Origin:
    if names is None:
        return origin
    return replace(origin, customer_name=names["customer"], contract_name=names.get("contract"))


async def names_of_balances(session: AsyncSession, lines: Sequence[Line]) -> dict[UUID, str]:
    """What the commits and credits of some lines are called today, those that have a name."""
    wanted = {line.grant_id for line in lines if line.grant_id is not None}
    rows = await session.execute(select(GrantRow.id, GrantRow.name).where(col(GrantRow.id).in_(wanted)))
    return {identifier: name for identifier, name in rows if name is not None}
