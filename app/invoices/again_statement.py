"""What an invoice is for when it is made again: its period or date, one regeneration later, and its fees and charges.

Owns what is left of it when the contract has changed meanwhile, and that what it carried comes back with it (golden
decision 43).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app.contracts.tables import Contract
from app.contracts.terms import contract_period
from app.core import invoice as core
from app.core.items import DueItem, items_due
from app.core.lines import Line, LineType
from app.core.period import Period
from app.core.placement import ScheduledDate, place
from app.core.terms import Terms
from app.invoices import statements
from app.invoices.tables import Invoice

DAY = timedelta(days=1)


def statement_again(
    invoice: Invoice,
    contract: Contract,
    terms: Terms,
    lines: Sequence[Line],
    keys: Collection[object],
    *,
    now: datetime,
) -> statements.Statement | None:
    """What the invoice is for, one regeneration later, issued now; None when nothing of it is left."""
    regeneration = invoice.regeneration + 1
    if invoice.type == core.InvoiceType.USAGE:
        assert invoice.ending_before is not None, "a statement has an end"
        period = Period(invoice.starting_at, invoice.ending_before).intersect(contract_period(contract))
        if period is None:
            return None
        items = _items(terms, keys, period, now=now)
        made = statements.usage_statement(contract, period, items=items, regeneration=regeneration)
    elif invoice.type == core.InvoiceType.SCHEDULED:
        items = [item for item in items_due(terms, until=now) if item.key in keys]
        if not items:
            return None
        date = ScheduledDate(invoice.starting_at, invoice.currency, invoice.ordinal, invoice.purchase_of)
        made = statements.scheduled_invoice(contract, date, items=items, regeneration=regeneration)
    else:
        [grant_id] = [line.grant_id for line in lines if line.type is LineType.TRUEUP]
        identifier = core.invoice_id(
            contract_id=contract.id, invoice_type=core.InvoiceType.TRUEUP, starting_at=invoice.starting_at,
            regeneration=regeneration, unit=f"{invoice.currency}:{grant_id}",
        )  # fmt: skip
        made = statements.Statement(
            identifier, contract, core.InvoiceType.TRUEUP, Period(invoice.starting_at), invoice.currency, now,
            invoice.ordinal, regeneration, grant_id=grant_id,
        )  # fmt: skip
    return replace(made, due_at=now)


def _items(terms: Terms, keys: Collection[object], period: Period, *, now: datetime) -> list[DueItem]:
    """The fees and charges of a usage statement: those that belong there, and those that it carried."""
    assert period.ending_before is not None, "a statement has an end"
    placed = place(
        items_due(terms, until=max(now, period.ending_before + DAY)), unit=terms.unit.code, statements=[period],
        final=(), waiting=(), scheduled={}, now=now,
    )  # fmt: skip
    alone = (item for date, items in placed.alone.items() if date.unit == terms.unit.code for item in items)
    return [*placed.on_statements.get(period.starting_at, ()), *(item for item in alone if item.key in keys)]
