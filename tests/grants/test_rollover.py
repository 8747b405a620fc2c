"""Renewals on PostgreSQL: what rolls over is posted once, never overdraws, and stands before that as drafts would have it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from app.contracts.new_fees import NewFees
from app.contracts.own_terms import OwnTerms
from app.contracts.tables import Contract, TransitionRow
from app.contracts.transitions import NewTransition
from app.core.fees import ScheduledItem
from app.core.grants import GrantType
from app.core.ledger import balance_at, ledger
from app.core.money import canonical
from app.core.rollover import FutureTrueUps, TransitionType
from app.errors import ErrorCode, InvalidState
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule
from app.grants.editing import GrantEdit
from app.grants.segments import SegmentEdits, SegmentUpdate
from app.grants.tables import GrantRow, TransferRow
from app.invoices import ending, settling
from app.invoices.balance_edits import update_balance
from app.invoices.balances import CustomerBook
from app.invoices.open import open_statements
from app.invoices.regenerating import regenerate_invoice
from app.invoices.service import finalize_due, finalize_invoice
from app.invoices.tables import Invoice
from app.invoices.voiding import void_invoice
from tests.delivery.world import HOUR, NOVEMBER, OCTOBER, World
from tests.grants.test_grants import assert_sound, finalized

DAY = 24 * HOUR
DECEMBER = NOVEMBER + 30 * DAY
YEAR = timedelta(days=365)


def grant(
    amount: str, type: GrantType = GrantType.PREPAID, *, fraction: str | None = "0.5", **parts: object
) -> NewGrant:
    """Usable for a year from October on."""
    rolls = None if fraction is None else Decimal(fraction)
    access = [NewSegment(Decimal(amount), OCTOBER, OCTOBER + YEAR)]
    return NewGrant(type=type, segments=access, rollover_fraction=rolls, **parts)  # type: ignore[arg-type]


async def renewed(
    world: World,
    *grants: NewGrant,
    at: datetime = NOVEMBER,
    used: int = 30,
    true_ups: FutureTrueUps = FutureTrueUps.AS_IS,
    **terms: object,
) -> tuple[Contract, Contract]:
    """A contract since October, 30 used of it, and its renewal; a unit costs 1."""
    customer_id = await world.customer()
    old = await world.contract(customer_id, None, price="1", own_terms=OwnTerms(grants=grants))
    await world.use(used, at=OCTOBER + HOUR)
    return old, await renewal(world, old, at=at, true_ups=true_ups, **terms)


async def renewal(
    world: World,
    old: Contract,
    *,
    at: datetime = NOVEMBER,
    type: TransitionType = TransitionType.RENEWAL,
    true_ups: FutureTrueUps = FutureTrueUps.AS_IS,
    fees: NewFees = NewFees(),
    **terms: object,
) -> Contract:
    follows = OwnTerms(transition=NewTransition(old.id, type, true_ups), fees=fees)
    return await world.contract(old.customer_id, None, price="1", starting_at=at, own_terms=follows, **terms)


async def left(world: World, customer_id: UUID) -> list[tuple[str, str]]:
    """Every balance that has something in it or had: what can be used now, and the types of its entries."""
    async with world.store.transaction() as session:
        book = await CustomerBook.of(session, customer_id, now=world.now)
        moved = await book.movements()
        return [
            (
                canonical(balance_at(item.grant, moved[item.row.id], at=world.now)),
                " ".join(
                    f"{entry.type.removeprefix('PREPAID_COMMIT_').removeprefix('POSTPAID_COMMIT_').removeprefix('CREDIT_')}"
                    f"{canonical(entry.amount)}{'?' * entry.is_draft}"
                    for entry in ledger(item.grant, moved[item.row.id], now=world.now)
                ),
            )
            for item in book.grants
            if item.grant.segments
        ]


async def posted(world: World) -> list[Decimal]:
    async with world.store.transaction() as session:
        found = await session.execute(select(TransferRow.amount).where(TransferRow.kind == "ROLLOVER"))
        return list(found.scalars())


async def test_what_rolls_over_is_seen_before_it_is_posted(world: World) -> None:
    """70 of 100 are left, half of 100 rolls, 20 expire; a draft of the new contract draws on it before that is final."""
    old, new = await renewed(world, grant("100"))
    await world.use(10, at=NOVEMBER + HOUR)
    world.sandbox.set_clock(NOVEMBER + 2 * HOUR)
    before = "SEGMENT_START100 AUTOMATED_INVOICE_DEDUCTION-30? ROLLOVER-50? EXPIRATION-20"
    drawing = "SEGMENT_START50 AUTOMATED_INVOICE_DEDUCTION-10?"
    assert await left(world, old.customer_id) == [("0", before), ("40", drawing)]
    assert await posted(world) == []
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    assert [item.total for item in await finalized(world, old)] == [0]
    assert await left(world, old.customer_id) == [("0", before.replace("?", "")), ("40", drawing)]
    assert await posted(world) == [50]
    world.sandbox.set_clock(DECEMBER + DAY)
    assert [item.total for item in await finalized(world, new)] == [0]
    assert (await left(world, old.customer_id))[1] == ("40", drawing.replace("?", ""))
    await assert_sound(world)


async def test_the_new_contract_waits_for_the_last_statement_of_the_old_one(world: World) -> None:
    """Late usage may still take what would roll: alone it is refused, and a run makes the old one final first."""
    old, new = await renewed(world, grant("100", fraction="1"))
    await world.use(60, at=NOVEMBER + HOUR)
    world.sandbox.set_clock(DECEMBER + DAY)
    async with world.store.transaction() as session:
        [draft, _december] = await open_statements(session, [await session.get_one(Contract, new.id)], now=world.now)
    with pytest.raises(InvalidState, match="contract before") as refused:
        async with world.store.transaction() as session:
            await finalize_invoice(session, draft.id, now=world.now)
    assert refused.value.code == ErrorCode.NOT_DUE
    made = await finalized(world, new)
    assert [(item.contract_id, item.total) for item in made] == [(old.id, 0), (new.id, 0)]
    assert await posted(world) == [70]
    await assert_sound(world)


async def test_many_workers_post_it_once(world: World) -> None:
    """Six workers and a broken one, which finalizes and dies before its commit."""
    old, new = await renewed(world, grant("100"))
    await world.use(60, at=NOVEMBER + HOUR)
    world.sandbox.set_clock(DECEMBER + DAY)
    with pytest.raises(RuntimeError):
        async with world.store.transaction() as session:
            await finalize_due(session, [new.id], as_of=world.now, now=world.now)
            raise RuntimeError("killed")
    assert await posted(world) == []
    made = await asyncio.gather(*(finalized(world, item) for item in (old, new) * 3))
    assert sum(len(items) for items in made) == 2
    assert await asyncio.gather(*(settling.settle_all(world.store, now=world.now) for _ in range(3))) == [0, 0, 0]
    assert await posted(world) == [50]
    invoices = {item.contract_id: item.total for item in await world.invoices()}
    assert invoices == {old.id: 0, new.id: 10}
    await assert_sound(world)


async def test_an_old_contract_without_an_open_statement_is_settled_by_the_hour(world: World) -> None:
    """October is final before the renewal is written: nothing becomes final any more, and nothing is drawn before."""
    customer_id = await world.customer()
    old = await world.contract(customer_id, None, price="1", own_terms=OwnTerms(grants=[grant("100")]))
    await world.use(30, at=OCTOBER + HOUR)
    assert len(await finalized(world, old)) == 1
    await renewal(world, old)
    assert (await left(world, customer_id))[1] == ("50", "SEGMENT_START50")
    assert await asyncio.gather(*(settling.settle_all(world.store, now=world.now) for _ in range(3))) in (
        [1, 0, 0], [0, 1, 0], [0, 0, 1],
    )  # fmt: skip
    assert await posted(world) == [50]
    await assert_sound(world)


async def test_a_renewal_in_the_future_rolls_when_it_comes(world: World) -> None:
    old, _ = await renewed(world, grant("100"), at=DECEMBER)
    assert (await left(world, old.customer_id)) == [("70", "SEGMENT_START100 AUTOMATED_INVOICE_DEDUCTION-30?")]
    assert await settling.settle_all(world.store, now=world.now) == 0
    world.sandbox.set_clock(DECEMBER + DAY)
    assert len(await finalized(world, old)) == 2
    assert [item[0] for item in await left(world, old.customer_id)] == ["0", "50"]
    await assert_sound(world)


async def test_it_rolls_on_at_its_own_fraction(world: World) -> None:
    """100, 30 used, half rolls: 50. Of that 10 are used and half of 50 rolls on: 25; 15 expire."""
    old, new = await renewed(world, grant("100"))
    await world.use(10, at=NOVEMBER + HOUR)
    world.sandbox.set_clock(DECEMBER + HOUR)
    third = await renewal(world, new, at=DECEMBER)
    expected = [
        "SEGMENT_START100 AUTOMATED_INVOICE_DEDUCTION-30 ROLLOVER-50 EXPIRATION-20",
        "SEGMENT_START50 AUTOMATED_INVOICE_DEDUCTION-10 ROLLOVER-25 EXPIRATION-15", "SEGMENT_START25",
    ]  # fmt: skip
    before = [entries.replace("?", "") for _, entries in await left(world, old.customer_id)]
    assert before == expected
    world.sandbox.set_clock(DECEMBER + DAY)
    assert len(await finalized(world, third)) == 2
    assert [entries for _, entries in await left(world, old.customer_id)] == expected
    assert sorted(await posted(world)) == [25, 50]
    await assert_sound(world)


async def test_nothing_rolls_without_a_fraction_or_at_a_supersede(world: World) -> None:
    customer_id = await world.customer()
    old = await world.contract(customer_id, None, price="1", own_terms=OwnTerms(grants=[grant("100")]))
    await renewal(world, old, type=TransitionType.SUPERSEDE)
    other = await world.contract(customer_id, None, own_terms=OwnTerms(grants=[grant("7", fraction=None)]))
    await renewal(world, other)
    assert (await world.finalize()).failures == []
    async with world.store.transaction() as session:
        assert (await session.execute(select(GrantRow).where(col(GrantRow.rolled_from_id).is_not(None)))).all() == []
        settled = await session.execute(select(TransitionRow.settled_at))
        assert all(at is not None for at in settled.scalars())
    assert await left(world, customer_id) == [
        ("0", "SEGMENT_START100 EXPIRATION-100"), ("0", "SEGMENT_START7 EXPIRATION-7"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("true_ups", "fraction", "billed", "billed_later"),
    [
        pytest.param(FutureTrueUps.AS_IS, "0.5", [20], [40], id="what did not roll is billed"),
        pytest.param(FutureTrueUps.AS_IS, "1", [], [60], id="all of it rolls"),
        pytest.param(FutureTrueUps.AS_IS, None, [70], [], id="nothing rolls"),
        pytest.param(FutureTrueUps.REMOVE, "0.5", [], [40], id="the rest is let go"),
    ],
)
async def test_a_postpaid_commit_rolls_before_it_is_trued_up(
    world: World, true_ups: FutureTrueUps, fraction: str | None, billed: list[int], billed_later: list[int]
) -> None:
    """Committed 100, 30 counted: what rolls is owed under the new contract, and billed at its end."""
    commit = grant("100", GrantType.POSTPAID, fraction=fraction)
    _, new = await renewed(world, commit, true_ups=true_ups, ending_before=DECEMBER)
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    assert (await world.finalize()).failures == []
    found = await world.invoices()
    assert [item.total for item in found if item.type == "TRUEUP"] == billed
    world.sandbox.set_clock(DECEMBER + 2 * DAY)
    await world.use(10, at=NOVEMBER + HOUR)
    assert (await world.finalize()).failures == []
    late = [item.total for item in await world.invoices() if item.type == "TRUEUP" and item.contract_id == new.id]
    assert late == billed_later
    await assert_sound(world)


async def test_what_rolled_stays_when_the_last_invoice_is_void(world: World) -> None:
    """30 come back to the old balance, where only the invoice that is made again can use them."""
    old, _ = await renewed(world, grant("100", fraction="1"))
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    [final] = await finalized(world, old)
    async with world.store.transaction() as session:
        await void_invoice(session, final.id, reason="slip", now=world.now)
    assert [item[0] for item in await left(world, old.customer_id)] == ["0", "70"]
    await world.use(15, at=OCTOBER + 2 * HOUR)
    async with world.store.transaction() as session:
        again = await regenerate_invoice(session, final.id, now=world.now)
    assert again.total == 15, "45 were used, and 30 had not rolled"
    assert await posted(world) == [70]
    assert [item[0] for item in await left(world, old.customer_id)] == ["0", "70"]
    await assert_sound(world)


async def test_what_rolled_over_is_canceled_with_its_purchase(world: World) -> None:
    """50 rolled over of a commit whose invoice is voided: they are gone until it is made again."""
    paid = PaymentSchedule((ScheduledItem(OCTOBER, Decimal(80), Decimal(1)),))
    old, _ = await renewed(world, grant("100", payment=paid))
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    assert (await world.finalize()).failures == []
    [purchase] = [item for item in await world.invoices() if item.type == "SCHEDULED"]
    async with world.store.transaction() as session:
        await void_invoice(session, purchase.id, reason="slip", now=world.now)
    canceled = "SEGMENT_START50 CANCELED-50"
    assert (await left(world, old.customer_id))[1] == ("0", canceled)
    await assert_sound(world)
    async with world.store.transaction() as session:
        assert (await regenerate_invoice(session, purchase.id, now=world.now)).total == 80
    assert (await left(world, old.customer_id))[1] == ("50", f"{canceled} CREDITED50")
    await assert_sound(world)


async def test_an_archived_successor_frees_the_old_contract(world: World) -> None:
    """Before anything was posted: the balance is whole again when the contract goes on, and may be followed again."""
    old, new = await renewed(world, grant("100"))
    async with world.store.transaction() as session:
        await ending.archive(session, new.id, void_invoices=False, now=world.now)
        contract, _ = await ending.update_end_date(session, old.id, None)
        assert contract.ending_before is None
    assert (await world.finalize()).failures == []
    found = await left(world, old.customer_id)
    assert found == [("70", "SEGMENT_START100 AUTOMATED_INVOICE_DEDUCTION-30")]
    assert await posted(world) == []
    await renewal(world, old, at=DECEMBER)
    world.sandbox.set_clock(DECEMBER + DAY)
    assert (await world.finalize()).failures == []
    assert await posted(world) == [50]
    await assert_sound(world)


async def test_an_archived_old_contract_hands_nothing_on(world: World) -> None:
    old, _ = await renewed(world, grant("100"))
    async with world.store.transaction() as session:
        await ending.archive(session, old.id, void_invoices=False, now=world.now)
    assert await settling.settle_all(world.store, now=world.now) == 1
    assert await posted(world) == []
    assert await left(world, old.customer_id) == [("0", "SEGMENT_START100 EXPIRATION-100")]


async def test_the_books_of_a_renewal_are_only_added_to(world: World) -> None:
    old, _ = await renewed(world, grant("100"))
    await finalized(world, old)
    async with world.store.transaction() as session:
        found = await session.execute(text("select source, target, amount from transfers where kind = 'ROLLOVER'"))
        [(source, target, amount)] = found.all()
        rows = {str(row.id): row for row in (await session.execute(select(GrantRow))).scalars()}
        invoices = (await session.execute(select(Invoice))).scalars().all()
    assert amount == 50
    assert rows[target.split(":")[1]].rolled_from_id == UUID(source.split(":")[1])
    assert len(invoices) == 1


async def test_what_rolled_over_is_not_edited_on_either_side(world: World) -> None:
    """Half of 100 rolls: the new balance cannot be edited at all, of the old one only what did not roll."""
    old, new = await renewed(world, grant("100"))
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    await finalized(world, old)
    async with world.store.transaction() as session:
        rows = (await session.execute(select(GrantRow).order_by(col(GrantRow.created_at)))).scalars().all()
    by_contract = {row.contract_id: row.id for row in rows}
    bigger = GrantEdit(access=SegmentEdits(update=[SegmentUpdate(0, amount=Decimal(500))]))
    cases = [
        (new.id, GrantEdit({"name": "renamed"}), "cannot be edited"),
        (new.id, bigger, "cannot be edited"),
        (old.id, bigger, "rolled over into another contract"),
    ]
    for contract_id, edit, message in cases:
        with pytest.raises(InvalidState, match=message) as refused:
            async with world.store.transaction() as session:
                await update_balance(session, world.connections, by_contract[contract_id], edit, now=world.now)
        assert refused.value.code == ErrorCode.ILLEGAL_TRANSITION
    async with world.store.transaction() as session:
        edit = GrantEdit({"name": "renamed"})
        row = await update_balance(session, world.connections, by_contract[old.id], edit, now=world.now)
    assert row.name == "renamed"
    await assert_sound(world)
