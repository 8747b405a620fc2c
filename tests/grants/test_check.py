"""`metrograph check` on balances: sound books pass, and each rule finds the fault that it is for."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.commands.checking import RULES
from app.contracts.own_terms import OwnTerms
from app.core.fees import ScheduledItem
from app.core.grants import GrantType
from app.grants.definitions import PaymentSchedule
from app.invoices.balance_books import unbalanced
from app.invoices.voiding import void_invoice
from tests.delivery.world import HOUR, NOVEMBER, OCTOBER, World
from tests.grants.test_grants import assert_sound
from tests.grants.test_rollover import DAY, grant, renewed

LINES = "what an invoice takes from each balance is what its lines take off"
OVERDRAWN = "no invoice draws from a balance what it did not have"
PURCHASES = "every purchase of a commit is billed at most once"
GIVEN_BACK = "a void invoice gave back what it took from balances"
ROLLED = "what rolled over left one balance and came into one other, in the same amount"


@pytest.fixture
async def books(world: World) -> World:
    """A bought commit that rolled over, a true-up, a void purchase and a void statement."""
    paid = PaymentSchedule((ScheduledItem(OCTOBER, Decimal(80), Decimal(1)),))
    commit = grant("100", payment=paid, priority=Decimal(1))
    await renewed(world, commit, grant("40", GrantType.POSTPAID, fraction=None), used=70)
    other = await world.customer("birch")
    gift, bought = grant("9", GrantType.CREDIT, priority=Decimal(0)), grant("7", payment=paid, priority=Decimal(1))
    contract = await world.contract(other, None, price="1", own_terms=OwnTerms(grants=[gift, bought]))
    await world.use(12, at=OCTOBER + HOUR, customer="birch")
    world.sandbox.set_clock(NOVEMBER + 2 * DAY)
    assert (await world.finalize()).failures == []
    for invoice in await world.invoices():
        if invoice.contract_id == contract.id:
            async with world.store.transaction() as session:
                await void_invoice(session, invoice.id, reason="slip", now=world.now)
    await assert_sound(world)
    return world


async def plant(world: World, *statements: str) -> None:
    """Do what only a database administrator can."""
    async with world.store.transaction() as session:
        for table in ("transfers", "invoice_lines", "invoice_voids"):
            await session.execute(text(f"alter table {table} disable trigger user"))
        for statement in statements:
            await session.execute(text(statement))


DRAW = "kind = 'AUTOMATED_INVOICE_DEDUCTION'"
COPY = (
    "create temp table copied on commit drop as select * from invoice_lines where type = 'commit_purchase' limit 1",
    "update copied set position = 99",
    "insert into invoice_lines select * from copied",
)


@pytest.mark.parametrize(
    ("rule", "statements"),
    [
        pytest.param(LINES, [f"update transfers set amount = amount + 0.01 where {DRAW}"], id="a draw without a line"),
        pytest.param(LINES, ["update invoice_lines set amount = amount - 1 where type = 'applied'"], id="a line without a draw"),
        pytest.param(OVERDRAWN, ["update grant_segments set amount = 1"], id="drawn more than there was"),
        pytest.param(PURCHASES, ["delete from invoice_voids", *COPY], id="bought twice"),
        pytest.param(GIVEN_BACK, ["delete from transfers where kind = 'CREDITED'"], id="a void that gave nothing back"),
        pytest.param(ROLLED, ["update transfers set amount = amount + 1 where kind = 'ROLLOVER'"], id="more left than came"),
        pytest.param(ROLLED, ["delete from transfers where kind = 'ROLLOVER'"], id="came from nowhere"),
        pytest.param(ROLLED, ["delete from grant_segments where grant_id in (select id from grants where rolled_from_id is not null)"], id="went nowhere"),
    ],
)  # fmt: skip
async def test_a_fault_breaks_its_rule(books: World, rule: str, statements: list[str]) -> None:
    await plant(books, *statements)
    async with books.store.transaction() as session:
        counts = {name: (await session.execute(text(query))).scalar_one() for name, (_, query) in RULES.items()}
    assert counts[rule] > 0


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        pytest.param(f"update transfers set amount = amount + 0.01 where {DRAW}", 3, id="a draw without a line"),
        pytest.param("update transfers set amount = amount - 1 where kind = 'TRUEUP'", 1, id="a true-up without a line"),
        pytest.param("delete from transfers where kind = 'CREDITED'", 2, id="not given back"),
        pytest.param("update transfers set target = 'adjustment' where kind = 'CANCELED'", 1, id="canceled without its purchase"),
        pytest.param("update transfers set amount = amount - 1 where kind = 'ROLLOVER'", 1, id="less left than came"),
        pytest.param("delete from grant_segments where grant_id in (select id from grants where rolled_from_id is not null)", 1, id="went nowhere"),
    ],
)  # fmt: skip
async def test_a_fault_unbalances_the_books(books: World, statement: str, wrong: int) -> None:
    """Both sides are sums of their own, so an entry that stands on one of them only is found at its balance."""
    await plant(books, statement)
    async with books.store.transaction() as session:
        checked, found = await unbalanced(session, now=books.now)
    assert (checked, len(found)) == (5, wrong)
