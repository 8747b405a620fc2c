"""What callers send to change or take out what a contract has.

Owns the GraphQL inputs and their way to the service; the rules are in `edited_parts.py` and below.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from app.checks import Path
from app.contracts.api_charge_inputs import ScheduleItemInput
from app.contracts.api_recurring_changes import RecurringBalanceUpdateInput, changes_of
from app.core.fees import ScheduledItem
from app.grants.api import balance_id
from app.grants.api_edits import BalanceUpdateInput, edit_of
from app.grants.api_payments import RecurringScheduleInput, schedule_of
from app.invoices.charge_edits import ChargeChange
from app.invoices.edited_parts import BalanceChange, PartChange, PartsEdit
from app.store import ids


@strawberry.input(description="Changes of one commit or credit: what is left out stays, null takes away.")
class ContractBalanceUpdateInput(BalanceUpdateInput):
    id: strawberry.ID = strawberry.field(description="A balance of the contract, or of its customer as a whole.")


@strawberry.input(description="Changes of what one recurring balance is still to make.")
class ContractRecurringBalanceUpdateInput(RecurringBalanceUpdateInput):
    id: strawberry.ID = strawberry.field(description="A recurring balance of the contract.")


@strawberry.input(
    description="Another schedule for a charge, as a whole: give items or a recurring schedule, one of the two. Instalments "
    "on final invoices are named as they were; one that moves to the date of a final invoice gets a further invoice."
)
class ScheduledChargeUpdateInput:
    id: strawberry.ID = strawberry.field(description="A scheduled charge of the contract.")
    items: list[ScheduleItemInput] = strawberry.field(default_factory=list, description="Its dates, at most 500.")
    recurring: RecurringScheduleInput | None = strawberry.field(default=None, description="How it recurs.")


@strawberry.input(
    description="Changes of one subscription: what is left out stays. Its quantity has updates of its own."
)
class ContractSubscriptionUpdateInput:
    id: strawberry.ID = strawberry.field(description="A subscription of the contract.")
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description="What people call it, 1 to 200 characters; null: nothing."
    )
    ending_before: datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description="Its end, a full hour after the start of the last period whose fee is final; null: with the contract.",
    )


@strawberry.input
class ContractPartsInput:
    archive_scheduled_charges: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="Charges that ask for nothing more, at most 100; final invoices with them are voided first.",
    )
    archive_balances: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="Commits and credits that pay nothing more, at most 100; final invoices that name them are voided first.",
    )
    update_scheduled_charges: list[ScheduledChargeUpdateInput] = strawberry.field(
        default_factory=list, description="Charges that get another schedule, at most 100."
    )
    update_subscriptions: list[ContractSubscriptionUpdateInput] = strawberry.field(
        default_factory=list, description="Subscriptions that end otherwise or are renamed, at most 100."
    )
    update_recurring_balances: list[ContractRecurringBalanceUpdateInput] = strawberry.field(
        default_factory=list, description="Changes of recurring balances, at most 100; what has begun stays as it is."
    )
    update_balances: list[ContractBalanceUpdateInput] = strawberry.field(
        default_factory=list, description="Changes of commits and credits, at most 100."
    )


def parts_of(found: ContractPartsInput) -> PartsEdit:
    """What goes and what changes, as the service takes it."""
    return PartsEdit(
        archive_charges=_ids(
            "scheduled_charge", found.archive_scheduled_charges, path=_path("archiveScheduledCharges")
        ),
        archive_balances=[
            balance_id(text, path=(*_path("archiveBalances"), str(index)))
            for index, text in enumerate(found.archive_balances)
        ],
        charges=[
            _charge(item, path=(*_path("updateScheduledCharges"), str(index)))
            for index, item in enumerate(found.update_scheduled_charges)
        ],
        subscriptions=[
            PartChange(
                ids.from_text("subscription", item.id, path=(*_path("updateSubscriptions"), str(index), "id")),
                _given(item, "name", "ending_before"),
            )
            for index, item in enumerate(found.update_subscriptions)
        ],
        recurring=[
            _recurring(item, path=(*_path("updateRecurringBalances"), str(index)))
            for index, item in enumerate(found.update_recurring_balances)
        ],
        balances=[
            _balance(item, path=(*_path("updateBalances"), str(index)))
            for index, item in enumerate(found.update_balances)
        ],
    )


def _path(name: str) -> Path:
    return ("input", name)


def _ids(kind: str, texts: Sequence[str], *, path: Path) -> list[UUID]:
    return [ids.from_text(kind, text, path=(*path, str(index))) for index, text in enumerate(texts)]


def _given(found: object, *names: str) -> dict[str, Any]:
    """The fields that the caller sent, null among them."""
    return {name: getattr(found, name) for name in names if getattr(found, name) is not strawberry.UNSET}


def _charge(found: ScheduledChargeUpdateInput, *, path: Path) -> ChargeChange:
    return ChargeChange(
        ids.from_text("scheduled_charge", found.id, path=(*path, "id")),
        [ScheduledItem(item.at, item.unit_price, item.quantity) for item in found.items],
        None if found.recurring is None else schedule_of(found.recurring, path=(*path, "recurring")),
    )


def _recurring(found: ContractRecurringBalanceUpdateInput, *, path: Path) -> PartChange:
    recurring_id = ids.from_text("recurring_grant", found.id, path=(*path, "id"))
    return PartChange(recurring_id, changes_of(found, path=path))


def _balance(found: ContractBalanceUpdateInput, *, path: Path) -> BalanceChange:
    return BalanceChange(balance_id(found.id, path=(*path, "id")), edit_of(found, path=path))
