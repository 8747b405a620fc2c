"""The demo company: a fictional seller of AI inference, its catalog, customers and contracts.

Owns who they are. Everything is made through the services, as an operator would. Where its usage comes from is
`usage.py`; what happens with it, month by month, is `story.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.access import audit
from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.rates import NewRate, add_rates
from app.catalog.service import create_product, create_rate_card
from app.change import take_change
from app.contracts.service import create_contract
from app.core.rates import Flat, Rate, Tier, Tiered
from app.core.terms import Aggregation
from app.customers.billing import create_billing_configuration
from app.customers.service import create_customer
from app.runtime import Runtime

ACTOR = system("demo", kind="command")


@dataclass(frozen=True, slots=True)
class Line:
    """A product of the demo: its name, how it is measured, and the events it is measured by."""

    name: str
    event_type: str
    key: str | None


LINES = (
    Line("Input tokens", "inference", "inputTokens"),
    Line("Output tokens", "inference", "outputTokens"),
    Line("API calls", "inference", None),
    Line("GPU hours", "training", "gpuHours"),
)

CARDS: dict[str, tuple[str, dict[str, Rate]]] = {
    "Inference, US dollars": (
        "USD",
        {
            "Input tokens": Flat(Decimal("0.0000025")),
            "Output tokens": Flat(Decimal("0.00001")),
            "API calls": Tiered((Tier(Decimal(500), Decimal("0.01")), Tier(None, Decimal("0.004")))),
        },
    ),
    "Training, US dollars": ("USD", {"GPU hours": Flat(Decimal("2.49"))}),
    "Inference, euro": (
        "EUR",
        {"Input tokens": Flat(Decimal("0.0000024")), "Output tokens": Flat(Decimal("0.0000095"))},
    ),
    "Inference, yen": ("JPY", {"Input tokens": Flat(Decimal("0.0004")), "Output tokens": Flat(Decimal("0.0015"))}),
}
"""Rate card -> currency and price of each product, in major units."""


@dataclass(frozen=True, slots=True)
class Account:
    """One contract of the demo: whose, on which card, delivered through which provider."""

    customer: str
    card: str
    provider: str
    settings: dict[str, str]
    kinds: tuple[str, ...] = ("inference",)


ACCOUNTS = (
    Account("Alder Analytics", "Inference, US dollars", "stripe", {"stripeCustomerId": "cus_demoAlder"}),
    Account("Birch Robotics", "Inference, US dollars", "aws_marketplace",
            {"awsCustomerAccountId": "111122223333", "licenseArn": "arn:aws:license-manager:us-east-1:294406891311:license:l-birch"}),
    Account("Cedar Health", "Inference, US dollars", "azure_marketplace",
            {"azureSubscriptionId": "6f1d6c0e-2d0f-4b0e-9c46-8a35c8e80001", "planId": "standard"}),
    # One customer, two clouds: inference is bought through AWS, training through Azure.
    Account("Dune Mobility", "Inference, US dollars", "aws_marketplace",
            {"awsCustomerAccountId": "444455556666", "licenseArn": "arn:aws:license-manager:us-east-1:294406891311:license:l-dune"}),
    Account("Dune Mobility", "Training, US dollars", "azure_marketplace",
            {"azureSubscriptionId": "6f1d6c0e-2d0f-4b0e-9c46-8a35c8e80002", "planId": "standard"}, ("training",)),
    Account("Ember Retail", "Inference, euro", "stripe", {"stripeCustomerId": "cus_demoEmber"}),
    Account("Fjord Bank", "Inference, yen", "stripe", {"stripeCustomerId": "cus_demoFjord"}),
)  # fmt: skip


@dataclass(slots=True)
class Company:
    """What was made: ids by name, and the kinds of usage each customer has."""

    customers: dict[str, UUID] = field(default_factory=dict)
    contracts: list[UUID] = field(default_factory=list)
    kinds: dict[str, set[str]] = field(default_factory=dict)

    def reference(self, customer: str) -> str:
        """The name under which a customer's usage arrives: its external id."""
        return customer.split()[0].lower()


async def found(runtime: Runtime, *, starting_at: datetime, now: datetime) -> Company:
    """Make the whole company, as of an instant."""
    products = await _products(runtime, now)
    cards = await _cards(runtime, products, now)
    company = Company()
    for account in ACCOUNTS:
        async with runtime.store.transaction() as session:
            if account.customer not in company.customers:
                row = await create_customer(
                    session, name=account.customer, external_id=company.reference(account.customer), now=now
                )
                company.customers[account.customer] = row.id
                await _note(session, "customer.create", now)
            customer_id = company.customers[account.customer]
            configuration = await create_billing_configuration(
                session, runtime.connections, customer_id=customer_id, provider=account.provider,
                settings=account.settings, now=now,
            )  # fmt: skip
            await _note(session, "billingConfiguration.create", now)
            made = await create_contract(
                session, runtime.connections, customer_id=customer_id, rate_card_id=cards[account.card],
                name=f"{account.customer}, {account.card.split(',')[0].lower()}", starting_at=starting_at,
                billing_configuration_id=configuration.id, net_payment_terms_days=30, now=now,
            )  # fmt: skip
            await _note(session, "contract.create", now)
        company.contracts.append(made.contract.id)
        company.kinds.setdefault(account.customer, set()).update(account.kinds)
    return company


async def _products(runtime: Runtime, now: datetime) -> dict[str, UUID]:
    products: dict[str, UUID] = {}
    for line in LINES:
        async with runtime.store.transaction() as session:
            metric = await create_metric(
                session, name=line.name, aggregation=Aggregation.SUM if line.key else Aggregation.COUNT, key=line.key,
                event_types_in=[line.event_type], now=now,
            )  # fmt: skip
            await _note(session, "billableMetric.create", now)
            product = await create_product(session, name=line.name, type="USAGE", metric_id=metric.id, now=now)
            await _note(session, "product.create", now)
            products[line.name] = product.id
    return products


async def _cards(runtime: Runtime, products: dict[str, UUID], now: datetime) -> dict[str, UUID]:
    cards: dict[str, UUID] = {}
    for name, (currency, prices) in CARDS.items():
        async with runtime.store.transaction() as session:
            card = await create_rate_card(session, name=name, currency=currency, now=now)
            await add_rates(
                session, card.id, [NewRate(product_id=products[product], rate=rate) for product, rate in prices.items()], now=now
            )
            await _note(session, "rateCard.create", now)
            cards[name] = card.id
    return cards


async def _note(session: object, action: str, now: datetime) -> None:
    await audit.record(session, ACTOR, action=action, now=now, code=None, change=take_change(session))  # type: ignore[arg-type]
