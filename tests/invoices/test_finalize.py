"""From draft to fact: the final invoice says what the draft said, is rounded once, frozen, and never changes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.rates import add_rates
from app.catalog.tables import MetricRow
from app.contracts.ending import archive_contract
from app.contracts.tables import Contract
from app.core.rates import Flat, Tier, Tiered
from app.customers.aliases import set_ingest_aliases
from app.customers.billing import create_billing_configuration
from app.delivery.states import DeliveryStatus
from app.errors import ErrorCode, InvalidState, NotFound
from app.invoices.books import changed_invoices, line_of
from app.invoices.drafts import RatedStatement, rate
from app.invoices.due import due_contracts
from app.invoices.finding import find_draft
from app.invoices.open import open_statements
from app.invoices.service import finalize_invoice
from app.invoices.tables import Invoice, InvoiceInputs, InvoiceLine
from app.store.ids import new_id, to_text
from tests.delivery.world import HOUR, NOON, NOVEMBER, OCTOBER, World


async def drafts(world: World) -> list[RatedStatement]:
    async with world.store.transaction() as session:
        contracts = list((await session.execute(select(Contract))).scalars())
        return [await rate(session, item) for item in await open_statements(session, contracts, now=world.now)]


async def lines(world: World, invoice: Invoice) -> list[InvoiceLine]:
    async with world.store.transaction() as session:
        found = await session.execute(
            select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(InvoiceLine.position)  # type: ignore[arg-type]
        )
        return list(found.scalars())


async def inputs(world: World, invoice: Invoice) -> InvoiceInputs:
    async with world.store.transaction() as session:
        return await session.get_one(InvoiceInputs, invoice.id)


async def test_the_final_invoice_says_what_the_draft_said(world: World) -> None:
    tiers = Tiered((Tier(Decimal(10), Decimal("0.015")), Tier(None, Decimal("0.0071"))))
    await world.account("stripe", price=tiers)
    for number in range(7):
        await world.use("3.5", at=OCTOBER + number * timedelta(days=4))
    [october, _november] = await drafts(world)
    await world.finalize()
    [invoice] = await world.invoices()
    final = [line_of(line) for line in await lines(world, invoice)]
    assert invoice.id == october.id, "a draft keeps its id"
    assert tuple(final[:2]) == october.draft.lines
    # 10 x 0.015 + 14.5 x 0.0071 = 0.25295
    assert [(line.type, line.quantity, line.amount) for line in final] == [
        ("usage", Decimal(10), Decimal("0.15")),
        ("usage", Decimal("14.5"), Decimal("0.10295")),
        ("rounding", None, Decimal("-0.00295")),
    ]
    assert (invoice.subtotal, invoice.total) == (Decimal("0.25295"), Decimal("0.25"))
    assert (invoice.starting_at, invoice.ending_before) == (OCTOBER, NOVEMBER)
    # A run that comes late dates the invoice as a punctual one would have; the row tells when it really was made.
    assert invoice.issued_at == invoice.due_at == NOVEMBER + 24 * HOUR
    assert invoice.created_at == NOON


@pytest.mark.parametrize(
    ("currency", "price", "total", "rounding"),
    [
        ("USD", "0.005", "0.01", "0.005"),  # a half goes up
        ("USD", "0.0049", "0", "-0.0049"),
        ("USD", "0.25", "0.25", None),
        ("JPY", "0.5", "1", "0.5"),
        ("KWD", "0.0005", "0.001", "0.0005"),
    ],
)
async def test_a_total_is_rounded_once_and_a_line_says_so(
    world: World, currency: str, price: str, total: str, rounding: str | None
) -> None:
    await world.account("stripe", price=price, currency=currency)
    await world.use(1, at=NOVEMBER - HOUR)
    await world.finalize()
    [invoice] = await world.invoices()
    assert invoice.total == Decimal(total)
    found = [line.amount for line in await lines(world, invoice) if line.type == "rounding"]
    assert found == ([] if rounding is None else [Decimal(rounding)])


async def test_not_before_it_is_due(world: World) -> None:
    await world.account("stripe")
    world.sandbox.set_clock(NOVEMBER + 24 * HOUR - timedelta(seconds=1))
    [october, november] = await drafts(world)
    async with world.store.transaction() as session:
        assert await due_contracts(session, as_of=world.now) == []
        for early in (october, november):
            with pytest.raises(InvalidState) as refused:
                await finalize_invoice(session, early.id, now=world.now)
            assert refused.value.code == ErrorCode.NOT_DUE
        with pytest.raises(NotFound):
            await finalize_invoice(session, new_id(), now=world.now)
    world.sandbox.move(seconds=1)
    async with world.store.transaction() as session:
        made = await finalize_invoice(session, october.id, now=world.now)
        again = await finalize_invoice(session, october.id, now=world.now)
    assert (made.is_new, again.is_new) == (True, False)
    assert made.invoice.id == again.invoice.id


async def test_each_month_once_oldest_first(world: World) -> None:
    await world.account("stripe")
    world.sandbox.set_clock(NOVEMBER + timedelta(days=70))
    await world.finalize()
    await world.finalize()
    starts = [(item.number, item.starting_at.month) for item in await world.invoices()]
    assert starts == [(1, 10), (2, 11), (3, 12)]


@pytest.mark.parametrize("table", ["invoices", "invoice_lines", "invoice_inputs"])
@pytest.mark.parametrize("statement", ["update {} set {}", "delete from {}", "truncate {} cascade"])
async def test_the_database_refuses_changes(world: World, table: str, statement: str) -> None:
    await world.account("stripe")
    await world.use(1, at=NOVEMBER - HOUR)
    await world.finalize()
    change = {"invoices": "total = 0", "invoice_lines": "amount = 0", "invoice_inputs": "usage = '[]'"}[table]
    with pytest.raises(DBAPIError, match="only ever added"):
        async with world.store.transaction() as session:
            await session.execute(text(statement.format(table, change)))
    [invoice] = await world.invoices()
    assert invoice.total == Decimal("0.01")


async def test_late_usage_changes_no_final_invoice_and_joins_no_other(world: World) -> None:
    await world.account("stripe")
    await world.use(100, at=NOVEMBER - HOUR)
    await world.finalize()
    before = [(item.total, item.content_hash) for item in await world.invoices()]
    await world.use(900, at=NOVEMBER - HOUR)
    await world.finalize()
    assert [(item.total, item.content_hash) for item in await world.invoices()] == before
    [november] = await drafts(world)
    assert november.draft.subtotal == 0


async def test_usage_of_nobody_is_billed_once_somebody_has_its_alias(world: World) -> None:
    contract = await world.account("stripe")
    await world.use(100, at=NOVEMBER - HOUR, customer="machine-7")
    [october, _] = await drafts(world)
    assert october.draft.subtotal == 0
    async with world.store.transaction() as session:
        await set_ingest_aliases(session, contract.customer_id, ["machine-7"], now=world.now)
    [october, _] = await drafts(world)
    assert october.draft.subtotal == Decimal(1)
    await world.use(10, at=NOVEMBER - HOUR, customer=to_text("customer", contract.customer_id))
    await world.finalize()
    [invoice] = await world.invoices()
    assert invoice.total == Decimal("1.1")


async def test_two_contracts_of_a_customer_go_to_two_providers(world: World) -> None:
    customer_id = await world.customer()
    aws = await world.configuration(customer_id, "aws_marketplace")
    azure = await world.configuration(customer_id, "azure_marketplace")
    await world.contract(customer_id, aws, price="1")
    await world.contract(customer_id, azure, price="2")
    await world.use(5, at=NOVEMBER - HOUR)
    await world.finalize()
    await world.sweep()
    deliveries = {item.provider: item for item in await world.deliveries()}
    assert {name: item.total for name, item in deliveries.items()} == {
        "aws_marketplace": Decimal(5),
        "azure_marketplace": Decimal(10),
    }
    assert {item.status for item in deliveries.values()} == {DeliveryStatus.DELIVERED}
    assert world.sandbox.metered("aws_marketplace") == 500
    assert world.sandbox.metered("azure_marketplace") == 1000


async def test_a_contract_without_a_choice_follows_the_customers_default(world: World) -> None:
    customer_id = await world.customer()
    await world.configuration(customer_id, "aws_marketplace")
    async with world.store.transaction() as session:
        default = await create_billing_configuration(
            session, world.connections, customer_id=customer_id, provider="stripe", is_default=True,
            settings={"stripeCustomerId": "cus_Default"}, now=world.now,
        )  # fmt: skip
    await world.contract(customer_id, None)
    await world.finalize()
    [invoice] = await world.invoices()
    assert invoice.billing_configuration_id == default.id


async def test_what_made_an_invoice_is_frozen_with_it(world: World) -> None:
    contract = await world.account("stripe", price="0.1")
    await world.use(5, at=NOVEMBER - 2 * HOUR)
    await world.use(7, at=NOVEMBER - HOUR)
    await world.finalize()
    [invoice] = await world.invoices()
    frozen = await inputs(world, invoice)
    assert frozen.terms["contract"] == str(contract.id)
    assert [rate["rate"] for rate in frozen.terms["rates"]] == [{"type": "FLAT", "price": "0.1"}]
    [usage] = frozen.usage
    assert usage["product"] == str(world.product)
    assert [quantity for _hour, quantity in usage["hours"]] == ["5", "7"]
    assert frozen.ingest_batch == 2
    assert len(frozen.digest) == 64
    assert frozen.unrated == []


async def test_usage_without_a_price_is_kept_in_sight(world: World) -> None:
    async with world.store.transaction() as session:
        metric = (await session.execute(select(MetricRow))).scalar_one()
        other = await create_product(session, name="Other", metric_id=metric.id, now=world.now)
    contract = await world.account("stripe", product_id=other.id)
    async with world.store.transaction() as session:
        assert contract.rate_card_id is not None
        rates = [NewRate(product_id=world.product, rate=Flat(Decimal(1)), starting_at=NOVEMBER)]
        await add_rates(session, contract.rate_card_id, rates, now=world.now)
    await world.use(100, at=NOVEMBER - HOUR)
    [october, _] = await drafts(world)
    assert [(item.key.product_id, item.quantity) for item in october.unrated] == [(world.product, Decimal(100))]
    await world.finalize()
    [invoice] = await world.invoices()
    assert invoice.total == Decimal(1), "the other product has a price"
    [kept] = (await inputs(world, invoice)).unrated
    assert (kept["product"], kept["quantity"]) == (str(world.product), "100")


async def test_a_changed_row_is_found(world: World) -> None:
    for name in ("acme", "birch"):
        await world.account("stripe", name=name, settings={"stripeCustomerId": f"cus_{name}"})
        await world.use(100, at=NOVEMBER - HOUR, customer=name)
    await world.finalize()
    async with world.store.transaction() as session:
        assert await changed_invoices(session) == (2, [])
    first, _second = await world.invoices()
    for change in (
        "update invoice_lines set quantity = quantity + 1 where invoice_id = :id",
        "update invoices set total = total + 1 where id = :id",
        "update invoices set issued_at = issued_at + interval '1 second' where id = :id",
        "delete from invoice_lines where invoice_id = :id",
    ):
        async with world.store.transaction() as session:
            await session.execute(
                text("set local session_replication_role = replica")
            )  # an intruder's way past triggers
            await session.execute(text(change), {"id": first.id})
            assert await changed_invoices(session) == (2, [to_text("invoice", first.id)]), change
            await session.rollback()


async def test_an_archived_contract_has_no_drafts_and_keeps_its_invoices(world: World) -> None:
    contract = await world.account("stripe")
    await world.use(100, at=NOVEMBER - HOUR)
    await world.finalize()
    async with world.store.transaction() as session:
        await archive_contract(session, contract.id, now=world.now)
    assert await drafts(world) == []
    assert len(await world.invoices()) == 1
    async with world.store.transaction() as session:
        assert await find_draft(session, new_id(), now=world.now) is None


async def test_one_contract_that_cannot_be_billed_stops_no_other(world: World) -> None:
    """A currency that is none any more is our mistake; the other customer's invoice is made all the same."""
    broken = await world.account("stripe", name="broken", settings={"stripeCustomerId": "cus_broken"})
    await world.account("stripe", name="acme")
    async with world.store.transaction() as session:
        row = await session.get_one(Contract, broken.id)
        row.currency = "XXX"
    report = await world.finalize()
    assert report.finalized == 1
    assert [contract_id for contract_id, _ in report.failures] == [broken.id]
