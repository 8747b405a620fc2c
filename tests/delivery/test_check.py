"""`metrograph check` on provider accounts: sound books pass, and each rule finds the fault that it is for."""

from __future__ import annotations

from sqlalchemy import text

from app.commands.checking import RULES
from app.commands.provider_rules import PROVIDER_RULES
from app.core.routing import EffectiveAt
from app.delivery.subscriptions import observe
from connectors.subscriptions import SubscriptionState, SubscriptionView
from tests.delivery.test_notices import Door, delivered, door
from tests.delivery.test_routes import update
from tests.delivery.world import HOUR, NOON, SETTINGS, World

__all__ = ["door"]

ROUTES, WAYS, ASKED, GONE, SAID, WAITS, KNOWN, BUYERS, HOURS = PROVIDER_RULES
STRANGER = "(select id from billing_configurations where provider = 'manual')"
FAULTS = [
    (ROUTES, f"update contracts set billing_configuration_id = {STRANGER} where currency = 'USD' and name is null"),
    (ROUTES, f"update billing_configuration_updates set billing_configuration_id = {STRANGER}"),
    (ROUTES, "insert into billing_configuration_updates (id, created_at, contract_id, starting_at) select gen_random_uuid(), "
             "now(), contract_id, starting_at + number * interval '1 day' from billing_configuration_updates, "
             "generate_series(1, 9) number"),
    (WAYS, f"update deliveries set billing_configuration_id = {STRANGER}"),
    (WAYS, "update deliveries set total = total + 1"),
    (ASKED, "update deliveries set provider = 'aws_marketplace' where mode = 'invoice'"),
    (GONE, "insert into external_invoice_states (id, created_at, delivery_id, provider_reference, provider_status) select "
           "'ffffffff-ffff-7fff-8fff-ffffffffffff', now(), delivery_id, provider_reference, 'void' from external_invoice_states"),
    (SAID, "update deliveries set provider_status = 'draft' where mode = 'invoice'"),
    (WAITS, "update provider_notices set handled_at = null where state = 'HANDLED'"),
    (WAITS, "update provider_notices set next_attempt_at = null, state = 'RECEIVED', handled_at = null"),
    (KNOWN, "delete from external_invoice_states"),
    (BUYERS, f"update marketplace_subscriptions set billing_configuration_id = {STRANGER}"),
    (BUYERS, "update marketplace_subscriptions set connection = 'another'"),
    (HOURS, "insert into metering_slots select (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(), "
            "'billing_configuration_id', " + STRANGER + "))).* from metering_slots s"),
]  # fmt: skip


async def broken(world: World, *faults: str) -> set[str]:
    """The rules that are broken after some faults, which are taken back."""
    found: set[str] = set()
    async with world.store.transaction() as session:
        undone = await session.begin_nested()
        for table in ("external_invoice_states", "invoices"):
            await session.execute(text(f"alter table {table} disable trigger user"))
        for fault in faults:
            assert (await session.execute(text(fault))).rowcount > 0, fault  # type: ignore[attr-defined]
        for rule, (how_many, query) in RULES.items():
            if (await session.execute(text(query))).scalar_one():
                found.add(rule)
            if rule in PROVIDER_RULES and not faults:
                assert (await session.execute(text(how_many))).scalar_one(), rule
        await undone.rollback()
    return found


async def test_each_fault_breaks_its_rule(door: Door) -> None:
    """One world: an invoice paid at Stripe, a buyer at a marketplace, a slot, and a change that is planned."""
    world = door.world
    invoice = await delivered(door)
    door.at_stripe("POST", f"{invoice['id']}/pay")
    await door.tell(1, "invoice.paid", invoice)
    assert await door.handle() == 1
    other = await world.customer("birch")
    await world.configuration(other, "manual")
    azure = await world.account("azure_marketplace", name="cedar")
    stripe = await world.configuration(azure.customer_id, "stripe")
    await update(world, azure.id, stripe, EffectiveAt.START_OF_NEXT_PERIOD)
    await world.use(100, at=NOON - HOUR, customer="cedar")
    await world.sweep()
    connection = world.connections.find("azure-sandbox")
    assert connection is not None
    settings = SETTINGS["azure_marketplace"]
    view = SubscriptionView(
        reference=settings["azureSubscriptionId"], state=SubscriptionState.ACTIVE, provider_status="Subscribed",
        settings=settings,
    )  # fmt: skip
    async with world.store.transaction() as session:
        row = await observe(session, connection, view, now=world.now)
        assert row is not None
        assert row.customer_id == azure.customer_id
    assert await broken(world) == set()
    for rule, fault in FAULTS:
        assert rule in await broken(world, fault), fault


def test_every_rule_has_a_fault() -> None:
    assert {rule for rule, _ in FAULTS} == set(PROVIDER_RULES)
