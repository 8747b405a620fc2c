"""Recompute: every kind of invoice gives the same bytes from its frozen inputs, whatever happened since; faults are found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.rates import add_rates
from app.commands import recomputing
from app.commands.shell import Exit
from app.contracts.charge_rules import NewCharge
from app.contracts.charges import add_scheduled_charge
from app.contracts.ending import archive_contract
from app.contracts.new_fees import NewFees
from app.contracts.own_terms import OwnTerms
from app.core.fees import ScheduledItem
from app.core.grants import GrantType
from app.core.rates import Flat
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule
from app.invoices import inputs
from app.invoices.recomputing import Outcome, Recomputed
from app.invoices.regenerating import regenerate_invoice
from app.invoices.tables import Invoice, InvoiceInputs
from app.invoices.voiding import void_invoice
from app.runtime import Runtime
from app.scenario.runner import run_file
from app.store.engine import Store
from tests.delivery.world import HOUR, NOVEMBER, OCTOBER, World
from tests.invoices.recomputed import assert_all_same, recomputed

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TABLES = ("invoices", "invoice_lines", "invoice_inputs")
FEE = "it was made by a release that did not freeze which fees and charges it bills"
COMMIT = "it was made by a release that did not freeze what was missing of the commit"


@pytest.mark.parametrize(
    ("scenario", "least"),
    [
        ("commit-rate-shares-tier-position", 1),
        ("composite-tiered-percentage", 1),
        ("consolidation-on-usage-invoice", 2),
        ("custom-unit-then-fiat-credit", 1),
        ("shared-credit-over-contracts", 1),
        ("partial-cover-division", 1),
        ("postpaid-trueup", 1),
        ("presentation-key-restarts-tiers", 1),
        ("recurring-commit-is-invoiced", 1),
        ("rollover-fraction", 1),
        ("rounding-kwd-rounded", 1),
        ("schedule-one-invoice-per-instant", 1),
        ("subscription-arrears-first-period", 1),
        ("subscription-increase-in-mid-period", 1),
        ("usage-filter-change", 1),
        ("void-restores-balance", 2),
    ],
)
async def test_what_golden_scenarios_made(database_url: str, scenario: str, least: int) -> None:
    assert (await run_file(GOLDEN / f"{scenario}.json", database_url, strict=False)).problems == []
    store = await Store(database_url, max_connections=2).open()
    try:
        assert await assert_all_same(store) >= least
    finally:
        await store.close()


@pytest.fixture
async def books(world: World) -> World:
    """Of October: a purchase; 12 units at 1, 7 of them paid by the commit, beside a charge of 5; 35 of 40 were missing."""
    async with world.store.transaction() as session:
        setup = await create_product(session, name="Setup", type="FIXED", now=world.now)
    paid = PaymentSchedule((ScheduledItem(OCTOBER, Decimal(6), Decimal(1)),))
    grants = [
        NewGrant(type=type, segments=[NewSegment(Decimal(amount), OCTOBER, NOVEMBER)], **parts)  # type: ignore[arg-type]
        for type, amount, parts in (
            (GrantType.PREPAID, 7, {"payment": paid, "priority": Decimal(1)}),
            (GrantType.POSTPAID, 40, {"priority": Decimal(2)}),
        )
    ]
    charge = NewCharge(product_id=setup.id, items=[ScheduledItem(NOVEMBER, Decimal("5.005"), Decimal(1))])
    terms = OwnTerms(grants=grants, fees=NewFees([charge], (), True))
    await world.contract(await world.customer(), None, price="1", own_terms=terms)
    await world.use(12, at=OCTOBER + HOUR)
    world.sandbox.set_clock(NOVEMBER + timedelta(days=2))
    assert (await world.finalize()).failures == []
    assert sorted((item.type, item.total) for item in await world.invoices()) == [
        ("SCHEDULED", 6), ("TRUEUP", 35), ("USAGE", Decimal("10.01")),
    ]  # fmt: skip
    assert await assert_all_same(world.store) == 3
    return world


async def test_later_changes_change_nothing(books: World) -> None:
    """Other prices, late usage, more charges, a void and what is made again from all of it, an archived contract."""
    [usage] = [item for item in await books.invoices() if item.type == "USAGE"]
    async with books.store.transaction() as session:
        [card] = (await session.execute(text("select id from rate_cards"))).scalars()
        rates = [NewRate(product_id=books.product, rate=Flat(Decimal(3)), starting_at=OCTOBER + 2 * HOUR)]
        await add_rates(session, card, rates, now=books.now)
        [setup] = (await session.execute(text("select id from products where name = 'Setup'"))).scalars()
        charge = NewCharge(product_id=setup, items=[ScheduledItem(NOVEMBER, Decimal(2), Decimal(1))])
        await add_scheduled_charge(session, books.connections, usage.contract_id, charge, now=books.now)
    await books.use(4, at=OCTOBER + 3 * HOUR)
    await books.finalize()
    for item in await books.invoices():
        async with books.store.transaction() as session:
            await void_invoice(session, item.id, reason="slip", now=books.now)
    for item in await books.invoices():
        async with books.store.transaction() as session:
            await regenerate_invoice(session, item.id, now=books.now)
    assert Decimal("22.01") in [item.total for item in await books.invoices()], "4 more at 3"
    async with books.store.transaction() as session:
        await archive_contract(session, usage.contract_id, now=books.now)
        await session.execute(text("truncate events, event_ids, bucket_deltas, bucket_hours"))
    assert await assert_all_same(books.store) == 2 * 4


async def plant(world: World, *statements: str, honest: bool = False) -> None:
    """Do what only a database administrator can; an `honest` one makes the digests right again."""
    async with world.store.transaction() as session:
        for table in TABLES:
            await session.execute(text(f"alter table {table} disable trigger user"))
        for statement in statements:
            await session.execute(text(statement))
        if honest:
            for row in (await session.execute(select(InvoiceInputs))).scalars():
                row.digest = inputs.digest_of(row)


def told(found: list[Recomputed]) -> Iterator[tuple[int | None, str, object, object]]:
    for item in found:
        for one in item.differences:
            yield one.line, one.part, one.stored, one.computed


USAGE = "type = 'usage' and quantity = 5"
DOUBLED = "create temp table copied on commit drop as select * from invoice_lines where " + USAGE


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([f"update invoice_lines set amount = amount + 0.01 where {USAGE}"], (3, "amount", "5.01", "5"), id="amount"),
        pytest.param([f"update invoice_lines set quantity = 6 where {USAGE}"], (3, "quantity", "6", "5"), id="quantity"),
        pytest.param([f"update invoice_lines set unit_price = 2 where {USAGE}"], (3, "unit_price", "2", "1"), id="price"),
        pytest.param([f"delete from invoice_lines where {USAGE}"], (3, "line"), id="line missing"),
        pytest.param([DOUBLED, "update copied set position = 99", "insert into invoice_lines select * from copied"], (7, "line"), id="line added"),
        pytest.param(["delete from invoice_lines where type = 'scheduled'"], (5, "line"), id="charge missing"),
        pytest.param(["update invoices set total = total + 1 where type = 'USAGE'"], (None, "total", "11.01", "10.01"), id="total"),
        pytest.param(["update invoices set content_hash = md5('x') where type = 'USAGE'"], (None, "content_hash"), id="hash"),
        pytest.param(["""update invoice_inputs set usage = jsonb_set(usage, '{0,hours,0,1}', '"13"') where usage <> '[]'"""], (None, "inputs.digest"), id="usage"),
        pytest.param(["""update invoice_inputs set terms = jsonb_set(terms, '{rates,0,rate,price}', '"2"')"""], (None, "inputs.digest"), id="terms"),
        pytest.param(["""update invoice_inputs set pots = jsonb_set(pots, '{0,segments,0,available}', '"3"') where pots <> '[]'"""], (None, "inputs.digest"), id="pots"),
        pytest.param(["update invoice_inputs set digest = md5('x')"], (None, "inputs.digest"), id="digest"),
        pytest.param(["update invoice_inputs set unrated = '[{}]'"], (None, "inputs.unrated"), id="unrated"),
        pytest.param(["delete from invoice_inputs"], (None, "inputs"), id="inputs missing"),
    ],
)  # fmt: skip
async def test_a_fault_is_found(books: World, statements: list[str], expected: tuple[object, ...]) -> None:
    await plant(books, *statements)
    found = list(told(await recomputed(books.store)))
    assert expected in [one[: len(expected)] for one in found]
    if expected[0] is not None:
        assert len([one for one in found if one[0] is not None]) == 1, "one line is told as one"


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        pytest.param("""update invoice_inputs set usage = jsonb_set(usage, '{0,hours,0,1}', '"13"') where usage <> '[]'""", "quantity", id="usage"),
        pytest.param("""update invoice_inputs set terms = jsonb_set(terms, '{rates,0,rate,price}', '"2"')""", "unit_price", id="terms"),
        pytest.param("""update invoice_inputs set pots = jsonb_set(pots, '{0,segments,0,available}', '"3"') where pots <> '[]'""", "amount", id="pots"),
        pytest.param("""update invoice_inputs set terms = terms || '{"items": []}'""", "line", id="items"),
        pytest.param("""update invoice_inputs set terms = terms - 'period'""", "inputs", id="unreadable"),
    ],
)  # fmt: skip
async def test_inputs_that_were_changed_with_their_digest_give_another_invoice(
    books: World, statement: str, part: str
) -> None:
    await plant(books, statement, honest=True)
    found = list(told(await recomputed(books.store)))
    assert "inputs.digest" not in [one[1] for one in found]
    assert part in [one[1] for one in found]


async def test_what_an_earlier_release_did_not_freeze_is_told_and_no_difference(books: World) -> None:
    early = "update invoice_inputs i set terms = terms - 'items'"
    true_up = (
        "update invoice_inputs set pots = '[]' where invoice_id in (select id from invoices where type = 'TRUEUP')"
    )
    await plant(books, early, true_up, honest=True)
    async with books.store.transaction() as session:
        types = {row.id: row.type for row in (await session.execute(select(Invoice))).scalars()}
    found = {types[item.invoice_id]: (item.outcome, item.reason) for item in await recomputed(books.store)}
    unable = Outcome.NOT_RECOMPUTABLE
    assert found == {"SCHEDULED": (unable, FEE), "USAGE": (unable, FEE), "TRUEUP": (unable, COMMIT)}
    await plant(books, "update invoice_inputs set digest = md5('x')")
    assert {item.outcome for item in await recomputed(books.store)} == {Outcome.DIFFERENT}


async def test_without_fees_an_earlier_release_froze_enough(world: World) -> None:
    await world.contract(await world.customer(), None, price="1")
    await world.use(3, at=OCTOBER + HOUR)
    await world.finalize()
    await plant(world, "update invoice_inputs set terms = terms - 'items'", honest=True)
    assert await assert_all_same(world.store) == 1


async def test_a_rater_that_is_gone_is_no_fault_of_the_books(world: World) -> None:
    await world.contract(await world.customer(), None, price="1")
    await world.use(3, at=OCTOBER + HOUR)
    await world.finalize()
    price = """'{"type": "CUSTOM", "rater": "gone", "parameters": {}, "release": "x 1"}'"""
    await plant(world, f"update invoice_inputs set terms = jsonb_set(terms, '{{rates,0,rate}}', {price})", honest=True)
    [found] = await recomputed(world.store)
    assert found.outcome is Outcome.NOT_RECOMPUTABLE
    assert found.reason == "RATER_FAILED: Rater 'gone' is not installed here any more."


async def test_pages_go_on_where_the_last_one_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.invoices.recomputing.PAGE", 2)
    await world.account("stripe")
    world.sandbox.set_clock(NOVEMBER + timedelta(days=160))
    await world.finalize()
    async with world.store.transaction() as session:
        stored = list((await session.execute(select(Invoice.id).order_by(col(Invoice.id)))).scalars())
    assert len(stored) == 6
    assert [item.invoice_id for item in await recomputed(world.store)] == stored


async def test_reports_are_bounded(
    books: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recomputing, "MAX_TOLD", 1)
    monkeypatch.setattr("app.invoices.recomputing.MAX_DIFFERENCES", 2)
    await plant(books, "update invoice_lines set amount = amount + 1")
    runtime = cast("Runtime", SimpleNamespace(store=books.store))
    assert await recomputing.recompute_invoices(runtime, None, as_json=False) is Exit.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("DIFFERENT inv_")]) == 1
    assert len([line for line in lines if line.startswith("  line")]) <= 2
    assert lines[-2:] == ["… and 2 more that are not the same", "0 same, 3 different, 0 not recomputable"]
