"""Fifty at once on one balance: finalizations, entries by hand and reads, as if one had come after the other.

Each entry is a power of two, so that what an invoice found in the balance tells which entries it had seen. The answer is
right when some order of all fifty explains every invoice: the entries seen only ever become more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.service import create_rate_card
from app.commands.checking import RULES
from app.contracts.service import create_contract
from app.core.grants import GrantType
from app.core.pots import pots_from_json
from app.core.rates import Flat
from app.customers.service import create_customer
from app.delivery.registry import Connections
from app.grants.adjustments import adjust
from app.grants.definitions import NewGrant, NewSegment
from app.grants.service import create_grant
from app.grants.tables import TransferRow
from app.invoices.balances import CustomerBook
from app.invoices.service import finalize_due
from app.invoices.tables import Invoice, InvoiceInputs
from app.store.engine import Store
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest

OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
NOW = NOVEMBER + timedelta(days=2)
ACTOR = system("test")
ROUNDS = 200 if os.environ.get("METROGRAPH_STRESS") else 10
CONTRACTS, USED, GRANTED = 6, 40, 100
ENTRIES = [1, -2, 4, -8, 16, -32, 64, -128]
"""By hand, each once: together they may take more than there is."""


class Seller(NamedTuple):
    """What every round sells."""

    store: Store
    card: UUID


class Seen(NamedTuple):
    """An invoice, by its number: the place of its contract among those due, what it found, and what it took."""

    place: int
    available: int
    drawn: int


@pytest.fixture
async def seller(database_url: str) -> AsyncIterator[Seller]:
    """A store that lets fifty in at once, and a product at a dollar a unit."""
    store = await Store(database_url, max_connections=50, wait_seconds=120).open()
    async with store.transaction() as session:
        metric = await create_metric(
            session, name="units", aggregation="SUM", key="n", event_types_in=["use"], now=OCTOBER
        )
        product = await create_product(session, name="units", metric_id=metric.id, now=OCTOBER)
        rates = [NewRate(product_id=product.id, rate=Flat(Decimal(1)))]
        card = await create_rate_card(session, name="card", currency="USD", rates=rates, now=OCTOBER)
    yield Seller(store, card.id)
    await store.close()


@pytest.mark.stress
async def test_fifty_at_once_are_as_one_after_the_other(seller: Seller) -> None:
    for number in range(ROUNDS):
        await a_round(seller, Random(number), f"customer-{number}")
    async with seller.store.transaction() as session:
        broken = [name for name, (_, query) in RULES.items() if (await session.execute(text(query))).scalar_one()]
    assert broken == []


async def a_round(seller: Seller, random: Random, name: str) -> None:
    """Six contracts that are due four times each, eight entries and eighteen readers."""
    customer_id, grant_id, contracts = await agreed(seller, name)
    work: list[Awaitable[Any]] = [
        *(finalized(seller.store, contract_id) for contract_id in contracts for _ in range(4)),
        *(entered(seller.store, grant_id, amount) for amount in ENTRIES),
        *(read(seller.store, customer_id) for _ in range(50 - 4 * CONTRACTS - len(ENTRIES))),
    ]
    random.shuffle(work)
    await asyncio.gather(*work)
    invoices, left = await outcome(seller.store, customer_id, grant_id, contracts)
    assert [item.place for item in sorted(invoices)] == list(range(CONTRACTS)), "each contract was billed once"
    assert left == GRANTED + sum(ENTRIES) - sum(item.drawn for item in invoices)
    assert has_an_order(invoices), (name, invoices)


def has_an_order(invoices: Sequence[Seen]) -> bool:
    """Whether some order of the entries between the invoices explains what each of them found and took."""
    before: list[frozenset[int]] = [frozenset()]
    for number, item in enumerate(invoices):
        now = [
            seen
            for seen in ALL_SEEN
            if any(earlier <= seen for earlier in before) and found_by(item, invoices[:number], sum(seen)) == item[1:]
        ]
        if not now:
            return False
        before = now
    return True


ALL_SEEN = [frozenset(some) for size in range(len(ENTRIES) + 1) for some in combinations(ENTRIES, size)]


def found_by(item: Seen, final: Sequence[Seen], entered: int) -> tuple[int, int]:
    """What an invoice finds and takes: after final ones, and after drafts of contracts whose turn is before its own."""
    left = GRANTED + entered - sum(earlier.drawn for earlier in final)
    for place in range(item.place):
        if place not in {earlier.place for earlier in final}:
            left -= max(0, min(left, USED))
    return left, max(0, min(left, USED))


async def agreed(seller: Seller, name: str) -> tuple[UUID, UUID, list[UUID]]:
    """A customer with a credit for all of its contracts, and usage of October; the contracts in the order of their turn."""
    async with seller.store.transaction() as session:
        customer = await create_customer(session, name=name, external_id=name, now=OCTOBER)
        contracts = [
            (
                await create_contract(
                    session, Connections({}), customer_id=customer.id, rate_card_id=seller.card, starting_at=OCTOBER,
                    ending_before=NOVEMBER, priority=place, now=OCTOBER,
                )
            ).contract.id
            for place in range(CONTRACTS)
        ]  # fmt: skip
        credit = NewGrant(
            type=GrantType.CREDIT, priority=Decimal(1), segments=[NewSegment(Decimal(GRANTED), OCTOBER, NOVEMBER)]
        )
        grant = await create_grant(session, customer.id, credit, now=OCTOBER)
        event = IncomingEvent(name, name, "use", OCTOBER.isoformat(), {"n": str(USED)})
        await ingest(session, [event], actor=ACTOR, now=NOW, source="test", allow_historical=True)
    return customer.id, grant.id, contracts


async def finalized(store: Store, contract_id: UUID) -> None:
    async with store.transaction() as session:
        await finalize_due(session, [contract_id], as_of=NOW, now=NOW)


async def entered(store: Store, grant_id: UUID, amount: int) -> None:
    async with store.transaction() as session:
        await adjust(session, grant_id, amount=Decimal(amount), reason="agreed", now=NOW)


async def read(store: Store, customer_id: UUID) -> None:
    """A reader sees draws of no more than there is, whatever is going on."""
    async with store.transaction() as session:
        moved = await (await CustomerBook.of(session, customer_id, now=NOW)).movements()
    [movements] = moved.values()
    given = GRANTED + sum(item.amount for item in movements if item.amount > 0)
    assert -sum(item.amount for item in movements if item.invoice_id is not None) <= given


async def outcome(store: Store, customer_id: UUID, grant_id: UUID, contracts: list[UUID]) -> tuple[list[Seen], int]:
    """The invoices by number, with what was frozen with them; and what is left in the end."""
    async with store.transaction() as session:
        found = await session.execute(
            select(Invoice, InvoiceInputs)
            .join(InvoiceInputs, col(InvoiceInputs.invoice_id) == Invoice.id)
            .where(Invoice.customer_id == customer_id)
            .order_by(col(Invoice.number))
        )
        moved = await session.execute(select(TransferRow).where(TransferRow.grant_id == grant_id))
        transfers = list(moved.scalars())
        invoices: list[Seen] = []
        for invoice, inputs in found.all():
            [pot] = pots_from_json(inputs.pots)
            drawn = sum((row.amount for row in transfers if row.invoice_id == invoice.id), Decimal(0))
            assert invoice.total == USED - drawn
            invoices.append(Seen(contracts.index(invoice.contract_id), int(pot.available), int(drawn)))
        book = (await CustomerBook.of(session, customer_id, now=NOW)).movements()
        left = GRANTED + sum(item.amount for item in (await book)[grant_id])
    return invoices, int(left)
