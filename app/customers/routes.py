"""Which way a customer's invoices go: its billing configurations as they stand, and what holds them in place.

Owns reading a configuration and the rule that nothing leaves one through which usage was metered. Making and archiving
them is in `billing.py`.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select

from app.checks import Path
from app.contracts.tables import Contract
from app.core.hierarchy import Payer
from app.customers.tables import BillingConfiguration
from app.delivery.tables import MeteringSlot
from app.errors import ErrorCode, InvalidState, NotFound
from app.store.ids import to_text


async def refuse_if_metered(session: AsyncSession, row: BillingConfiguration, *, path: Path) -> None:
    """What was metered through a configuration stays billed there: nothing may leave it while a statement is open.

    The whole invoice would go to the next provider, and the part that the first one billed would be paid twice.
    Changes at the bound of a statement come with scheduled routes.
    """
    metered = await session.execute(
        select(MeteringSlot.id)
        .where(MeteringSlot.billing_configuration_id == row.id, MeteringSlot.status != "REFUSED")
        .limit(1)
    )
    if metered.scalar_one_or_none() is not None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            f"Usage was metered through {to_text('billing_configuration', row.id)} already; moving to another provider "
            "in the middle of a statement would bill it twice. End the contract and make a new one there.",
            path=path,
            conflicting=row,
        )


async def refuse_if_named(session: AsyncSession, row: BillingConfiguration, *, path: Path) -> None:
    """A configuration that a contract names stays: falling back to another one could bill it in the wrong place."""
    naming = select(Contract).where(Contract.billing_configuration_id == row.id, col(Contract.archived_at).is_(None))
    contract = (await session.execute(naming.order_by(col(Contract.id)).limit(1))).scalar_one_or_none()
    if contract is not None:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            f"Contract {to_text('contract', contract.id)} is billed through it; choose another one for it first.",
            path=path,
            conflicting=contract,
        )


async def get_configuration(
    session: AsyncSession, configuration_id: UUID, *, path: Path = ("id",)
) -> BillingConfiguration:
    """The configuration; `NotFound` when there is none."""
    row = await session.get(BillingConfiguration, configuration_id)
    if row is None:
        raise NotFound("Billing configuration", to_text("billing_configuration", configuration_id), path=path)
    return row


async def paying_configuration(session: AsyncSession, contract: Contract) -> BillingConfiguration | None:
    """Where the invoices of a contract go: its own choice, else its customer's default; of a child that its parent pays
    for, where those of the parent go."""
    payer = contract
    if contract.payer == Payer.PARENT:
        payer = await session.get_one(Contract, contract.parent_id)
    if payer.billing_configuration_id is not None:
        return await get_configuration(session, payer.billing_configuration_id)
    return await default_configuration(session, payer.customer_id)


async def refuse_metered_default(session: AsyncSession, customer_id: UUID, provider: str, *, path: Path) -> None:
    """Nothing of a hierarchy is paid through a marketplace, also not by default. Error: NOT_SUPPORTED."""
    child = aliased(Contract)
    has_children = select(child.id).where(child.parent_id == Contract.id, col(child.archived_at).is_(None)).exists()
    node = await session.scalars(
        select(Contract)
        .where(
            Contract.customer_id == customer_id,
            col(Contract.archived_at).is_(None),
            col(Contract.billing_configuration_id).is_(None),
            or_(col(Contract.payer) == Payer.SELF, col(Contract.consolidation).is_not(None), has_children),
        )
        .order_by(col(Contract.id))
        .limit(1)
    )
    contract = node.first()
    if contract is not None:
        raise no_marketplace(contract, provider, path=path)


def no_marketplace(contract: Contract, provider: str, *, path: Path) -> InvalidState:
    """The refusal of a marketplace for a contract of a hierarchy."""
    return InvalidState(
        ErrorCode.NOT_SUPPORTED,
        f"Contract {to_text('contract', contract.id)} is part of a hierarchy, and {provider} is sent usage by the hour, "
        "which hierarchies are not billed by. Give the contract a configuration that takes invoices, such as stripe.",
        path=path,
        conflicting=contract,
    )


async def default_configuration(session: AsyncSession, customer_id: UUID) -> BillingConfiguration | None:
    """The customer's default, if it has one."""
    found = await session.execute(
        select(BillingConfiguration).where(
            BillingConfiguration.customer_id == customer_id,
            col(BillingConfiguration.is_default),
            col(BillingConfiguration.archived_at).is_(None),
        )
    )
    return found.scalar_one_or_none()
