"""What may become a customer's default: it suits every contract that leaves its choice to it, now or later.

Owns those two refusals. Which configuration is the default, and what it covers, is read in `routes.py`.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select

from app.checks import Path
from app.contracts.tables import BillingConfigurationUpdateRow, Contract
from app.core.hierarchy import Payer
from app.customers.routes import no_marketplace
from app.errors import ErrorCode, InvalidState
from app.providers import ProviderDirectory
from app.store.ids import to_text

_UPDATES = aliased(BillingConfigurationUpdateRow)
FOLLOWS_DEFAULT = or_(
    col(Contract.billing_configuration_id).is_(None),
    select(_UPDATES.id)
    .where(_UPDATES.contract_id == Contract.id, col(_UPDATES.billing_configuration_id).is_(None))
    .exists(),
)
"""The condition on contracts that leave some time to their customer's default."""


async def refuse_metered_default(session: AsyncSession, customer_id: UUID, provider: str, *, path: Path) -> None:
    """Nothing of a hierarchy is paid through a marketplace, also not by default. Error: NOT_SUPPORTED."""
    child = aliased(Contract)
    has_children = select(child.id).where(child.parent_id == Contract.id, col(child.archived_at).is_(None)).exists()
    node = await session.scalars(
        select(Contract)
        .where(
            Contract.customer_id == customer_id,
            col(Contract.archived_at).is_(None),
            FOLLOWS_DEFAULT,
            or_(col(Contract.payer) == Payer.SELF, col(Contract.consolidation).is_not(None), has_children),
        )
        .order_by(col(Contract.id))
        .limit(1)
    )
    contract = node.first()
    if contract is not None:
        raise no_marketplace(contract, provider, path=path)


async def refuse_other_currencies(
    session: AsyncSession, directory: ProviderDirectory, customer_id: UUID, provider: str, *, path: Path
) -> None:
    """A default takes the currencies of the contracts that follow it. Error: CURRENCY_MISMATCH naming one that it does not."""
    following = select(Contract).where(
        Contract.customer_id == customer_id, col(Contract.archived_at).is_(None), FOLLOWS_DEFAULT
    )
    for contract in (await session.scalars(following.order_by(col(Contract.id)))).all():
        if not directory.takes_currency(provider, contract.currency):
            raise InvalidState(
                ErrorCode.CURRENCY_MISMATCH,
                f"{provider} takes no invoices in {contract.currency}, and contract {to_text('contract', contract.id)} follows "
                "the default; choose a configuration for that contract first.",
                path=path,
                conflicting=contract,
            )
