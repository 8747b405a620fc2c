"""Everything that exists before the first step of a scenario, made through the services.

Owns the order of making: that of the scenario's ids. The catalog is left to `catalog.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import parse_instant
from app.contracts.service import create_contract
from app.contracts.statements import statement_schedule
from app.core.period import Frequency, StatementDay
from app.customers.billing import create_billing_configuration
from app.customers.service import create_customer
from app.scenario.catalog import found_catalog
from app.scenario.fees import change_quantities
from app.scenario.grants import found_customer_grants
from app.scenario.own_terms import own_terms
from app.scenario.prices import optional_instant
from app.scenario.world import KINDS, Json, World


async def found(world: World, scenario: Json, *, now: datetime) -> None:
    """Make everything that exists before the first step: in the order of the scenario's ids, rates in list order."""
    world.places = {contract["id"]: place for place, contract in enumerate(scenario.get("contracts", []))}
    async with world.store.transaction() as session:
        await found_catalog(session, world, scenario, now=now)
        for customer in sorted(scenario.get("customers", []), key=lambda item: item["id"]):
            row = await create_customer(
                session, name=customer["id"], external_id=customer["id"],
                ingest_aliases=customer.get("aliases", []), now=now,
            )  # fmt: skip
            world.customers[customer["id"]] = row.id
            for provider in customer.get("providers", []):
                configuration = await create_billing_configuration(
                    session, world.connections, customer_id=row.id, provider=KINDS[provider["kind"]],
                    settings={"scenario": provider["id"]}, now=now,
                )  # fmt: skip
                world.providers[provider["id"]] = configuration.id
        for contract in sorted(scenario.get("contracts", []), key=lambda item: item["id"]):
            await found_contract(session, world, contract)
        for customer in sorted(scenario.get("customers", []), key=lambda item: item["id"]):
            await found_customer_grants(session, world, customer, now=now)


async def found_contract(
    session: AsyncSession, world: World, contract: Json, *, created_at: datetime | None = None
) -> None:
    """A contract with its terms; made at its start, unless it says another instant or one is given."""
    statement = contract.get("statement", {})
    provider = contract.get("provider")
    now = created_at or parse_instant(contract.get("created_at", contract["starting_at"]))
    made = await create_contract(
        session,
        world.connections,
        customer_id=world.customers[contract["customer"]],
        rate_card_id=world.rate_cards[contract["rate_card"]] if "rate_card" in contract else None,
        name=contract["id"],
        starting_at=parse_instant(contract["starting_at"]),
        ending_before=optional_instant(contract.get("ending_before")),
        statement=statement_schedule(
            frequency=Frequency(statement.get("frequency", "MONTHLY")),
            day=StatementDay(statement.get("day", "FIRST_OF_MONTH")),
            anchor=optional_instant(statement.get("anchor")),
            generate_from=optional_instant(statement.get("generate_from")),
        ),
        grace_hours=contract.get("grace_hours", 24),
        priority=contract.get("priority", 100),
        billing_configuration_id=None if provider is None else world.providers[provider],
        own_terms=own_terms(world, contract),
        uniqueness_key=contract.get("uniqueness_key"),
        now=now,
    )
    world.contracts[contract["id"]] = made.contract.id
    await change_quantities(session, world, contract, now=now)
