"""The demo company: a fictional seller of AI inference and of outcomes, its catalog, customers and contracts.

Owns who they are, as tables. How they come into being is `founding.py`, where their usage comes from `usage.py`, and
what happens with it, month by month, `story.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from app.catalog.outcomes import NewOutcome
from app.core.rates import Flat, Percentage, Rate, Tier, Tiered
from app.core.terms import Aggregation, MoneyOf, PropertyFilter


@dataclass(frozen=True, slots=True)
class Line:
    """A product of the demo: its name, the events it is measured by, and how."""

    name: str
    event_type: str
    aggregation: Aggregation
    key: str | None = None
    only: tuple[PropertyFilter, ...] = ()
    money: MoneyOf | None = None
    outcome: NewOutcome | None = None


LINES = (
    Line("Input tokens", "inference", Aggregation.SUM, "inputTokens"),
    Line("Output tokens", "inference", Aggregation.SUM, "outputTokens"),
    Line("API calls", "inference", Aggregation.COUNT),
    Line("GPU hours", "training", Aggregation.SUM, "gpuHours"),
    # Paid for the outcome, in the five ways that examples/outcome explains.
    Line("Conversations", "customer_message", Aggregation.SESSION_COUNT,
         outcome=NewOutcome(keys=("participant", "channel"), window="PT24H")),
    Line("Resolutions", "conversation_resolved", Aggregation.UNIQUE, "conversation",
         only=(PropertyFilter("resolvedBy", in_values=("bot",)),)),
    Line("Tickets without a person", "ticket_outcome", Aggregation.COUNT_LATEST,
         outcome=NewOutcome(entity="ticket", state="outcome", counted=("bot_resolved",))),
    Line("Recovered funds", "chargeback_closed", Aggregation.SUM, "amount",
         only=(PropertyFilter("outcome", in_values=("won",)),), money=MoneyOf("USD")),
    Line("Prevented chargebacks", "chargeback_prevented", Aggregation.COUNT),
    Line("Approved volume", "transaction", Aggregation.SUM, "amount",
         only=(PropertyFilter("decision", in_values=("approved",)),), money=MoneyOf("USD")),
)  # fmt: skip

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
    "Outcomes, US dollars": (
        "USD",
        {
            "Conversations": Flat(Decimal(2)),
            "Resolutions": Flat(Decimal("0.99")),
            "Tickets without a person": Flat(Decimal("1.50")),
            "Recovered funds": Percentage(Decimal("0.25")),
            "Prevented chargebacks": Flat(Decimal(39)),
            "Approved volume": Percentage(Decimal("0.004")),
        },
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


OUTCOMES = (
    "chargeback_closed",
    "chargeback_prevented",
    "conversation_resolved",
    "customer_message",
    "ticket_outcome",
    "transaction",
)

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
    Account("Grove Outfitters", "Outcomes, US dollars", "stripe", {"stripeCustomerId": "cus_demoGrove"}, OUTCOMES),
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
