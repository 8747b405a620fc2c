"""Finalization: a draft becomes a fact, in one transaction.

Owns the writing of invoices: the customer's lock, a last rating, lines and inputs frozen, a number without gaps, and
the delivery enqueued. A second finalizer finds the invoice and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.change import note_change
from app.contracts.family import lock_family
from app.contracts.tables import Contract
from app.core.invoice import (
    InvoiceStatus,
    InvoiceTrigger,
    InvoiceType,
    next_status,
)
from app.core.money import canonical
from app.customers.routes import paying_configurations
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.invoices import consolidated, finding, putting_together
from app.invoices.balances import Books
from app.invoices.drafts import RatedStatement
from app.invoices.frozen_fields import fields_of_statements
from app.invoices.inputs import SharedTexts, inputs_columns
from app.invoices.lifetime import count_invoices
from app.invoices.open import open_statements
from app.invoices.outcomes import keep_outcomes
from app.invoices.rollovers import Renewals
from app.invoices.rows import invoice_row, line_columns, transfer_rows
from app.invoices.settling import settle
from app.invoices.statements import Statement, order_of
from app.invoices.tables import Invoice, InvoiceInputs, InvoiceLine
from app.invoices.waiting import waiting_payments, waiting_true_ups
from app.jobs.service import enqueue
from app.store.arrays import among
from app.store.bulk import insert_rows
from app.store.ids import to_text
from app.usage.service import EVENTS

DELIVERIES_JOB = "delivery.open"


@dataclass(frozen=True, slots=True)
class Finalized:
    """An invoice that is final, and whether this call made it so."""

    invoice: Invoice
    is_new: bool


async def finalize_invoice(session: AsyncSession, identifier: UUID, *, now: datetime) -> Finalized:
    """Finalize one invoice by its id, if it is due by now.

    Errors: `NotFound`, `InvalidState` NOT_DUE. An invoice that is final already is returned as it is.
    """
    existing = await session.get(Invoice, identifier)
    if existing is not None:
        return Finalized(existing, is_new=False)
    statement = await finding.find_draft(session, identifier, now=now)
    if statement is None:
        raise NotFound("Invoice", to_text("invoice", identifier), path=("id",))
    if statement.due_at > now:
        raise InvalidState(
            ErrorCode.NOT_DUE,
            f"{_dated(statement)} and is final from {statement.due_at:%Y-%m-%dT%H:%MZ} on.",
            path=("id",),
        )
    return await finalize_statement(session, statement, now=now)


def _dated(statement: Statement) -> str:
    if statement.period.ending_before is None:
        return f"The invoice is dated {statement.period.starting_at:%Y-%m-%dT%H:%MZ}"
    return f"The statement ends at {statement.period.ending_before:%Y-%m-%dT%H:%MZ}, has a grace period"


async def finalize_due(
    session: AsyncSession, contract_ids: Sequence[UUID], *, as_of: datetime, now: datetime
) -> list[Invoice]:
    """Finalize every statement of some contracts that is due by `as_of`, oldest first; gives the new invoices.

    No two of the contracts are of customers of one family, since what becomes final of one may decide what another says.
    A true-up waits until the statements that count towards its commit are final.

    What is due of contracts that these renew goes first. Errors: NOT_DUE when `as_of` lies in the future, since usage
    up to it may still arrive.
    """
    if as_of > now:
        raise InvalidInput(ErrorCode.NOT_DUE, f"asOf {as_of.isoformat()} lies after now; nothing is due then yet.")
    is_one = among(col(Contract.id), contract_ids)
    customers = sorted((await session.execute(select(Contract.customer_id).where(is_one))).scalars())
    await lock_family(session, *customers)
    found = await session.execute(select(Contract).where(is_one).execution_options(populate_existing=True))
    by_id = {one.id: one for one in found.scalars()}
    contracts = [by_id[contract_id] for contract_id in contract_ids]
    await finding.make_children_of(session, *customers, now=now)
    # What rolls over from an old contract is known, and can be drawn, when its last statement is final.
    renewals = await Renewals.of(session, *customers, now=now)
    old = {one.id: renewals.predecessors(one.id) for one in contracts}
    made = await _finalize_due(session, [one for one in contracts if not old[one.id]], as_of=as_of, now=now)
    for contract in contracts:
        for contract_id in (*old[contract.id], contract.id) if old[contract.id] else ():
            made += await _finalize_due(session, [await session.get_one(Contract, contract_id)], as_of=as_of, now=now)
    return made


async def _finalize_due(
    session: AsyncSession, contracts: Sequence[Contract], *, as_of: datetime, now: datetime
) -> list[Invoice]:
    """What is due of these; true-ups come last, since what rolls over is not billed, and what is put together.

    That is made with the last of its constituents, whichever contract it is of.
    """
    made = await _finalize_own(session, contracts, as_of=as_of, now=now)
    return made + await consolidated.finalize_ready(session, contracts, write_invoices, as_of=as_of, now=now)


async def _finalize_own(
    session: AsyncSession, contracts: Sequence[Contract], *, as_of: datetime, now: datetime
) -> list[Invoice]:
    books = Books(session, now=now)
    due = await _due(session, contracts, books, as_of=as_of)
    made = await _finalize(session, [item for item in due if item.type is not InvoiceType.TRUEUP], books)
    await settle(session, *(contract.customer_id for contract in contracts), now=now)
    with_true_ups = {item.contract.id: item.contract for item in due if item.type is InvoiceType.TRUEUP}
    if not with_true_ups:
        return made
    # Of what has rolled over nothing may be missing any more.
    books = Books(session, now=now)
    again = await _due(session, list(with_true_ups.values()), books, as_of=as_of)
    true_ups = [item for item in again if item.type is InvoiceType.TRUEUP]
    waiting = await waiting_true_ups(session, true_ups, now=as_of)
    return made + await _finalize(session, [item for item in true_ups if item.id not in waiting], books)


async def _due(
    session: AsyncSession, contracts: Sequence[Contract], books: Books, *, as_of: datetime
) -> list[Statement]:
    if as_of == books.now:
        found = await books.open_of(contracts)  # The same are rated next.
    else:
        found = await open_statements(session, contracts, now=as_of)
    due = [item for item in found if item.due_at <= as_of and item.type is not InvoiceType.USAGE_CONSOLIDATED]
    awaited = await waiting_payments(session, due)
    return [item for item in due if item.id not in awaited]


async def finalize_statement(session: AsyncSession, statement: Statement, *, now: datetime) -> Finalized:
    """Make one statement final. Holds the locks of the customer and of its parents to the end of the transaction."""
    await lock_family(session, statement.contract.customer_id)
    existing = await session.get(Invoice, statement.id)
    if existing is not None:
        return Finalized(existing, is_new=False)
    # The contract may have been changed or archived while the lock was waited for, and its charges placed elsewhere.
    await session.refresh(statement.contract)
    still_open = await open_statements(session, [statement.contract], now=now)
    found = next((item for item in still_open if item.id == statement.id), None)
    if found is None:
        raise NotFound("Invoice", to_text("invoice", statement.id), path=("id",))
    await _refuse_before_predecessors(session, found, now=now)
    if await waiting_payments(session, [found]):
        raise InvalidState(
            ErrorCode.NOT_DUE,
            "A commit that pays for this usage waits for its payment; tell its outcome, or void its invoice.",
            path=("id",),
        )
    if found.type is InvoiceType.USAGE_CONSOLIDATED:
        return await _finalize_consolidated(session, found, now=now)
    made = (
        []
        if await waiting_true_ups(session, [found], now=now)
        else await _finalize(session, [found], Books(session, now=now))
    )
    await settle(session, found.contract.customer_id, now=now)
    whole = await consolidated.finalize_ready(session, [found.contract], write_invoices, as_of=now, now=now)
    if not made:
        raise InvalidState(
            ErrorCode.NOT_DUE,
            "What is missing of a commit is billed when the last statement that counts towards it is final; finalize those first.",
            path=("id",),
        )
    [invoice] = made
    return _noted(session, invoice, with_it=whole)


async def _finalize_consolidated(session: AsyncSession, statement: Statement, *, now: datetime) -> Finalized:
    waits_for = [part.invoice_id for part in statement.constituents if not part.is_final]
    if waits_for:
        raise InvalidState(
            ErrorCode.NOT_DUE,
            f"It puts {len(statement.constituents)} statements together, and waits until {to_text('invoice', waits_for[0])} "
            "is final; finalize that first.",
            path=("id",),
        )
    made = await consolidated.finalize_ready(session, [statement.contract], write_invoices, as_of=now, now=now)
    return _noted(session, next(invoice for invoice in made if invoice.id == statement.id))


def _noted(session: AsyncSession, invoice: Invoice, *, with_it: Sequence[Invoice] = ()) -> Finalized:
    after = finalized_summary(invoice)
    if with_it:
        after["consolidated"] = [to_text("invoice", item.id) for item in with_it]
    note_change(session, "invoice", invoice.id, before={"status": InvoiceStatus.DRAFT}, after=after)
    return Finalized(invoice, is_new=True)


async def _refuse_before_predecessors(session: AsyncSession, statement: Statement, *, now: datetime) -> None:
    """Refuse an invoice that could draw what rolls over, while it is not known because an earlier one is open."""
    if statement.purchase_of is not None:
        return  # No balance pays for a commit.
    renewals = await Renewals.of(session, statement.contract.customer_id, now=now)
    old = [await session.get_one(Contract, old_id) for old_id in renewals.predecessors(statement.contract.id)]
    for item in await open_statements(session, old, now=now):
        if item.type is InvoiceType.USAGE and order_of(item) < order_of(statement):
            raise InvalidState(
                ErrorCode.NOT_DUE,
                f"Invoice {to_text('invoice', item.id)} of the contract before is open still; what rolls over is known "
                "when it is final.",
                path=("id",),
            )


def finalized_summary(invoice: Invoice) -> dict[str, Any]:
    """What the audit log says of an invoice that became final."""
    return {"status": InvoiceStatus.FINALIZED, "number": invoice.number, "total": canonical(invoice.total)}


async def _finalize(session: AsyncSession, statements: Sequence[Statement], books: Books) -> list[Invoice]:
    """Rate, and write. The caller holds the customer's lock, and none of the statements is final yet."""
    assert next_status(InvoiceStatus.DRAFT, InvoiceTrigger.FINALIZE) is InvoiceStatus.FINALIZED
    if not statements:
        return []
    every = await books.rate_many(statements)
    provisional = {item for book in (await books.of_customers(())).values() for item in book.provisional}
    drawn = {draw.pot.grant_id for item in every for draw in item.draws}
    assert drawn.isdisjoint(provisional), "only what is posted is drawn"
    return await write_invoices(session, [item for item in every if not item.is_nothing], now=books.now)


async def write_invoices(
    session: AsyncSession, rated: Sequence[RatedStatement], *, is_imported: bool = False, now: datetime
) -> list[Invoice]:
    """Round, freeze, number, and enqueue the delivery; the caller holds the customer's lock.

    `now` is when the rows are made; the invoices are issued when their statements are due. Imported ones go nowhere.
    """
    if not rated:
        return []
    finals = [putting_together.final_of(item) for item in rated]
    if not is_imported:
        await keep_outcomes(session, rated)
    watermark = await EVENTS.watermark(session)
    fields = await fields_of_statements(session, rated)
    shared = SharedTexts()
    inputs = [
        inputs_columns(item, fields=own, ingest_batch=watermark, shared=shared, is_imported=is_imported)
        for item, own in zip(rated, fields, strict=True)
    ]
    lines = [
        # A line stands once: what is put together has those of its constituents.
        line_columns(item.id, place, line)
        for item, final in zip(rated, finals, strict=True)
        for place, line in enumerate(final.lines)
        if line.origin is None
    ]
    statements = [item.statement for item in rated]
    routes = [None for _ in rated] if is_imported else await routes_of(session, statements)
    invoices = [
        invoice_row(item, final, route=route, now=now) for item, final, route in zip(rated, finals, routes, strict=True)
    ]
    await insert_rows(session, InvoiceLine, lines)
    await insert_rows(session, InvoiceInputs, inputs)
    # Numbers come late: their counter stays locked to the end of the transaction, for everybody.
    first = await _take_numbers(session, len(rated))
    for place, invoice in enumerate(invoices):
        invoice.number = first + place
    session.add_all(invoices)
    await session.flush()  # What is added next refers to them.
    session.add_all(row for item in rated for row in putting_together.constituent_rows(item))
    session.add_all(row for item in rated for row in transfer_rows(item, now=now))
    await count_invoices(session, invoices)
    if any(route is not None for route in routes):
        await enqueue(session, DELIVERIES_JOB, once=DELIVERIES_JOB)
    await session.flush()
    return invoices


async def routes_of(session: AsyncSession, statements: Sequence[Statement]) -> list[UUID | None]:
    """The billing configuration through which each invoice goes: the one that covers the start of its period or its date.

    A date that is moved by hand keeps the one of the schedule, so what was metered stays where it was.
    """
    found = await paying_configurations(session, [(item.contract, item.period.starting_at) for item in statements])
    return [None if chosen is None else chosen.id for chosen in found]


async def _take_numbers(session: AsyncSession, count: int) -> int:
    """The first of `count` consecutive invoice numbers; they are given back when the transaction rolls back."""
    taken = await session.execute(
        text("update counters set next = next + :count where name = 'invoice' returning next - :count"),
        {"count": count},
    )
    return int(taken.scalar_one())
