"""Where the worth of a reversed outcome goes: to the balance that had paid it while it lasts, else to a credit.

Owns that choice. One credit holds what comes back of one statement and one payer, an entry for each outcome, so thousands
of reversals are a few balances. It may be used from the end of that statement on, hence on the next invoice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog import products
from app.catalog.tables import ProductRow
from app.contracts.tables import Contract
from app.core import money, period, reversals, terms
from app.core.grants import GrantType, SegmentKey
from app.errors import ErrorCode, InvalidState
from app.grants import definitions, reading, rows, service, tables
from app.invoices import balance_guards, numbers
from app.invoices.tables import Invoice, ReversalEntry
from app.store.ids import to_text

PRODUCT, PRODUCT_KEY = "Outcome reversal", "outcome-reversal"
LONGEST = timedelta(days=3_652)
"""How long a credit lasts where no contract bounds it."""


async def place_of(
    session: AsyncSession, invoice: Invoice, worth: reversals.Worth, *, chain: list[UUID], now: datetime
) -> SegmentKey:
    """The segment to which the worth goes; a credit is made for it where `chain`, the invoice and void ones before, has none.

    Error: ALREADY_FINALIZED when it counted towards a postpaid commit of which all that was missing has been billed.
    """
    payer = None if worth.paid_by is None else await _stored(session, worth.paid_by.grant_id)
    if worth.paid_by is not None and payer is not None:
        if payer.grant.type is GrantType.POSTPAID:
            return await _counting(session, payer, worth.paid_by, worth)
        if await _lasts(session, payer, worth.paid_by.number, now=now):
            return worth.paid_by
    known = await session.execute(
        select(ReversalEntry.grant_id, ReversalEntry.segment)
        .where(
            col(ReversalEntry.invoice_id).in_(chain),
            col(ReversalEntry.paid_by_id).is_not_distinct_from(worth.paid_by and worth.paid_by.grant_id),
            col(ReversalEntry.paid_by_segment).is_not_distinct_from(worth.paid_by and worth.paid_by.number),
        )
        .distinct()
        .order_by(col(ReversalEntry.segment), col(ReversalEntry.grant_id))
    )
    for grant_id, number in known:
        if await _lasts(session, await _stored(session, grant_id), number, now=now):
            return SegmentKey(grant_id, number)
    return SegmentKey(await _credit(session, invoice, worth, payer, now=now), 0)


async def _stored(session: AsyncSession, grant_id: UUID) -> reading.StoredGrant:
    [found] = await reading.stored_grants(session, [await session.get_one(tables.GrantRow, grant_id)])
    return found


async def _lasts(session: AsyncSession, found: reading.StoredGrant, number: int, *, now: datetime) -> bool:
    """Whether somebody may still use it: its segment is not over, and neither is its contract."""
    if found.row.contract_id is not None and _is_over(await session.get_one(Contract, found.row.contract_id), now=now):
        return False
    access = next((found.grant.access(one) for one in found.grant.segments if one.number == number), None)
    if found.row.archived_at is not None or access is None:
        return False
    return access.ending_before is None or access.ending_before > now


def _is_over(contract: Contract, *, now: datetime) -> bool:
    ended = contract.ending_before is not None and contract.ending_before <= now
    return ended or contract.archived_at is not None


async def _counting(
    session: AsyncSession, payer: reading.StoredGrant, key: SegmentKey, worth: reversals.Worth
) -> SegmentKey:
    """Where the share of a postpaid commit counts: in itself or, as far as that would have rolled over too, in its heir."""
    found = await session.execute(
        select(tables.SegmentRow)
        .join(tables.GrantRow, col(tables.GrantRow.id) == tables.SegmentRow.grant_id)
        .where(
            tables.GrantRow.rolled_from_id == key.grant_id,
            tables.GrantRow.rolled_from_segment == key.number,
            col(tables.GrantRow.archived_at).is_(None),
        )
        .order_by(col(tables.GrantRow.id))
    )
    [segment] = payer.grant.segments
    for rolled in found.scalars().all():
        with money.exact():
            fits = rolled.amount + worth.amount <= (payer.row.rollover_fraction or money.ZERO) * segment.amount
        if fits:
            heir = await _stored(session, rolled.grant_id)
            return await _counting(session, heir, SegmentKey(rolled.grant_id, rolled.number), worth)
    await _refuse_after_true_up(session, payer)
    return key


async def _refuse_after_true_up(session: AsyncSession, payer: reading.StoredGrant) -> None:
    final = await balance_guards.final_true_up(session, payer.row.id)
    if final is not None:
        raise InvalidState(
            ErrorCode.ALREADY_FINALIZED,
            f"The usage counted towards a postpaid commit, and {to_text('invoice', final.id)} has billed what was missing "
            "of it. Void that invoice first, reverse, and make it again.",
            path=("input", "transactionId"),
            conflicting=final,
        )


async def _credit(
    session: AsyncSession, invoice: Invoice, worth: reversals.Worth, payer: reading.StoredGrant | None, *, now: datetime
) -> UUID:
    """A credit of nothing, for the entries to come: with the reach of the balance that had paid.

    What had been paid in money is the customer's own, since it must not end with a contract.
    """
    owner_id = None if payer is None else payer.row.contract_id
    contract = None if owner_id is None else await session.get_one(Contract, owner_id)
    if contract is not None and _is_over(contract, now=now):
        contract = None  # What is over makes no next invoice; another contract of the customer may.
    assert invoice.ending_before is not None, "a statement has an end"
    last = None if contract is None else contract.ending_before
    segment = definitions.NewSegment(money.ZERO, invoice.ending_before, last or period.floor_hour(now) + LONGEST)
    of_payer = None if payer is None else rows.definition_of(payer)
    named = "" if of_payer is None else f", paid by {of_payer.name or to_text('commit', of_payer.id)}"
    entry = definitions.NewGrant(
        type=GrantType.CREDIT,
        segments=[segment],
        product_id=await _product(session, now=now),
        name=f"{PRODUCT} of {numbers.number_text(invoice.number)}{named}"[:200],
        description=f"What {to_text('invoice', invoice.id)} asked for too much.",
        unit=worth.unit,
        priority=money.ZERO,
        is_refund=True,
    )
    customer_id = invoice.customer_id
    if payer is not None and of_payer is not None:
        customer_id = payer.row.customer_id
        is_same = contract is not None or payer.row.contract_id is None
        entry = replace(
            entry, scope=of_payer.scope, rate_type=of_payer.rate_type,
            contract_ids=of_payer.contract_ids if is_same else (),
            **({"sharing": of_payer.sharing} if contract is not None else {}),
        )  # fmt: skip
    made = await service.insert_grant(session, customer_id, contract, entry, path=("input",), now=now)
    return made.id


async def _product(session: AsyncSession, *, now: datetime) -> UUID:
    """The product under which reversals are credited; made with the first of them."""
    found = await session.scalar(select(ProductRow.id).where(ProductRow.uniqueness_key == PRODUCT_KEY))
    if found is not None:
        return found
    made = await products.create_product(
        session, name=PRODUCT, type=terms.ProductType.FIXED, uniqueness_key=PRODUCT_KEY, now=now
    )
    return made.id
