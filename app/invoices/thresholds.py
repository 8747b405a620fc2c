"""Threshold billing: looks whether a contract reached what it watches, and buys the commit (semantics 4.11).

Owns the evaluation; it is one transaction with the purchase, under the customer's lock, so a threshold buys once however
often and by however many it is looked at. While a payment is awaited, nothing more is bought. What is bought is told by
`threshold_purchases.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts import terms, threshold_reading
from app.contracts.family import lock_family
from app.contracts.tables import Contract, ThresholdRow
from app.core import thresholds
from app.core.grants import GrantType
from app.core.ledger import balance_at
from app.core.money import ZERO, exact, fiat
from app.invoices.balances import CustomerBook
from app.invoices.threshold_purchases import Purchase, buy, current_statement
from app.providers import ProviderDirectory


async def evaluate(
    session: AsyncSession, directory: ProviderDirectory, contract_id: UUID, *, now: datetime
) -> list[Purchase]:
    """Buy what the thresholds of a contract ask for now; the invoice of each purchase is final with it.

    A threshold that could not be paid for as agreed is disabled instead, and says why.
    """
    contract = await session.get(Contract, contract_id)
    if contract is None:
        return []
    await lock_family(session, contract.customer_id)
    await session.refresh(contract)
    if contract.archived_at is not None or not terms.contract_period(contract).contains(now):
        return []
    made: list[Purchase] = []
    for row in await threshold_reading.thresholds_of(session, contract_id):
        if row.is_enabled and not await threshold_reading.is_awaited(session, row):
            # Each sees what the one before bought.
            book = await CustomerBook.of(session, contract.customer_id, now=now)
            amount = await _reached(book, contract, row, now=now)
            if amount:
                bought = await buy(session, directory, contract, row, amount, now=now)
                made += [] if bought is None else [bought]
    return made


async def _reached(book: CustomerBook, contract: Contract, row: ThresholdRow, *, now: datetime) -> Decimal | None:
    """What is to be bought, in the unit of the threshold."""
    if row.kind == thresholds.ThresholdKind.SPEND:
        statement = current_statement(book.open, contract, now=now)
        if statement is None:
            return None
        unit = fiat(contract.currency)
        spend = thresholds.unbilled_spend((await book.rate(statement)).draft.lines, unit)
        return thresholds.spend_to_bill(spend, threshold=row.amount, unit=unit)
    assert row.recharge_to is not None, "a balance is recharged to something"
    left = await usable_balance(book, contract, row.unit, now=now)
    return thresholds.top_up(left, threshold=row.amount, recharge_to=row.recharge_to)


async def usable_balance(book: CustomerBook, contract: Contract, unit: str, *, now: datetime) -> Decimal:
    """What a contract can use now of prepaid commits and credits in a unit; those of single seats are left out.

    A postpaid commit is a promise and not money that was paid, so it keeps nobody from recharging.
    """
    movements = await book.movements()
    with exact():
        return sum(
            (
                balance_at(item.grant, movements[item.row.id], at=now)
                for item in book.grants
                # What a parent shares is not the child's own, and does not keep it from recharging.
                if item.may_serve(contract)
                and item.row.contract_id in (None, contract.id)
                and item.grant.unit == unit
                and item.grant.type is not GrantType.POSTPAID
                and item.grant.seat is None
            ),
            ZERO,
        )
