"""Scheduled invoices among the others: listed, frozen, proven, metered from their date, and sent by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.catalog.products import create_product
from app.commands.checking import RULES
from app.contracts.charge_rules import NewCharge
from app.contracts.charges import add_scheduled_charge
from app.contracts.frozen import terms_from_json
from app.contracts.new_fees import NewFees
from app.contracts.own_terms import OwnTerms
from app.contracts.tables import Contract, ScheduledChargeRow
from app.core.fees import ScheduledItem
from app.core.items import items_due
from app.customers.tables import BillingConfiguration
from app.delivery.documents import invoice_document
from app.delivery.owing import owed_through
from app.errors import ErrorCode, InvalidInput, NotFound
from app.invoices.books import changed_invoices, line_of
from app.invoices.due import due_contracts
from app.invoices.open import open_statements
from app.invoices.service import finalize_statement
from app.invoices.tables import InvoiceInputs, InvoiceLine
from tests.delivery.world import HOUR, NOON, NOVEMBER, OCTOBER, World

DECEMBER = NOVEMBER + timedelta(days=30)


async def setup(world: World) -> NewCharge:
    """A charge of a new product, without dates."""
    async with world.store.transaction() as session:
        product = await create_product(session, name="Setup", type="FIXED", now=world.now)
    return NewCharge(product_id=product.id)


def dated(charge: NewCharge, *items: tuple[datetime, str], unit: str | None = None) -> NewCharge:
    found = [ScheduledItem(at, Decimal(amount), Decimal(1)) for at, amount in items]
    return NewCharge(product_id=charge.product_id, items=found, unit=unit)


async def account(world: World, provider: str, *charges: NewCharge, consolidate: bool = False) -> Contract:
    return await world.account(provider, own_terms=OwnTerms(fees=NewFees(charges, (), consolidate)))


async def listed(world: World) -> list[tuple[str, datetime, str]]:
    async with world.store.transaction() as session:
        contracts = list((await session.execute(select(Contract))).scalars())
        found = await open_statements(session, contracts, now=world.now)
        return [(item.type, item.period.starting_at, item.currency) for item in found]


async def broken_rules(world: World) -> list[str]:
    async with world.store.transaction() as session:
        counts = {rule: (await session.execute(text(query))).scalar_one() for rule, (_, query) in RULES.items()}
    return [rule for rule, count in counts.items() if count]


async def test_open_invoices_come_in_the_order_in_which_they_become_final(world: World) -> None:
    charge = await setup(world)
    # Signed at noon of November 2: what is dated within two hours waits until they are over.
    soon = NOON + HOUR
    await account(world, "stripe", dated(charge, (NOVEMBER, "5"), (NOVEMBER, "6"), (soon, "7"), (DECEMBER, "8")))
    assert await listed(world) == [
        ("SCHEDULED", NOVEMBER, "USD"),
        ("USAGE", OCTOBER, "USD"),
        ("USAGE", NOVEMBER, "USD"),
    ]
    world.sandbox.move(hours=1)
    await world.finalize()
    assert [(invoice.type, invoice.starting_at, invoice.issued_at) for invoice in await world.invoices()] == [
        ("SCHEDULED", NOVEMBER, NOVEMBER), ("USAGE", OCTOBER, NOVEMBER + 24 * HOUR),
    ]  # fmt: skip
    assert ("SCHEDULED", soon, "USD") in await listed(world)
    world.sandbox.move(hours=1)
    await world.finalize()
    last = (await world.invoices())[-1]
    assert (last.number, last.starting_at, last.issued_at, last.total) == (3, soon, NOON + 2 * HOUR, 7)
    assert await broken_rules(world) == []


async def test_a_final_invoice_is_proven_and_can_be_worked_out_again(world: World) -> None:
    charge = await setup(world)
    contract = await account(
        world, "stripe", dated(charge, (NOVEMBER, "5.005"), (NOVEMBER, "1")), dated(charge, (NOVEMBER, "3"), unit="EUR")
    )
    await world.finalize()
    async with world.store.transaction() as session:
        await add_scheduled_charge(
            session, world.connections, contract.id, dated(charge, (NOVEMBER, "2")), now=world.now
        )
    await world.finalize()
    by_total = {
        (invoice.currency, invoice.ordinal): invoice
        for invoice in await world.invoices()
        if invoice.type == "SCHEDULED"
    }
    assert {key: invoice.total for key, invoice in by_total.items()} == {
        ("USD", 0): Decimal("6.01"),
        ("EUR", 0): 3,
        ("USD", 1): 2,
    }
    async with world.store.transaction() as session:
        assert await changed_invoices(session) == (4, [])
        for invoice in by_total.values():
            rows = await session.execute(
                select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(InvoiceLine.position)  # type: ignore[arg-type]
            )
            lines = [line for line in map(line_of, rows.scalars()) if line.charged_at is not None]
            inputs = await session.get_one(InvoiceInputs, invoice.id)
            due = items_due(terms_from_json(inputs.terms), until=NOVEMBER)
            assert [line for line in lines if line not in [item.line for item in due]] == []
    assert await broken_rules(world) == []


async def test_a_draft_that_somebody_else_made_final_bills_nothing_twice(world: World) -> None:
    charge = await setup(world)
    contract = await account(world, "stripe", dated(charge, (NOVEMBER, "5")))
    async with world.store.transaction() as session:
        row = await session.get_one(Contract, contract.id)
        stale = (await open_statements(session, [row], now=world.now))[0]
        await world.finalize()
        assert not (await finalize_statement(session, stale, now=world.now)).is_new
        with pytest.raises(NotFound):
            await finalize_statement(session, replace(stale, id=UUID(int=0)), now=world.now)
    assert len([invoice for invoice in await world.invoices() if invoice.type == "SCHEDULED"]) == 1


async def test_a_marketplace_owes_a_charge_from_its_date_on(world: World) -> None:
    charge = await setup(world)
    dates = ((NOVEMBER, "5"), (NOON + HOUR, "7"), (DECEMBER, "100"))
    contract = await account(world, "aws_marketplace", dated(charge, *dates), consolidate=True)

    async def owed() -> Decimal:
        async with world.store.transaction() as session:
            chosen = contract.billing_configuration_id
            assert chosen is not None
            return (await owed_through(session, contract.customer_id, [chosen], requesting=(), now=world.now))[chosen]

    # October's statement carries the first, November's the last, which is still to come.
    assert await owed() == 5
    await world.finalize()
    assert await owed() == 5
    world.sandbox.move(hours=1)
    assert await owed() == 12
    world.sandbox.set_clock(DECEMBER)
    assert await owed() == 112


async def test_a_document_of_a_scheduled_invoice_has_a_date_and_no_period(world: World) -> None:
    charge = await setup(world)
    contract = await account(world, "stripe", dated(charge, (NOVEMBER + HOUR, "5.5")))
    await world.finalize()
    invoice = next(item for item in await world.invoices() if item.type == "SCHEDULED")
    async with world.store.transaction() as session:
        assert contract.billing_configuration_id is not None
        row = await session.get_one(BillingConfiguration, contract.billing_configuration_id)
        document = await invoice_document(session, invoice, row)
    assert (document.date, document.service_starting_at, document.service_ending_before) == (
        NOVEMBER + HOUR,
        None,
        None,
    )
    assert [(line.description, line.amount, line.starting_at) for line in document.lines] == [
        ("Setup", Decimal("5.5"), None)
    ]
    await world.open()
    await world.sweep()
    [sent] = [item for item in world.sandbox.effects("stripe") if item["total"] == 550]
    assert sent["effective_at"] == int((NOVEMBER + HOUR).timestamp())


async def test_a_currency_that_the_provider_does_not_take_is_refused(world: World) -> None:
    charge = await setup(world)
    contract = await account(world, "aws_marketplace")
    with pytest.raises(InvalidInput) as refused:
        async with world.store.transaction() as session:
            await add_scheduled_charge(
                session, world.connections, contract.id, dated(charge, (NOVEMBER, "5"), unit="EUR"), now=world.now
            )
    assert (refused.value.code, refused.value.path) == (ErrorCode.CURRENCY_MISMATCH, ("input", "currency"))
    with pytest.raises(InvalidInput):
        await world.contract(
            contract.customer_id, contract.billing_configuration_id,
            own_terms=OwnTerms(fees=NewFees([dated(charge, (NOVEMBER, "5"), unit="EUR")])),
        )  # fmt: skip
    async with world.store.transaction() as session:
        stored: Sequence[ScheduledChargeRow] = (await session.execute(select(ScheduledChargeRow))).scalars().all()
    assert stored == []


async def test_a_broken_contract_with_charges_stops_no_other_customer(world: World) -> None:
    charge = await setup(world)
    broken = await account(world, "stripe", dated(charge, (NOVEMBER, "5")))
    sound = await world.account("stripe", name="sound", settings={"stripeCustomerId": "cus_sound"})
    async with world.store.transaction() as session:
        await session.execute(text("update contracts set currency = 'XXX' where id = :id"), {"id": broken.id})
    async with world.store.transaction() as session:
        assert set(await due_contracts(session, as_of=world.now)) == {broken.id, sound.id}
    report = await world.finalize()
    assert [contract_id for contract_id, _ in report.failures] == [broken.id]
    assert [invoice.contract_id for invoice in await world.invoices()] == [sound.id]
