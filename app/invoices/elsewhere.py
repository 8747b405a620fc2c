"""What a customer's other contracts add to composite products of the whole customer.

Owns which statements those are: final ones as they were frozen, all others as they are now; of a void one nothing counts
until it is made again. What they add is worked out in `core.customer_spend`, and frozen with the terms of the invoice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts.frozen import terms_from_json
from app.contracts.tables import Contract
from app.contracts.terms import contract_period, schedule_of, terms_of_contracts
from app.core.customer_spend import OtherStatement, counts_customer, elsewhere_of
from app.core.invoice import InvoiceType
from app.core.period import Period, statement_periods, uncovered
from app.core.quantities import usage_from_json
from app.core.terms import Terms
from app.invoices import books, earlier, final
from app.invoices.tables import IS_VOID, Invoice, InvoiceInputs
from app.usage.reading import HoursReader, usage_of_products


async def with_elsewhere(
    session: AsyncSession, contract: Contract, terms: Terms, period: Period, *, hours: HoursReader
) -> Terms:
    """The terms of a statement with what the customer's other contracts add to it; as they are where nothing asks."""
    if not counts_customer(terms, period):
        return terms
    others = [*await _final(session, contract, period), *await _open(session, contract, period, hours=hours)]
    return replace(terms, elsewhere=elsewhere_of(terms, period, others))


async def _final(session: AsyncSession, contract: Contract, period: Period) -> list[OtherStatement]:
    assert period.ending_before is not None, "a statement has an end"
    rows = await session.execute(
        select(Invoice, InvoiceInputs)
        .join(InvoiceInputs, col(InvoiceInputs.invoice_id) == Invoice.id)
        .where(
            Invoice.customer_id == contract.customer_id,
            Invoice.contract_id != contract.id,
            Invoice.type == InvoiceType.USAGE,
            col(Invoice.starting_at) < period.ending_before,
            col(Invoice.ending_before) > period.starting_at,
            ~IS_VOID,
        )
        .order_by(col(Invoice.starting_at), col(Invoice.id))
    )
    # What is final was billed, whichever contract would go first today.
    return [
        OtherStatement(
            terms_from_json(frozen.terms), books.period_of(row), usage_from_json(frozen.usage), goes_first=True
        )
        for row, frozen in rows
    ]


async def _open(
    session: AsyncSession, contract: Contract, period: Period, *, hours: HoursReader
) -> list[OtherStatement]:
    assert period.ending_before is not None, "a statement has an end"
    contracts = await _others(session, contract)
    all_final = await final.final_of_contracts(session, [other.id for other in contracts])
    terms = await terms_of_contracts(session, contracts)
    found: list[OtherStatement] = []
    for other in contracts:
        begun = statement_periods(schedule_of(other), contract=contract_period(other), begun_by=period.ending_before)
        done = all_final.get(other.id, final.Final()).statements
        for part in (part for whole in begun if whole.intersect(period) for part in uncovered(whole, done)):
            of_other = terms[other.id]
            usage = await usage_of_products(
                session, customer_id=other.customer_id, products=of_other.products, period=part,
                filters=of_other.usage_filters, hours=hours,
                before=earlier.statements_before(session, other.id, part.starting_at),
            )  # fmt: skip
            found.append(OtherStatement(of_other, part, usage, goes_first=_rank(other) < _rank(contract)))
    return found


async def _others(session: AsyncSession, contract: Contract) -> Sequence[Contract]:
    rows = await session.execute(
        select(Contract)
        .where(
            Contract.customer_id == contract.customer_id,
            Contract.id != contract.id,
            col(Contract.archived_at).is_(None),
        )
        .order_by(col(Contract.id))
    )
    return rows.scalars().all()


def _rank(contract: Contract) -> tuple[object, ...]:
    return contract.priority, contract.starting_at, contract.id
