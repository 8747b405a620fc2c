"""What a contract has, changed or taken out as a part of its edit: charges, subscriptions, balances, recurring ones.

Owns that each belongs to the contract, and the way of an error to its entry; what a change may be is settled where each
kind is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path, at_most, beneath
from app.contracts import recurring_changes, subscription_ends
from app.contracts.tables import Contract, SubscriptionRow
from app.errors import NotFound
from app.grants.editing import GrantEdit
from app.grants.tables import GrantRow, RecurringGrantRow
from app.invoices import balance_edits, charge_edits
from app.providers import ProviderDirectory
from app.store import ids

MAX_CHANGES = 100


class BalanceChange(NamedTuple):
    """A commit or credit of the contract, or of its customer as a whole, and what changes of it."""

    id: UUID
    edit: GrantEdit


class PartChange(NamedTuple):
    """A subscription or recurring balance of the contract, and what changes of it by name."""

    id: UUID
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PartsEdit:
    """What goes and what changes, each list in the order of the request and of at most 100 entries."""

    archive_charges: Sequence[UUID] = ()
    archive_balances: Sequence[UUID] = ()
    charges: Sequence[charge_edits.ChargeChange] = ()
    subscriptions: Sequence[PartChange] = ()
    recurring: Sequence[PartChange] = ()
    balances: Sequence[BalanceChange] = ()

    def counted(self) -> dict[str, object]:
        """How many of each, for the audit log; what there is none of is left out."""
        counts = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        return {name: count for name, count in counts.items() if count}


async def take_out(session: AsyncSession, contract: Contract, edit: PartsEdit, *, now: datetime) -> None:
    """Archive charges and balances. Errors: `NotFound`, those of `archive_charge` and `archive_balance`."""
    for path, charge_id in _entries(edit.archive_charges, "archiveScheduledCharges"):
        await charge_edits.archive_charge(session, contract, charge_id, path=path, now=now)
    for path, grant_id in _entries(edit.archive_balances, "archiveBalances"):
        await _find(session, GrantRow, grant_id, _is_balance_of(contract), "credit", path=path)
        with beneath(path[:-1], identifier=path[-1]):
            await balance_edits.archive_balance(session, grant_id, now=now)


async def change(
    session: AsyncSession, directory: ProviderDirectory, contract: Contract, edit: PartsEdit, *, now: datetime
) -> None:
    """Change charges, subscriptions, recurring balances and balances, in this order.

    Errors: `NotFound` for what is another contract's, those of `update_charge`, `update_subscription`, `update_recurring`
    and `update_balance`.
    """
    for path, charge in _entries(edit.charges, "updateScheduledCharges"):
        await charge_edits.update_charge(session, contract, charge, path=path)
    for path, item in _entries(edit.subscriptions, "updateSubscriptions"):
        await _find(session, SubscriptionRow, item.id, _is_of(contract), "subscription", path=(*path, "id"))
        with beneath(path):
            await subscription_ends.update_subscription(session, item.id, item.changes, now=now)
    for path, item in _entries(edit.recurring, "updateRecurringBalances"):
        await _find(session, RecurringGrantRow, item.id, _is_of(contract), "recurring_grant", path=(*path, "id"))
        with beneath(path):
            await recurring_changes.update_recurring(session, item.id, item.changes, now=now)
    for path, balance in _entries(edit.balances, "updateBalances"):
        await _find(session, GrantRow, balance.id, _is_balance_of(contract), "credit", path=(*path, "id"))
        with beneath(path):
            await balance_edits.update_balance(session, directory, balance.id, balance.edit, now=now)


def _entries(items: Sequence[Any], name: str) -> list[tuple[Path, Any]]:
    at_most(items, MAX_CHANGES, path=("input", name))
    return [(("input", name, str(index)), item) for index, item in enumerate(items)]


async def _find(
    session: AsyncSession, row_class: type, identifier: UUID, holds: Callable[[Any], bool], kind: str, *, path: Path
) -> None:
    row = await session.get(row_class, identifier)
    if row is None or not holds(row):
        raise NotFound(kind.replace("_", " ").capitalize(), ids.to_text(kind, identifier), path=path)


def _is_of(contract: Contract) -> Callable[[Any], bool]:
    return lambda row: row.contract_id == contract.id


def _is_balance_of(contract: Contract) -> Callable[[Any], bool]:
    return lambda row: row.customer_id == contract.customer_id and row.contract_id in (None, contract.id)
