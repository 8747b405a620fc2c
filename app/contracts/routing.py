"""Choice of the provider over time: from the next statement of a contract on, or from the one that runs.

Owns the rules of semantics 7.1 for such an update. Which choice an invoice follows is worked out in `core/routing.py` and
read in `customers/routes.py`; what is final already goes where it was meant to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.checks import Path
from app.contracts import collecting, placement
from app.contracts.tables import BillingConfigurationUpdateRow, Contract
from app.contracts.terms import contract_period, schedule_of
from app.core.hierarchy import Payer
from app.core.routing import MAX_CHOICES, EffectiveAt, change_bound
from app.customers import routes
from app.errors import ErrorCode, InvalidInput, InvalidState, LimitExceeded
from app.providers import ProviderDirectory
from app.store.ids import to_text


@dataclass(frozen=True, slots=True)
class RouteUpdate:
    """Where a contract's invoices go from the start of a period on; without a configuration by the customer's default."""

    configuration_id: UUID | None
    effective: EffectiveAt


async def update_route(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    update: RouteUpdate,
    *,
    path: Path,
    now: datetime,
) -> BillingConfigurationUpdateRow:
    """Let another configuration cover the contract's periods from a bound on; an update of the same bound is replaced.

    The caller holds the customer's lock. Errors: those of `check_route` and `check_collecting`, INVALID where the parent
    pays, INVALID_INTERVAL when the contract has no such period, ILLEGAL_TRANSITION for a marketplace in the period that
    runs, `LimitExceeded` above ten choices.
    """
    chosen_path = (*path, "billingConfigurationId")
    if contract.payer == Payer.PARENT and contract.parent_id is not None:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"The parent pays for the contract; update the configuration of {to_text('contract', contract.parent_id)}.",
            path=path,
        )
    bound = _bound(contract, update.effective, path=(*path, "effectiveAt"), now=now)
    await placement.check_route(
        session, directory, contract, configuration_id=update.configuration_id, path=chosen_path
    )
    if bound <= now:
        await _refuse_marketplaces(session, directory, contract, update, bound, path=(*path, "effectiveAt"))
    found = await session.scalars(
        select(BillingConfigurationUpdateRow).where(BillingConfigurationUpdateRow.contract_id == contract.id)
    )
    stored = {row.starting_at: row for row in found}
    row = stored.get(bound)
    if row is None:
        if len(stored) + 1 >= MAX_CHOICES:
            raise LimitExceeded(
                ErrorCode.LIMIT_EXCEEDED,
                f"A contract changes its billing configuration {MAX_CHOICES - 1} times at most; replace a coming change, or "
                "make a new contract.",
                path=path,
            )
        row = BillingConfigurationUpdateRow(created_at=now, contract_id=contract.id, starting_at=bound)
        session.add(row)
    row.billing_configuration_id = update.configuration_id
    await session.flush()
    await collecting.check_collecting(session, directory, contract, path=chosen_path, since=now)
    return row


def shown_update(row: BillingConfigurationUpdateRow) -> dict[str, object]:
    """What the audit log keeps of an update."""
    chosen = row.billing_configuration_id
    return {
        "startingAt": row.starting_at.astimezone(UTC).isoformat(),
        "billingConfiguration": None if chosen is None else to_text("billing_configuration", chosen),
    }


async def refuse_over_time(session: AsyncSession, contract: Contract, *, path: Path) -> None:
    """A choice for all that is open would move periods that updates have settled already. Error: ILLEGAL_TRANSITION."""
    choices = (await routes.choices_of(session, [contract]))[contract.id]
    if len(choices) > 1:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            "The contract's billing configuration changes over time; say from which period on: contractEdit, "
            "addBillingConfigurationUpdate.",
            path=path,
            conflicting=contract,
        )


async def refuse_move_within_a_statement(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    configuration_id: UUID | None,
    *,
    path: Path,
    now: datetime,
) -> None:
    """A contract that has begun comes to a marketplace, and leaves it, with a period only. Error: ILLEGAL_TRANSITION.

    One that went nowhere may begin with any.
    """
    if contract.payer == Payer.PARENT or now < contract.starting_at:
        return
    default = await routes.default_configuration(session, contract.customer_id)

    async def resolved(chosen: UUID | None) -> routes.BillingConfiguration | None:
        return default if chosen is None else await routes.get_configuration(session, chosen, path=path)

    before, after = await resolved(contract.billing_configuration_id), await resolved(configuration_id)
    if before is None or before == after:
        return
    _refuse_metered(directory, before, after, path=path, remedy="Let it move with its next statement: contractEdit, "
                    "addBillingConfigurationUpdate, START_OF_NEXT_PERIOD.")  # fmt: skip


def _bound(contract: Contract, effective: EffectiveAt, *, path: Path, now: datetime) -> datetime:
    bound = change_bound(effective, schedule_of(contract), contract=contract_period(contract), now=now)
    if bound is None:
        end = contract.ending_before
        assert end is not None, "a contract without end has a next period"
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The contract ends at {end.isoformat()} and has no such period; let it end later first, or choose "
            "START_OF_CURRENT_PERIOD while it runs.",
            path=path,
        )
    return bound


async def _refuse_marketplaces(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    update: RouteUpdate,
    bound: datetime,
    *,
    path: Path,
) -> None:
    """A marketplace has been sent hours of the period that runs, or would be sent those that lie behind it."""
    after = await routes.get_configuration(session, update.configuration_id) if update.configuration_id else None
    if after is None:
        after = await routes.default_configuration(session, contract.customer_id)
    [before] = await routes.paying_configurations(session, [(contract, bound)])
    _refuse_metered(directory, before, after, path=path, remedy="Choose START_OF_NEXT_PERIOD.")


def _refuse_metered(
    directory: ProviderDirectory, *involved: routes.BillingConfiguration | None, path: Path, remedy: str
) -> None:
    for configuration in involved:
        if configuration is not None and directory.is_metered(configuration.provider):
            raise InvalidState(
                ErrorCode.ILLEGAL_TRANSITION,
                f"{configuration.provider} is sent usage by the hour, so a contract comes to it and leaves it with a period "
                f"only. {remedy}",
                path=path,
                conflicting=configuration,
            )
