"""What changes a reading without usage of the customer itself: relatives, quantities, products. It is looked at as well."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from app.alerts import rules
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.rates import add_rates
from app.catalog.version_rules import ProductChange
from app.catalog.versions import add_product_version
from app.contracts.charge_rules import NewCharge
from app.contracts.charges import add_scheduled_charge
from app.contracts.hierarchies import NewChild, NewParent
from app.contracts.own_terms import OwnTerms
from app.contracts.quantities import update_quantity
from app.contracts.subscription_rules import NewSubscription
from app.contracts.subscriptions import add_subscription
from app.contracts.tables import Contract
from app.core.alerts import AlertType
from app.core.conversions import Conversion, ConversionOperation
from app.core.hierarchy import ChildAccess, Consolidation, Payer, Sharing, UsageStatements
from app.core.period import Frequency
from app.core.rates import Flat
from app.core.scheduled import ScheduledItem
from app.core.subscriptions import Collection
from app.core.terms import ProductType
from app.custom_fields import entities, keys
from app.custom_fields.service import set_custom_fields
from tests.delivery.test_alerts import CREDIT, HOUR, NOVEMBER, SPEND, Watch, contract_of, watch

__all__ = ["watch"]
D = Decimal
TOTAL = AlertType.INVOICE_TOTAL_REACHED
MONTH = AlertType.MONTHLY_INVOICE_TOTAL_SPEND_THRESHOLD_REACHED


async def child_of(watch: Watch, parent: Contract, name: str, **more: Any) -> Contract:
    customer = await watch.world.customer(name)
    terms = OwnTerms(hierarchy=NewChild(parent.customer_id, parent.id, **more))
    return await watch.world.contract(customer, None, price="1", starting_at=NOVEMBER, own_terms=terms)


async def touched(watch: Watch) -> set[object]:
    async with watch.world.store.transaction() as session:
        return set((await session.execute(text("select customer_id from alert_touches"))).scalars())


async def test_usage_of_a_child_draws_on_its_parents_balance(watch: Watch) -> None:
    parent = await contract_of(watch)
    _, second = [await child_of(watch, parent, name) for name in ("first", "second")]
    shared = await watch.give(parent, "100", sharing=Sharing(ChildAccess.ALL))
    await watch.alert(CREDIT, "20", customer_id=parent.customer_id, notify_on_resolve=True)
    await watch.alert(TOTAL, "50", customer_id=second.customer_id)
    assert await watch.look() == []
    await watch.world.use(40, at=watch.world.now - HOUR, customer="second")
    assert await watch.look() == [], "the parent pays all of it"
    await watch.world.use(60, at=watch.world.now - 2 * HOUR, customer="first")
    assert await touched(watch) == {parent.customer_id, second.customer_id}, "those who watch what is shared"
    assert await watch.look() == [("low_remaining_contract_credit_balance_reached", "0")]
    await watch.world.use(50, at=watch.world.now - HOUR, customer="first")
    await watch.look()
    # What changes the parent's balance is told to its children too.
    await watch.enter(shared, "50")
    assert await touched(watch) == {parent.customer_id, second.customer_id}


async def test_usage_of_a_child_that_shares_nothing_touches_nobody_else(watch: Watch) -> None:
    parent = await contract_of(watch)
    child = await child_of(watch, parent, "child")
    await watch.give(parent, "100")
    await watch.alert(CREDIT, "20")
    await watch.look()
    await watch.world.use(40, at=watch.world.now - HOUR, customer="child")
    assert await touched(watch) == {child.customer_id}


async def test_a_quantity_and_a_product_that_change(watch: Watch) -> None:
    contract = await contract_of(watch)
    store, now = watch.world.store, watch.world.now
    async with store.transaction() as session:
        seat = await create_product(session, name="Seat", type=ProductType.SUBSCRIPTION, now=now)
        assert contract.rate_card_id is not None
        rate = NewRate(product_id=seat.id, rate=Flat(D(10)), billing_frequency=Frequency.MONTHLY, starting_at=NOVEMBER)
        await add_rates(session, contract.rate_card_id, [rate], now=now)
        entry = NewSubscription(
            product_id=seat.id, frequency=Frequency.MONTHLY, collection=Collection.ADVANCE, initial_quantity=D(1)
        )
        subscription = await add_subscription(session, contract.id, entry, now=now)
    await watch.alert(TOTAL, "50")
    await watch.alert(SPEND, "50")
    assert await watch.use(10) == []
    async with store.transaction() as session:
        await update_quantity(session, subscription.id, starting_at=now, quantity=D(100), now=now)
    assert [event for event, _ in await watch.look()] == ["invoice_total_reached"]
    change = ProductChange(starting_at=NOVEMBER, conversion=Conversion(ConversionOperation.MULTIPLY, D(10)))
    async with store.transaction() as session:
        await add_product_version(session, watch.world.product, change, now=now)
    assert await watch.look() == [("spend_threshold_reached", "100")]


async def test_final_invoices_of_a_month_are_those_of_contracts_that_carry_the_field(watch: Watch) -> None:
    contract = await contract_of(watch)
    other = await watch.world.contract(contract.customer_id, None, price="1", starting_at=NOVEMBER)
    store, now = watch.world.store, watch.world.now
    async with store.transaction() as session:
        fee = await create_product(session, name="Fee", type=ProductType.FIXED, now=now)
        for one, amount in ((contract, "60"), (other, "70")):
            charge = NewCharge(product_id=fee.id, items=[ScheduledItem(NOVEMBER, D(1), D(amount))])
            await add_scheduled_charge(session, watch.world.connections, one.id, charge, now=now)
        await keys.add_key(session, entity=entities.Entity.CONTRACT, key="cohort", now=now)
        await set_custom_fields(session, entities.Entity.CONTRACT, other.id, {"cohort": "a"})
    cohort = [rules.FieldFilter("CONTRACT", "cohort", "a")]
    watch.world.sandbox.set_clock(NOVEMBER + timedelta(days=5))
    await watch.world.finalize()
    assert len(await watch.world.invoices()) == 2
    await watch.alert(MONTH, "70", custom_field_filters=cohort)
    await watch.alert(MONTH, "71", custom_field_filters=cohort)
    assert await watch.look() == [("monthly_invoice_total_spend_threshold_reached", "70")]


async def test_what_ended_while_nobody_looked_is_told_at_the_next_look(watch: Watch) -> None:
    """However long that was, and over midnight: neither the hours nor the daily look are left out."""
    contract = await contract_of(watch)
    end = watch.world.now.replace(hour=0, minute=0) + timedelta(days=3)
    await watch.give(contract, "100", end=end)
    await watch.alert(CREDIT, "20")
    watch.world.sandbox.set_clock(end - 2 * HOUR)
    assert await watch.look(tick=True) == []
    watch.world.sandbox.set_clock(end + 5 * HOUR)
    assert await watch.look(tick=True) == [("low_remaining_contract_credit_balance_reached", "0")]
    assert await watch.look(tick=True) == []


async def test_a_consolidated_invoice_is_one_of_the_parents(watch: Watch) -> None:
    together = OwnTerms(hierarchy=NewParent(Consolidation.CONCATENATE))
    parent = await contract_of(watch, own_terms=together)
    child = await child_of(watch, parent, "child", statements=UsageStatements.CONSOLIDATE, payer=Payer.PARENT)
    await watch.alert(TOTAL, "100", customer_id=parent.customer_id)
    await watch.alert(TOTAL, "100", customer_id=parent.customer_id, invoice_types=["USAGE_CONSOLIDATED"])
    await watch.alert(TOTAL, "1", customer_id=parent.customer_id, invoice_types=["SCHEDULED"])
    await watch.alert(TOTAL, "100", customer_id=child.customer_id)
    assert await watch.use(60) == []
    await watch.world.use(39, at=watch.world.now - HOUR, customer="child")
    assert await watch.look() == []
    await watch.world.use(1, at=watch.world.now - HOUR, customer="child")
    assert await watch.look() == [("invoice_total_reached", "100")] * 2
    assert await watch.look(tick=True) == []
