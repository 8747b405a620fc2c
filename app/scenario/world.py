"""The state of a scenario: everything it names, made through the services, with the scenario's own ids.

Owns the translation between the scenario's ids and ours, in both directions. The marketplace of a scenario acknowledges
every slot it is sent: scenarios check what is metered, not how a provider answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.metrics import create_metric
from app.catalog.rates import NewRate, add_rates
from app.catalog.service import create_product, create_rate_card
from app.clock import parse_instant
from app.contracts.service import create_contract
from app.contracts.statements import statement_schedule
from app.core.period import Frequency, StatementDay
from app.core.rates import Flat, Rate, Tier, Tiered
from app.core.terms import PropertyFilter
from app.customers.billing import create_billing_configuration
from app.customers.service import create_customer
from app.delivery.registry import Connection, Connections
from app.store.engine import Store
from connectors.base import Capabilities, Document, MeteringDocument, Outcome, OutcomeStatus, Problem

Json = dict[str, Any]
KINDS = {"aws": "aws_marketplace", "azure": "azure_marketplace", "gcp": "gcp_marketplace"}


class ScenarioMarketplace:
    """A marketplace that takes every slot."""

    name: ClassVar[str] = "scenario"
    capabilities: ClassVar[Capabilities] = Capabilities(mode="metering", batch_size=25, currencies=frozenset({"USD"}))

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        """Anything goes."""
        return []

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Acknowledge every record."""
        assert isinstance(document, MeteringDocument)
        return [
            Outcome(reference=record.reference, status=OutcomeStatus.ACCEPTED, acknowledged=record.quantity)
            for record in document.records
        ]

    async def close(self) -> None:
        """Nothing to close."""


def scenario_connections() -> Connections:
    """One account for each kind of marketplace."""
    made = {
        provider: Connection(provider, provider, ScenarioMarketplace(), Decimal("0.01"), "usage_fee")  # type: ignore[arg-type]
        for provider in KINDS.values()
    }
    return Connections(made)


@dataclass(slots=True)
class World:
    """Ours by the scenario's ids, and the scenario's by ours."""

    store: Store
    connections: Connections
    metrics: dict[str, UUID] = field(default_factory=dict)
    products: dict[str, UUID] = field(default_factory=dict)
    rate_cards: dict[str, UUID] = field(default_factory=dict)
    customers: dict[str, UUID] = field(default_factory=dict)
    contracts: dict[str, UUID] = field(default_factory=dict)
    providers: dict[str, UUID] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """The place of each contract in the scenario's list: answers are in that order."""

    def name_of(self, kind: str, identifier: UUID | None) -> str | None:
        """The scenario's id of one of our rows."""
        names = {found: name for name, found in getattr(self, kind).items()}
        return None if identifier is None else names[identifier]


async def found(world: World, scenario: Json, *, now: datetime) -> None:
    """Make everything that exists before the first step: in the order of the scenario's ids, rates in list order."""
    world.places = {contract["id"]: place for place, contract in enumerate(scenario.get("contracts", []))}
    async with world.store.transaction() as session:
        await _catalog(session, world, scenario, now)
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
            await _contract(session, world, contract)


async def _catalog(session: AsyncSession, world: World, scenario: Json, now: datetime) -> None:
    group_keys: dict[str, list[list[str]]] = {}
    for product in scenario.get("products", []):
        names = sorted({*product.get("pricing_group_key", []), *product.get("presentation_group_key", [])})
        if names:
            group_keys.setdefault(product["metric"], []).append(names)
    for metric in sorted(scenario.get("metrics", []), key=lambda item: item["id"]):
        types = metric.get("event_types", {})
        row = await create_metric(
            session, name=metric["id"], aggregation=metric["aggregation"], key=metric.get("key"),
            event_types_in=types.get("in"), event_types_not_in=types.get("not_in"), filters=[_filter(item) for item in metric.get("filters", [])],
            group_keys=group_keys.get(metric["id"], []), now=now,
        )  # fmt: skip
        world.metrics[metric["id"]] = row.id
    for product in sorted(scenario.get("products", []), key=lambda item: item["id"]):
        made = await create_product(
            session, name=product.get("name", product["id"]), type=product.get("type", "USAGE"),
            metric_id=world.metrics[product["metric"]], pricing_group_key=product.get("pricing_group_key", []),
            presentation_group_key=product.get("presentation_group_key", []), tags=product.get("tags", []), now=now,
        )  # fmt: skip
        world.products[product["id"]] = made.id
    for card in sorted(scenario.get("rate_cards", []), key=lambda item: item["id"]):
        made_card = await create_rate_card(session, name=card["id"], currency=card["unit"], now=now)
        await add_rates(session, made_card.id, [_rate(world, rate) for rate in card["rates"]], now=now)
        world.rate_cards[card["id"]] = made_card.id


def _filter(condition: Json) -> PropertyFilter:
    return PropertyFilter(
        name=condition["name"],
        exists=condition.get("exists"),
        in_values=tuple(condition.get("in", ())),
        not_in_values=tuple(condition.get("not_in", ())),
    )


def _rate(world: World, rate: Json) -> NewRate:
    return NewRate(
        product_id=world.products[rate["product"]],
        rate=_price(rate),
        starting_at=_optional(rate.get("starting_at")),
        ending_before=_optional(rate.get("ending_before")),
        entitled=rate.get("entitled", True),
        group_values=rate.get("group_values", {}),
    )


def _price(rate: Json) -> Rate:
    if rate["rate_type"] == "FLAT":
        return Flat(Decimal(rate["price"]))
    tiers: Sequence[Json] = rate["tiers"]
    return Tiered(
        tuple(Tier(Decimal(tier["size"]) if "size" in tier else None, Decimal(tier["price"])) for tier in tiers)
    )


async def _contract(session: AsyncSession, world: World, contract: Json) -> None:
    statement = contract.get("statement", {})
    provider = contract.get("provider")
    made = await create_contract(
        session,
        world.connections,
        customer_id=world.customers[contract["customer"]],
        rate_card_id=world.rate_cards[contract["rate_card"]] if "rate_card" in contract else None,
        name=contract["id"],
        starting_at=parse_instant(contract["starting_at"]),
        ending_before=_optional(contract.get("ending_before")),
        statement=statement_schedule(
            frequency=Frequency(statement.get("frequency", "MONTHLY")),
            day=StatementDay(statement.get("day", "FIRST_OF_MONTH")),
            anchor=_optional(statement.get("anchor")),
            generate_from=_optional(statement.get("generate_from")),
        ),
        grace_hours=contract.get("grace_hours", 24),
        priority=contract.get("priority", 100),
        billing_configuration_id=None if provider is None else world.providers[provider],
        uniqueness_key=contract.get("uniqueness_key"),
        now=parse_instant(contract.get("created_at", contract["starting_at"])),
    )
    world.contracts[contract["id"]] = made.contract.id


def _optional(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
