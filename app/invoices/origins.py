"""From which contract, and whose, the lines of a consolidated invoice come.

Owns looking that up, for documents, providers and the API.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.tables import Contract
from app.core.lines import Line
from app.customers.tables import Customer
from app.invoices.tables import Invoice


@dataclass(frozen=True, slots=True)
class Origin:
    """A statement of a contract; names are those of today."""

    invoice_id: UUID
    contract_id: UUID
    contract_name: str | None
    customer_id: UUID
    customer_name: str

    @property
    def heading(self) -> str:
        """Whose it is, in words."""
        return self.customer_name if self.contract_name is None else f"{self.customer_name}, {self.contract_name}"


async def origins_of_lines(
    session: AsyncSession, lines: Iterable[Line], drafts: Mapping[UUID, UUID] | None = None
) -> dict[UUID, Origin]:
    """The origins of lines by invoice; `drafts` are contracts by the id of a draft, which has no row. Empty without any."""
    wanted = {line.origin.invoice_id for line in lines if line.origin is not None}
    return await origins_of(session, wanted, drafts) if wanted else {}


async def origins_of(
    session: AsyncSession, invoice_ids: Collection[UUID], drafts: Mapping[UUID, UUID] | None = None
) -> dict[UUID, Origin]:
    """The origins behind some invoices, by id."""
    rows = await session.execute(select(Invoice.id, Invoice.contract_id).where(col(Invoice.id).in_(invoice_ids)))
    contracts = {**(drafts or {}), **{invoice_id: contract_id for invoice_id, contract_id in rows}}  # noqa: C416
    named = await session.execute(
        select(Contract.id, Contract.name, Customer.id, Customer.name)
        .join(Customer, col(Customer.id) == Contract.customer_id)
        .where(col(Contract.id).in_(set(contracts.values())))
    )
    by_contract = {row[0]: row for row in named}
    return {invoice_id: Origin(invoice_id, *by_contract[contract_id]) for invoice_id, contract_id in contracts.items()}
