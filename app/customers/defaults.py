"""What may become a customer's default: it suits every contract that leaves its choice to it, now or later.

Owns those refusals. Which configuration is the default, and what it covers, is read in `routes.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select

from app.checks import Path
from app.contracts.tables import BillingConfigurationUpdateRow, Contract
from app.core import hierarchy, invoice, period, routing
from app.customers.routes import choices_of, default_configuration, no_marketplace
from app.errors import ErrorCode, InvalidState
from app.invoices.tables import Invoice
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
            or_(col(Contract.payer) == hierarchy.Payer.SELF, col(Contract.consolidation).is_not(None), has_children),
        )
        .order_by(col(Contract.id))
        .limit(1)
    )
    contract = node.first()
    if contract is not None:
        raise no_marketplace(contract, provider, path=path)


async def refuse_move_within_a_statement(
    session: AsyncSession,
    directory: ProviderDirectory,
    customer_id: UUID,
    *,
    to_provider: str | None,
    path: Path,
    now: datetime,
) -> None:
    """No contract comes to a marketplace, or leaves it, by another default while a statement of it is open (semantics 7.1).

    What was metered would be billed again elsewhere, or hours of the past would be sent in one. A first default is no move.
    Error: ILLEGAL_TRANSITION naming a contract whose open statements would move.
    """
    earlier = await default_configuration(session, customer_id)
    if earlier is None:
        return
    metered = [name for name in (earlier.provider, to_provider) if name is not None and directory.is_metered(name)]
    if not metered:
        return
    following = select(Contract).where(
        Contract.customer_id == customer_id, col(Contract.archived_at).is_(None), FOLLOWS_DEFAULT
    )
    contracts = (await session.scalars(following.order_by(col(Contract.id)))).all()
    choices = await choices_of(session, contracts)
    for contract in contracts:
        end = None if contract.ending_before is None else contract.ending_before.astimezone(UTC)
        whole = period.Period(contract.starting_at.astimezone(UTC), end)
        for covered, choice in routing.segments(choices[contract.id], contract=whole):
            is_begun = choice.configuration_id is None and covered.starting_at <= now
            if is_begun and not await _is_billed(session, contract, until=covered.ending_before):
                raise InvalidState(
                    ErrorCode.ILLEGAL_TRANSITION,
                    f"{metered[0]} is sent usage by the hour, and contract {to_text('contract', contract.id)} follows the "
                    "default within an open statement. Let it keep its way first (contractSetBillingConfiguration with "
                    f"{to_text('billing_configuration', earlier.id)}), then move it with its next statement: contractEdit, "
                    "addBillingConfigurationUpdate, START_OF_NEXT_PERIOD.",
                    path=path,
                    conflicting=contract,
                )


async def _is_billed(session: AsyncSession, contract: Contract, *, until: datetime | None) -> bool:
    """Whether the statement that ends then is final: one that is due, and that no run has got to, still goes by the default."""
    if until is None:
        return False
    if contract.generate_from is not None and contract.generate_from >= until:
        return True
    final = select(Invoice.id).where(
        Invoice.contract_id == contract.id, Invoice.type == invoice.InvoiceType.USAGE, Invoice.ending_before == until
    )
    return (await session.scalars(final.limit(1))).first() is not None


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
