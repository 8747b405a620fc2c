"""Open invoices: what each is for, when it is due, and the id that it will have.

Owns the value and its making; which of them are open is told by `open.py`, what they say by `drafts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from app.contracts.tables import Contract
from app.core.invoice import InvoiceType, due_at, invoice_id, scheduled_due_at
from app.core.items import DueItem
from app.core.period import Period
from app.core.placement import ScheduledDate


@dataclass(frozen=True, slots=True)
class Constituent:
    """A statement that goes out with others: the id of the invoice or draft, and whose it is."""

    invoice_id: UUID
    contract: Contract
    is_final: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """An open invoice: a usage statement that has begun, a scheduled invoice or a true-up. `id` becomes the invoice's id.

    Of the latter two the period has no end: its start is the date. `items` are the fees and charges on it. A true-up is
    that of the commit `grant_id`, and waits for the statements of contracts up to an instant, by contract. With
    `purchase_of` a scheduled invoice bills what is paid for that commit alone. A consolidated one is made of its
    `constituents`, in order, and waits for all of them.
    """

    id: UUID
    contract: Contract
    type: InvoiceType
    period: Period
    currency: str
    due_at: datetime
    ordinal: int = 0
    regeneration: int = 0
    items: Sequence[DueItem] = ()
    grant_id: UUID | None = None
    waits_for: Mapping[UUID, datetime] = field(default_factory=dict[UUID, datetime])
    purchase_of: UUID | None = None
    constituents: Sequence[Constituent] = ()


def usage_statement(
    contract: Contract, period: Period, *, items: Sequence[DueItem] = (), regeneration: int = 0
) -> Statement:
    """The statement of one period, with the id that is derived from it."""
    identifier = invoice_id(
        contract_id=contract.id,
        invoice_type=InvoiceType.USAGE,
        starting_at=period.starting_at,
        regeneration=regeneration,
    )
    due = usage_due_at(contract, period)
    return Statement(identifier, contract, InvoiceType.USAGE, period, contract.currency, due, 0, regeneration, items)


def usage_due_at(contract: Contract, period: Period) -> datetime:
    """When the statement of a period falls due: its end, and the contract's grace."""
    return due_at(period, timedelta(hours=contract.grace_hours))


def consolidated_statement(
    parent: Contract,
    period: Period,
    constituents: Sequence[Constituent],
    *,
    due: datetime,
    regeneration: int = 0,
) -> Statement:
    """What a parent's statement of one period and those of its children are put together to."""
    identifier = invoice_id(
        contract_id=parent.id,
        invoice_type=InvoiceType.USAGE_CONSOLIDATED,
        starting_at=period.starting_at,
        regeneration=regeneration,
    )
    return Statement(
        identifier, parent, InvoiceType.USAGE_CONSOLIDATED, period, parent.currency, due, 0, regeneration,
        constituents=constituents,
    )  # fmt: skip


def scheduled_invoice(
    contract: Contract, date: ScheduledDate, *, items: Sequence[DueItem], regeneration: int = 0
) -> Statement:
    """The scheduled invoice of one instant and unit, with the id that is derived from them.

    One that asks for a commit alone is not held back for corrections: somebody waits for it to be paid.
    """
    identifier = invoice_id(
        contract_id=contract.id,
        invoice_type=InvoiceType.SCHEDULED,
        starting_at=date.at,
        regeneration=regeneration,
        unit=date.unit if date.purchase_of is None else f"{date.unit}:{date.purchase_of}",
        ordinal=date.ordinal,
    )
    due = date.at if date.purchase_of else scheduled_due_at(date.at, created_at=contract.created_at)
    return Statement(
        identifier, contract, InvoiceType.SCHEDULED, Period(date.at), date.unit, due, date.ordinal, regeneration,
        items, purchase_of=date.purchase_of,
    )  # fmt: skip


_RANK = {InvoiceType.SCHEDULED: 0, InvoiceType.USAGE: 1, InvoiceType.TRUEUP: 2, InvoiceType.USAGE_CONSOLIDATED: 3}


def order_of(item: Statement) -> tuple[object, ...]:
    """The order in which open invoices become final (golden decision 25); what is missing of a commit comes last."""
    contract = item.contract
    place_of = (contract.priority, contract.starting_at, contract.id)
    return item.due_at, _RANK[item.type], *place_of, item.period.starting_at, item.currency, item.ordinal
