"""Custom fields on their way to Stripe: those that held when the invoice became final."""

from __future__ import annotations

from sqlmodel import select

from app.custom_fields.entities import Entity
from app.custom_fields.keys import add_key
from app.custom_fields.service import set_custom_fields
from app.delivery.registry import connect
from app.invoices.tables import Invoice
from app.sandbox import CREDENTIALS, tables
from tests.delivery.world import HOUR, NOVEMBER, World

RULES = {"customer.region": "region", "contract.po": "po_number", "product.sku": "sku", "invoice.ref": "invoice_ref"}


async def test_fields_are_sent_as_they_were_when_the_invoice_became_final(world: World) -> None:
    base = world.sandbox.base
    accounts = tables(stripe=base, aws=base, azure=f"{base}/api")
    accounts["stripe-sandbox"]["metadata"] = RULES
    contract = await world.account("stripe")
    owners = {
        Entity.CUSTOMER: (contract.customer_id, "region"),
        Entity.CONTRACT: (contract.id, "po"),
        Entity.PRODUCT: (world.product, "sku"),
    }
    async with world.store.transaction() as session:
        for entity, (owner, key) in owners.items():
            await add_key(session, entity=entity, key=key, now=world.now)
            await set_custom_fields(session, entity, owner, {key: f"{key} then"})
    await world.use(1234, at=NOVEMBER - HOUR)
    await world.finalize()
    async with world.store.transaction() as session:
        for entity, (owner, key) in owners.items():
            await set_custom_fields(session, entity, owner, {key: f"{key} later"})
        # An invoice's own are those of the moment in which it is first sent.
        await add_key(session, entity=Entity.INVOICE, key="ref", now=world.now)
        invoice_id = (await session.scalars(select(Invoice.id))).one()
        await set_custom_fields(session, Entity.INVOICE, invoice_id, {"ref": "ref later"})
    world.connections = connect(
        accounts, environ=CREDENTIALS | {"METROGRAPH_ENVIRONMENT": "sandbox"}, now=world.sandbox.now
    )
    await world.sweep()
    await world.connections.close()
    [invoice] = world.sandbox.effects("stripe")
    assert {name: invoice["metadata"].get(name) for name in ("region", "po_number", "invoice_ref")} == {
        "region": "region then",
        "po_number": "po then",
        "invoice_ref": "ref later",
    }
    assert invoice["lines"][0]["metadata"]["sku"] == "sku then"
