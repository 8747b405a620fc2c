"""What the connectors' tests share: the sandbox's control desk, connection tables, and documents with named values."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any

import httpx

from connectors.base import (
    Connector,
    Document,
    DocumentLine,
    InvoiceDocument,
    MeteringDocument,
    Outcome,
    OutcomeStatus,
    Terminal,
    Transient,
    UsageRecord,
)
from connectors.sandbox.entra import CLIENT, TENANT
from connectors.sandbox.receiver import SECRET as RECEIVER_SECRET

NOW = datetime(2026, 11, 2, 12, 30, tzinfo=UTC)
PROVIDERS = sorted(entry.name for entry in entry_points(group="metrograph.connectors"))
CUSTOM = {f"custom_{transport}": "custom" for transport in ("s3", "sqs", "sns")}
"""Accounts of `custom` that send by another way than its usual one."""
WAYS = {**CUSTOM, "aws_payments": "aws_marketplace"}
"""Those, and the account at AWS whose customers are asked for invoices."""
ACCOUNTS = sorted([*PROVIDERS, *WAYS])
"""What the conformance suite runs over: each connector, and each way of those that have several."""
CANARY = "sk_test_canary_must_never_be_shown"
ENVIRON = {
    "METROGRAPH_ENVIRONMENT": "sandbox",
    "STRIPE_KEY": CANARY,
    "STRIPE_HOOK": "whsec_new",
    "STRIPE_HOOK_OLD": "whsec_old",
    "AWS_SECRET": CANARY,
    "METROGRAPH_AZURE_STATIC_TOKEN": CANARY,
    "AWS_HOOK": "key-of-the-event-bus",
    "AWS_HOOK_OLD": "older-key-of-the-event-bus",
    "GCP_TOKEN": CANARY,
    "SIGNING": RECEIVER_SECRET,
}
TOPIC = "arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-prod1"
CUSTOMERS = {
    "stripe": {"stripeCustomerId": "cus_Acme"},
    "aws_marketplace": {
        "awsCustomerAccountId": "123456789012",
        "licenseArn": "arn:aws:license-manager::123456789012:license:l-1",
    },
    "aws_payments": {
        "awsCustomerAccountId": "123456789012",
        "licenseArn": "arn:aws:license-manager::123456789012:license:l-1",
        "agreementId": "agmt-acme",
        "variablePaymentTermId": "term-acme",
    },
    "azure_marketplace": {"azureSubscriptionId": "11111111-2222-3333-4444-555555555555", "planId": "standard"},
    "gcp_marketplace": {"gcpServiceName": "acme.example.com", "gcpUsageReportingId": "project_number:4711"},
    "custom": {"customerReference": "acme"},
    "custom_metering": {"customerReference": "acme"},
    "manual": {},
}


@dataclass
class MovingClock:
    """Stands still until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **step: float) -> None:
        self.now += timedelta(**step)


@dataclass
class Sandbox:
    """The control desk of a running stand-in."""

    base: str
    clock: MovingClock
    http: httpx.Client = field(repr=False)

    def fault(self, provider: str, kind: str, *, match: str = "", **more: Any) -> None:
        answer = self.http.post("/_sandbox/faults", json={"provider": provider, "kind": kind, "match": match, **more})
        assert answer.status_code == 201, answer.text

    def effects(self, provider: str) -> list[dict[str, Any]]:
        """The provider's invoices, its slots, its payment requests, or the messages of the seller's own system."""
        found = self.http.get("/_sandbox/effects").json()
        if provider_of(provider) == "manual":
            return []
        if provider.startswith("custom"):
            return found["custom"]["messages"]
        if provider == "aws_payments":
            return found["aws_marketplace"]["requests"]
        return found[provider]["invoices" if provider == "stripe" else "slots"]

    def calls(self, **filters: str) -> list[dict[str, Any]]:
        return self.http.get("/_sandbox/calls", params=filters).json()["calls"]

    def reset(self, *parts: str) -> None:
        assert self.http.post("/_sandbox/reset", json={"only": list(parts)}).status_code == 200

    def order(self, path: str, **content: Any) -> Any:
        """What the control desk gives for an order, such as a signed message."""
        answer = self.http.post(f"/_sandbox/{path}", json=content)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def wait_for(self, state: str) -> None:
        """Until a call is committed in this state."""
        deadline = time.monotonic() + 20
        while not self.calls(state=state):
            assert time.monotonic() < deadline, f"no call became {state}"
            time.sleep(0.01)

    def table(self, provider: str) -> dict[str, Any]:
        """A connection's table that leads here."""
        signing = {"signing_secrets": ["env:SIGNING"]}
        hook = {"url": f"{self.base}/custom/hook", "timeout_seconds": 5, **signing}
        aws = {
            "endpoint_url": f"{self.base}/custom/aws",
            "access_key_id": "AKIATEST",
            "secret_access_key": "env:AWS_SECRET",
            "network_retries": 0,
            "timeout_seconds": 5,
            **signing,
        }
        marketplace = {
            "endpoint_url": self.base,
            "access_key_id": "AKIATEST",
            "secret_access_key": "env:AWS_SECRET",
            "entitlement_endpoint_url": self.base,
            "agreement_endpoint_url": self.base,
            "sns_topics": [TOPIC],
            "sns_base": self.base,
            "webhook_secrets": ["env:AWS_HOOK", "env:AWS_HOOK_OLD"],
            "network_retries": 0,
            "timeout_seconds": 5,
        }
        return {
            "manual": {},
            "custom": hook,
            "custom_metering": hook,
            "custom_s3": {"transport": "s3", "bucket": "acme-invoices", "prefix": "in/", **aws},
            "custom_sqs": {"transport": "sqs", "queue_url": f"{self.base}/custom/aws/4711/invoices.fifo", **aws},
            "custom_sns": {"transport": "sns", "topic_arn": "arn:aws:sns:us-east-1:4711:invoices.fifo", **aws},
            "gcp_marketplace": {
                "api_base": f"{self.base}/gcp",
                "static_token": "env:GCP_TOKEN",
                "timeout_seconds": 5,
            },
            "stripe": {
                "api_key": "env:STRIPE_KEY",
                "webhook_secrets": ["env:STRIPE_HOOK", "env:STRIPE_HOOK_OLD"],
                "api_base": self.base,
                "effective_at": "period_end",
                "network_retries": 0,
                "timeout_seconds": 5,
                "requests_per_second": 100,
            },
            "aws_marketplace": marketplace,
            "aws_payments": {**marketplace, "payment_requests": True},
            "azure_marketplace": {
                "api_base": f"{self.base}/api",
                "tenant_id": TENANT,
                "client_id": CLIENT,
                "openid_base": f"{self.base}/entra",
                "timeout_seconds": 5,
            },
        }[provider]


def provider_of(account: str) -> str:
    """The connector's name of an account."""
    return WAYS.get(account, account)


def customer_of(account: str) -> dict[str, str]:
    """The customer's side at an account."""
    return CUSTOMERS.get(account) or CUSTOMERS[provider_of(account)]


def takes_invoices(account: str) -> bool:
    """Whether the usual document of an account is an invoice."""
    return account == "aws_payments" or load(account).capabilities.mode == "invoice"


def load(provider: str) -> type[Any]:
    """The connector class behind an entry point, or that of an account."""
    return next(iter(entry_points(group="metrograph.connectors", name=provider_of(provider)))).load()


def invoice(**changes: Any) -> InvoiceDocument:
    """October at Acme: 12.34 USD on two lines."""
    october, november = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    line = DocumentLine(
        description="Tokens",
        amount=Decimal("10.00"),
        quantity=Decimal("1000000"),
        unit_price=Decimal("0.00001"),
        starting_at=october,
        ending_before=november,
    )
    base = InvoiceDocument(
        reference="inv_october",
        number="2026-000001",
        contract="con_acme",
        customer=CUSTOMERS["stripe"],
        currency="USD",
        total=Decimal("12.34"),
        lines=(line, replace(line, description="Support", amount=Decimal("2.34"), quantity=None, unit_price=None)),
        issued_at=NOW,
        service_starting_at=october,
        service_ending_before=november,
    )
    return replace(base, **changes)


def priced(*amounts: str, currency: str = "USD", **changes: Any) -> InvoiceDocument:
    """An invoice with lines of these amounts."""
    lines = tuple(DocumentLine(description=f"Line {i}", amount=Decimal(a)) for i, a in enumerate(amounts))
    return invoice(lines=lines, total=sum((Decimal(a) for a in amounts), Decimal(0)), currency=currency, **changes)


def record(
    provider: str, reference: str = "slot_1", *, quantity: int = 1234, hours_ago: int = 1, **more: Any
) -> UsageRecord:
    """Usage of the hour that ended last, or of an earlier one."""
    hour = more.pop("now", NOW).replace(minute=0) - timedelta(hours=hours_ago)
    settings = {"customer": CUSTOMERS[provider_of(provider)], "dimension": "usage_fee", **more}
    return UsageRecord(reference=reference, hour=hour, quantity=Decimal(quantity), **settings)


def document(provider: str, *, size: int = 2) -> Document:
    """What is usually sent to this provider: one invoice, or so many slots."""
    if takes_invoices(provider):
        return invoice(customer=customer_of(provider))
    return MeteringDocument(
        tuple(record(provider, f"slot_{i}", quantity=1000 + i, hours_ago=i + 1) for i in range(size))
    )


def slots(provider: str, number: int, **more: Any) -> tuple[UsageRecord, ...]:
    """So many dimensions of one hour, the last one unless said otherwise."""
    return tuple(record(provider, f"s{i}", quantity=i + 1, dimension=f"d{i}", **more) for i in range(number))


async def statuses(connector: Connector, *records: UsageRecord) -> list[OutcomeStatus]:
    """What became of each record, in order."""
    return [outcome.status for outcome in await connector.deliver(MeteringDocument(records), "key")]


def make(provider: str, sandbox: Sandbox, **settings: Any) -> Connector:
    """A connector that leads to the sandbox and lives on its clock."""
    kind = load(provider)
    return kind(kind.Config.from_table("test", {**sandbox.table(provider), **settings}, ENVIRON), sandbox.clock)


async def deliver_until_done(connector: Connector, sent: Document, *, key: str = "key", tries: int = 3) -> list[Any]:
    """Repeats the same document and key, as delivery does, and gives what each try ended with; the last is done."""
    ends: list[Any] = []
    for _ in range(tries):
        try:
            outcomes = await connector.deliver(sent, key)
        except (Transient, Terminal) as failure:
            ends.append(failure)
            continue
        ends.append(outcomes)
        if all(outcome.is_done for outcome in outcomes):
            return ends
    raise AssertionError(f"not delivered: {ends}")


def deliver_here(provider: str, base: str) -> Sequence[Outcome]:
    """Runs one delivery in this process; the crash test kills it half-way."""
    sandbox = Sandbox(base, MovingClock(), httpx.Client())
    return asyncio.run(make(provider, sandbox, timeout_seconds=60).deliver(document(provider), "key"))
