"""The own terms of a contract, edited: what is added, removed and changed of them at once.

Owns the order of the parts, and that an addition meets the rules of a create. Balances and the end of the contract, in
which final invoices have a say, are edited above, in the invoices slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path, at_most, beneath
from app.contracts import collecting, overrides, placement, quantities, tables
from app.contracts.own_terms import OwnTerms, insert_own_terms
from app.core.money import canonical
from app.errors import NotFound
from app.grants.definitions import billed_in
from app.providers import ProviderDirectory
from app.store.ids import to_text

MAX_UPDATES = 100
ADD = ("input", "add")


@dataclass(frozen=True, slots=True)
class QuantityEdit:
    """A change of a subscription's quantity; the subscription may come with the same edit."""

    subscription_id: UUID
    starting_at: datetime
    quantity: Decimal | None = None
    delta: Decimal | None = None
    uniqueness_key: str | None = None


@dataclass(frozen=True, slots=True)
class TermsEdit:
    """What is added to the terms, which overrides go, and how quantities change; every list in the order of the request.

    `add` has no transition and no custom fields, and what it says for a whole contract is not read.
    """

    add: OwnTerms = field(default_factory=OwnTerms)
    remove_overrides: Sequence[UUID] = ()
    quantity_updates: Sequence[QuantityEdit] = ()


async def edit_terms(
    session: AsyncSession, directory: ProviderDirectory, contract: tables.Contract, edit: TermsEdit, *, now: datetime
) -> dict[str, object]:
    """Carry out the edit on a contract whose customer's lock is held; gives what the history says of it.

    Overrides go before others come, and quantities change last. Errors: those of `insert_own_terms`, `remove_overrides`
    and `update_quantity`, CURRENCY_MISMATCH for what the contract's provider does not take; `LimitExceeded` above 100
    quantities.
    """
    at_most(edit.quantity_updates, MAX_UPDATES, path=("input", "quantityUpdates"))
    await overrides.remove_overrides(
        session, contract, edit.remove_overrides, path=("input", "removeOverrides"), now=now
    )
    for path, unit in _billed(edit.add):
        await placement.check_routes(session, directory, contract, path=path, more_currencies=[unit], now=now)
    stored = await insert_own_terms(session, contract, edit.add, path=ADD, now=now)
    await collecting.check_collecting(session, directory, contract, path=ADD, since=now)
    for index, entry in enumerate(edit.quantity_updates):
        await _change_quantity(session, contract, entry, path=("input", "quantityUpdates", str(index)), now=now)
    parts: dict[str, object] = {
        "added": stored.named(),
        "removedOverrides": [to_text("override", identifier) for identifier in edit.remove_overrides],
        "quantities": [_shown(entry) for entry in edit.quantity_updates],
    }
    return {name: part for name, part in parts.items() if part}


def _billed(add: OwnTerms) -> Iterator[tuple[Path, str]]:
    """The currencies that additions bring, each with the first place that names it."""
    found: list[tuple[Path, str | None]] = [
        *(
            ((*ADD, "scheduledCharges", str(index), "currency"), charge.unit)
            for index, charge in enumerate(add.fees.charges)
        ),
        *(((*ADD, "balances", str(index), "payment"), billed_in(grant)) for index, grant in enumerate(add.grants)),
        *(
            ((*ADD, "recurringBalances", str(index), "invoiceAmount"), item.currency)
            for index, item in enumerate(add.recurring)
        ),
    ]
    seen: set[str] = set()
    for path, unit in found:
        if unit is not None and unit not in seen:
            seen.add(unit)
            yield path, unit


async def _change_quantity(
    session: AsyncSession, contract: tables.Contract, entry: QuantityEdit, *, path: Path, now: datetime
) -> None:
    row = await session.get(tables.SubscriptionRow, entry.subscription_id)
    if row is None or row.contract_id != contract.id:
        raise NotFound("Subscription", to_text("subscription", entry.subscription_id), path=(*path, "subscriptionId"))
    with beneath(path, identifier="subscriptionId"):
        await quantities.update_quantity(
            session, entry.subscription_id, starting_at=entry.starting_at, quantity=entry.quantity, delta=entry.delta,
            uniqueness_key=entry.uniqueness_key, now=now,
        )  # fmt: skip


def _shown(entry: QuantityEdit) -> dict[str, object]:
    change = {"quantity": entry.quantity, "delta": entry.delta}
    return {
        "subscription": to_text("subscription", entry.subscription_id),
        "startingAt": entry.starting_at.isoformat(),
        **{name: canonical(value) for name, value in change.items() if value is not None},
    }
