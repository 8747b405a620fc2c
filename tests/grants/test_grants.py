"""Commits and credits on PostgreSQL: true-ups in their turn, children made once, books that nobody edits or overdraws."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from app.catalog.tables import PricingUnit
from app.commands.checking import RULES
from app.contracts.new_recurring import NewRecurringGrant, RecurringAmount
from app.contracts.own_terms import OwnTerms
from app.contracts.recurring_children import make_all_children
from app.contracts.tables import Contract
from app.core.fees import ScheduledItem
from app.core.grants import GrantType
from app.core.ledger import remaining
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.grants.adjustments import adjust
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule
from app.grants.editing import GrantEdit
from app.grants.reading import grants_of_customer
from app.grants.segments import SegmentEdits
from app.grants.service import create_grant
from app.grants.tables import GrantRow
from app.invoices.balance_books import unbalanced
from app.invoices.balance_edits import archive_balance, update_balance
from app.invoices.balances import CustomerBook
from app.invoices.open import open_statements
from app.invoices.service import finalize_due, finalize_invoice
from app.invoices.tables import Invoice
from tests.delivery.world import HOUR, NOON, NOVEMBER, OCTOBER, World

DAY = 24 * HOUR


def grant(amount: str, type: GrantType = GrantType.CREDIT, **parts: object) -> NewGrant:
    """Usable in October."""
    return NewGrant(type=type, segments=[NewSegment(Decimal(amount), OCTOBER, NOVEMBER)], **parts)  # type: ignore[arg-type]


async def of_customer(world: World, customer_id: UUID, entry: NewGrant) -> UUID:
    async with world.store.transaction() as session:
        return (await create_grant(session, customer_id, entry, now=world.now)).id


async def finalized(world: World, contract: Contract) -> list[Invoice]:
    """What is due of one contract, made final in a transaction of its own."""
    async with world.store.transaction() as session:
        return await finalize_due(session, [contract.id], as_of=world.now, now=world.now)


async def left(world: World, customer_id: UUID) -> list[Decimal]:
    """What is left of every segment of the customer's balances, after what is stored."""
    async with world.store.transaction() as session:
        found = await grants_of_customer(session, customer_id)
        return [remaining(segment, item.movements) for item in found for segment in item.grant.segments]


async def open_true_up(world: World, contract: Contract) -> tuple[UUID, datetime]:
    async with world.store.transaction() as session:
        row = await session.get_one(Contract, contract.id)
        [found] = [item for item in await open_statements(session, [row], now=world.now) if item.type == "TRUEUP"]
        return found.id, found.due_at


async def assert_sound(world: World) -> None:
    async with world.store.transaction() as session:
        counts = {rule: (await session.execute(text(query))).scalar_one() for rule, (_, query) in RULES.items()}
        _, wrong = await unbalanced(session, now=world.now)
    assert ([rule for rule, count in counts.items() if count], wrong) == ([], [])


async def test_a_true_up_follows_the_last_statement_that_counts(world: World) -> None:
    """A commit of 100 that two contracts serve: 20 at a time, the second final two days after the first; 60 are missing."""
    customer_id = await world.customer()
    first = await world.contract(customer_id, None, price="1", ending_before=NOVEMBER)
    second = await world.contract(customer_id, None, price="1", ending_before=NOVEMBER, grace_hours=72)
    commit = grant("100", GrantType.POSTPAID, priority=Decimal(1), invoice_contract_id=first.id)
    await of_customer(world, customer_id, commit)
    await world.use(20, at=OCTOBER + HOUR)
    assert [(item.type, item.total) for item in await finalized(world, first)] == [("USAGE", 20)]
    true_up, due_at = await open_true_up(world, first)
    assert due_at == NOVEMBER + 3 * DAY

    async def refused() -> str:
        with pytest.raises(InvalidState) as error:
            async with world.store.transaction() as session:
                await finalize_invoice(session, true_up, now=world.now)
        assert error.value.code == ErrorCode.NOT_DUE
        return error.value.message

    assert "is final from 2026-11-04" in await refused()
    world.sandbox.set_clock(due_at)
    assert await finalized(world, first) == [], "due, and the second contract's statement is open still"
    assert "the last statement" in await refused()
    assert [item.total for item in await finalized(world, second)] == [20]
    [made] = await finalized(world, first)
    assert (made.id, made.type, made.total, made.issued_at) == (true_up, "TRUEUP", 60, due_at)
    assert await left(world, customer_id) == [0]
    assert await finalized(world, first) == []
    await assert_sound(world)


async def test_the_draft_of_a_true_up_counts_what_another_contract_draws(world: World) -> None:
    """A commit of 100 for the second contract alone, billed on the first, which no balance serves: 30 of it are used."""
    customer_id = await world.customer()
    first = await world.contract(customer_id, None, price="1", ending_before=NOVEMBER)
    second = await world.contract(customer_id, None, price="1", ending_before=NOVEMBER)
    commit = grant(
        "100", GrantType.POSTPAID, priority=Decimal(1), contract_ids=[second.id], invoice_contract_id=first.id
    )
    await of_customer(world, customer_id, commit)
    await world.use(30, at=OCTOBER + HOUR)
    async with world.store.transaction() as session:
        book = await CustomerBook.of(session, customer_id, now=world.now)
        [true_up] = [item for item in book.open if item.type == "TRUEUP"]
        assert (await book.rate(true_up)).draft.subtotal == 70
    assert [(item.type, item.total) for item in await finalized(world, second)] == [("USAGE", 30)]
    assert [(item.type, item.total) for item in await finalized(world, first)] == [("USAGE", 30), ("TRUEUP", 70)]
    await assert_sound(world)


async def test_two_commits_of_a_contract_have_two_true_ups(world: World) -> None:
    """The same date and currency, and two invoices: what each commit misses is asked for by itself."""
    commits = [grant(amount, GrantType.POSTPAID, priority=Decimal(place)) for place, amount in enumerate(("100", "50"))]
    contract = await world.account("stripe", price="1", ending_before=NOVEMBER, own_terms=OwnTerms(grants=commits))
    await world.use(30, at=OCTOBER + HOUR)
    assert (await world.finalize()).failures == []
    found = [item for item in await world.invoices() if item.type == "TRUEUP"]
    assert [(item.ordinal, item.total) for item in found] == [(0, 70), (1, 50)]
    assert len({item.id for item in found}) == 2
    assert {(item.contract_id, item.starting_at, item.currency) for item in found} == {(contract.id, NOVEMBER, "USD")}
    assert (await world.finalize()).finalized == 0
    assert await left(world, contract.customer_id) == [0, 0]
    await assert_sound(world)


async def test_children_are_made_once(world: World) -> None:
    """A monthly credit of two customers, seen by four workers at once: each month has one child in each contract."""
    for name in ("acme", "birch"):
        monthly = NewRecurringGrant(child=grant("0"), access_amount=RecurringAmount(Decimal(10)))
        await world.contract(await world.customer(name), None, own_terms=OwnTerms(recurring=[monthly]))
    assert len(await children(world)) == 4, "October's and November's came with the contracts"
    world.sandbox.set_clock(NOVEMBER + timedelta(days=70))
    made = await asyncio.gather(*(make_all_children(world.store, now=world.now) for _ in range(4)))
    assert sum(made) == 4
    found = await children(world)
    by_parent: dict[UUID | None, list[int | None]] = {}
    for row in found:
        by_parent.setdefault(row.recurring_id, []).append(row.recurring_number)
    assert list(by_parent.values()) == [[1, 2, 3, 4]] * 2
    assert await make_all_children(world.store, now=world.now) == 0


async def test_a_recurring_commit_that_no_invoice_could_ask_for_is_refused_at_once(world: World) -> None:
    """Its first child comes years later: a payment in a pricing unit must not stop an invoice run then."""
    async with world.store.transaction() as session:
        session.add(PricingUnit(created_at=world.now, code="TOKENS", name="Tokens"))
    monthly = NewRecurringGrant(
        child=grant("0", GrantType.PREPAID, unit="TOKENS", product_id=world.product),
        access_amount=RecurringAmount(Decimal(10)), invoice_amount=RecurringAmount(Decimal(5)),
        starting_at=NOVEMBER + timedelta(days=1000),
    )  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        await world.contract(await world.customer(), None, own_terms=OwnTerms(recurring=[monthly]))
    assert (refused.value.code, refused.value.path) == (
        ErrorCode.REQUIRED, ("input", "recurringBalances", "0", "invoiceAmount", "currency"),
    )  # fmt: skip


async def children(world: World) -> Sequence[GrantRow]:
    async with world.store.transaction() as session:
        found = await session.execute(
            select(GrantRow).order_by(col(GrantRow.recurring_id), col(GrantRow.recurring_number))
        )
        return found.scalars().all()


@pytest.mark.parametrize(
    "statement",
    [
        "update transfers set amount = 1", "update transfers set reason = ''", "delete from transfers",
        # What refers to them would refuse first, with words of its own.
        "truncate transfers cascade",
    ],
)  # fmt: skip
async def test_the_database_refuses_to_change_a_book(world: World, statement: str) -> None:
    contract = await world.account("stripe", price="1", own_terms=OwnTerms(grants=[grant("100")]))
    await world.use(30, at=OCTOBER + HOUR)
    await world.finalize()
    assert await left(world, contract.customer_id) == [70]
    with pytest.raises(DBAPIError, match="only ever added"):
        async with world.store.transaction() as session:
            await session.execute(text(statement))
    assert await left(world, contract.customer_id) == [70]


async def test_contracts_that_share_a_credit_never_overdraw_it(world: World) -> None:
    """Three contracts of 80 each, made final at once by two workers, and a credit of 100: 140 are billed, each once."""
    customer_id = await world.customer()
    contracts = [await world.contract(customer_id, None, price="1") for _ in range(3)]
    await of_customer(world, customer_id, grant("100", priority=Decimal(1)))
    await world.use(80, at=OCTOBER + HOUR)
    made = await asyncio.gather(*(finalized(world, contract) for contract in contracts * 2))
    assert sorted(len(items) for items in made) == [0, 0, 0, 1, 1, 1]
    invoices = await world.invoices()
    assert sorted(item.contract_id for item in invoices) == sorted(contract.id for contract in contracts)
    assert sum((item.total for item in invoices), Decimal(0)) == 140
    assert all(0 <= item.total <= 80 for item in invoices)
    assert await left(world, customer_id) == [0]
    assert world.now == NOON
    await assert_sound(world)


@pytest.mark.parametrize(
    ("unit", "payment_unit", "path"),
    [("TOKENS", None, ("unit",)), ("TOKENS", "USD", ("unit",)), ("USD", "EUR", ("payment", "unit"))],
)
async def test_a_postpaid_commit_is_counted_in_the_currency_in_which_it_is_billed(
    world: World, unit: str, payment_unit: str | None, path: tuple[str, ...]
) -> None:
    """What is missing of 100 tokens has no price: such a commit would keep its contract from ever being billed."""
    async with world.store.transaction() as session:
        session.add(PricingUnit(created_at=world.now, code="TOKENS", name="Tokens"))
    payment = PaymentSchedule((ScheduledItem(NOVEMBER, Decimal(100), Decimal(1)),), payment_unit)
    commit = grant("100", GrantType.POSTPAID, unit=unit, payment=payment if payment_unit else None)
    with pytest.raises(InvalidInput) as refused:
        await world.account("stripe", own_terms=OwnTerms(grants=[commit]))
    assert (refused.value.code, refused.value.path) == (ErrorCode.INVALID, ("input", "balances", "0", *path))


async def test_an_entry_by_hand_meets_the_balance_as_it_is_when_its_turn_comes(world: World) -> None:
    """Somebody archives the balance while the entry waits for the customer's lock: nothing is entered any more."""
    customer_id = await world.customer()
    grant_id = await of_customer(world, customer_id, grant("100", priority=Decimal(1)))

    async def enter() -> None:
        async with world.store.transaction() as session:
            await session.get_one(GrantRow, grant_id)
            read.set()
            await adjust(session, grant_id, amount=Decimal(5), reason="agreed", now=world.now)

    read = asyncio.Event()
    async with world.store.transaction() as session:
        await archive_balance(session, grant_id, now=world.now)
        waiting = asyncio.create_task(enter())
        await read.wait()
    with pytest.raises(InvalidState) as refused:
        await waiting
    assert refused.value.code == ErrorCode.ARCHIVED
    await assert_sound(world)


async def test_nothing_is_entered_into_a_segment_that_was_removed(world: World) -> None:
    customer_id = await world.customer()
    two = NewGrant(
        type=GrantType.CREDIT, priority=Decimal(1),
        segments=[NewSegment(Decimal(10), OCTOBER, NOVEMBER), NewSegment(Decimal(20), NOVEMBER, NOVEMBER + 30 * DAY)],
    )  # fmt: skip
    grant_id = await of_customer(world, customer_id, two)
    async with world.store.transaction() as session:
        edit = GrantEdit(access=SegmentEdits(remove=[1]))
        await update_balance(session, world.connections, grant_id, edit, now=world.now)
    with pytest.raises(NotFound, match="Segment"):
        async with world.store.transaction() as session:
            await adjust(session, grant_id, segment=1, amount=Decimal(5), reason="agreed", now=world.now)
    assert await left(world, customer_id) == [10]
