"""Which way a customer's invoices go: its billing configurations as they stand, and what holds them in place.

Owns reading a configuration and which of them covers what. Making and archiving them is in `billing.py`; that no contract
comes to a marketplace or leaves it within a statement is ruled in `defaults.py` and, of contracts, in their `routing.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import and_, col, or_, select

from app.checks import Path
from app.contracts.tables import BillingConfigurationUpdateRow, Contract
from app.core.hierarchy import Payer
from app.core.period import Period
from app.core.routing import Choice, choice_at, choices_from, segments
from app.customers.tables import BillingConfiguration
from app.errors import ErrorCode, InvalidState, NotFound
from app.store.arrays import among
from app.store.ids import to_text


async def refuse_if_named(session: AsyncSession, row: BillingConfiguration, *, path: Path, now: datetime) -> None:
    """A configuration through which a contract is billed now or later stays: falling back to another one could bill it in
    the wrong place. One that was left stays until the statements of its time are due.
    """
    update = aliased(BillingConfigurationUpdateRow)
    is_update = select(update.id).where(update.contract_id == Contract.id, update.billing_configuration_id == row.id)
    naming = select(Contract).where(
        or_(Contract.billing_configuration_id == row.id, is_update.exists()), col(Contract.archived_at).is_(None)
    )
    contracts = (await session.scalars(naming.order_by(col(Contract.id)))).all()
    choices = await choices_of(session, contracts)
    for contract in contracts:
        whole = Period(contract.starting_at.astimezone(UTC), None)
        grace = timedelta(hours=contract.grace_hours)
        for period, choice in segments(choices[contract.id], contract=whole):
            is_over = period.ending_before is not None and period.ending_before + grace <= now
            if choice.configuration_id == row.id and not is_over:
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


async def choices_of(session: AsyncSession, contracts: Collection[Contract]) -> dict[UUID, list[Choice]]:
    """Where the invoices of each contract go over time, as it says itself: its first choice, then its updates."""
    found = {row.id: [Choice(row.starting_at.astimezone(UTC), row.billing_configuration_id)] for row in contracts}
    rows = await session.execute(
        select(BillingConfigurationUpdateRow)
        .where(among(col(BillingConfigurationUpdateRow.contract_id), found))
        .order_by(col(BillingConfigurationUpdateRow.starting_at))
    )
    for row in rows.scalars():
        found[row.contract_id].append(Choice(row.starting_at.astimezone(UTC), row.billing_configuration_id))
    return found


async def paying_configurations(
    session: AsyncSession, asked: Sequence[tuple[Contract, datetime]]
) -> list[BillingConfiguration | None]:
    """Where invoices of contracts go whose service begins at an instant (of scheduled ones: that are dated then).

    That is by the contract's own choice at that time, else by its customer's default; of a child that its parent pays for,
    by those of the parent.
    """
    parent_ids = {contract.parent_id for contract, _ in asked if contract.payer == Payer.PARENT}
    rows = await session.scalars(select(Contract).where(among(col(Contract.id), parent_ids)))
    parents: dict[UUID | None, Contract] = {row.id: row for row in rows}
    payers = [parents[contract.parent_id] if contract.payer == Payer.PARENT else contract for contract, _ in asked]
    choices = await choices_of(session, payers)
    chosen = [choice_at(choices[payer.id], at) for payer, (_, at) in zip(payers, asked, strict=True)]
    return await _resolved(session, list(zip(payers, chosen, strict=True)))


async def routes_from(session: AsyncSession, contract: Contract, since: datetime) -> list[BillingConfiguration | None]:
    """Every way that invoices of a contract go from an instant on, in order of time; None is no way at all."""
    payer = contract
    if contract.payer == Payer.PARENT:
        payer = await session.get_one(Contract, contract.parent_id)
    choices = choices_from((await choices_of(session, [payer]))[payer.id], since)
    return await _resolved(session, [(payer, choice) for choice in choices])


async def _resolved(
    session: AsyncSession, chosen: Sequence[tuple[Contract, Choice]]
) -> list[BillingConfiguration | None]:
    """The configurations that are chosen, and the customers' defaults where none is."""
    named = {choice.configuration_id for _, choice in chosen}
    customers = {contract.customer_id for contract, choice in chosen if choice.configuration_id is None}
    is_default = and_(
        among(col(BillingConfiguration.customer_id), customers),
        col(BillingConfiguration.is_default),
        col(BillingConfiguration.archived_at).is_(None),
    )
    rows = await session.scalars(
        select(BillingConfiguration).where(or_(among(col(BillingConfiguration.id), named - {None}), is_default))
    )
    found = rows.all()
    by_id = {row.id: row for row in found}
    defaults = {row.customer_id: row for row in found if row.is_default}
    return [
        defaults.get(contract.customer_id) if choice.configuration_id is None else by_id[choice.configuration_id]
        for contract, choice in chosen
    ]


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
