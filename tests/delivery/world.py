"""A small seller for tests of the money path: customers with contracts, usage, a billing run, and three providers.

Everything is made through the services, as the API would. The stand-in providers run in a process of their own; work is
done here, or by `metrograph` commands in processes that tests may kill.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlmodel import col, select

from app.actor import system
from app.catalog.rate_rules import NewRate
from app.catalog.service import create_rate_card
from app.clock import Clock
from app.contracts.service import create_contract
from app.contracts.tables import Contract
from app.core.rates import Flat, Rate
from app.customers.billing import create_billing_configuration
from app.customers.service import create_customer
from app.delivery import sync
from app.delivery.registry import Connections, connect
from app.delivery.service import open_deliveries
from app.delivery.tables import Delivery, MeteringSlot
from app.invoices import run
from app.invoices.run_reports import RunReport
from app.invoices.tables import Invoice
from app.sandbox import CREDENTIALS, further_tables, tables
from app.store.engine import Store
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest
from tests.processes import Command

ACTOR = system("test")
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROVIDERS = ("stripe", "aws_marketplace", "azure_marketplace")
SETTINGS = {
    "stripe": {"stripeCustomerId": "cus_Acme"},
    "aws_marketplace": {
        "awsCustomerAccountId": "123456789012",
        "licenseArn": "arn:aws:license-manager:us-east-1:294406891311:license:l-acme",
    },
    "azure_marketplace": {"azureSubscriptionId": "11111111-2222-3333-4444-555555555555", "planId": "standard"},
    "gcp_marketplace": {"gcpServiceName": "acme.example.com", "gcpUsageReportingId": "project_number:4711"},
    "aws_payments": {
        "awsCustomerAccountId": "123456789012",
        "licenseArn": "arn:aws:license-manager:us-east-1:294406891311:license:l-acme",
        "agreementId": "agmt-acme",
        "variablePaymentTermId": "term-acme",
    },
    "custom": {"customerReference": "acme"},
    "manual": {"note": "by mail"},
}
NO_BUYER = {
    "aws_marketplace": SETTINGS["aws_marketplace"] | {"awsCustomerAccountId": "0" * 12},
    "azure_marketplace": SETTINGS["azure_marketplace"]
    | {"azureSubscriptionId": "00000000-0000-0000-0000-000000000000"},
}
"""Settings of a buyer whom the stand-in refuses for having no agreement."""


@dataclass
class Sandbox:
    """The control desk of the stand-ins, and the clock file that they share with everybody."""

    base: str
    clock_file: Path
    http: httpx.Client = field(repr=False)

    def now(self) -> datetime:
        return Clock(str(self.clock_file)).now()

    def set_clock(self, instant: datetime) -> None:
        part = self.clock_file.with_suffix(".part")
        part.write_text(instant.isoformat())
        part.replace(self.clock_file)

    def move(self, **step: float) -> datetime:
        self.set_clock(self.now() + timedelta(**step))
        return self.now()

    def fault(self, provider: str, kind: str, *, match: str = "", times: int | None = 1, after: int = 0) -> None:
        order = {"provider": provider, "kind": kind, "match": match, "times": times, "after": after}
        assert self.http.post("/_sandbox/faults", json=order).status_code == 201

    def effects(self, provider: str) -> list[dict[str, Any]]:
        """The provider's invoices, its slots, or the messages that it got."""
        found = self.http.get("/_sandbox/effects").json()[provider]
        return found[{"stripe": "invoices", "custom": "messages"}.get(provider, "slots")]

    def requests(self) -> list[dict[str, Any]]:
        """The payment requests at AWS."""
        return self.http.get("/_sandbox/effects").json()["aws_marketplace"]["requests"]

    def answer(self, request: str, status: str, message: str = "") -> None:
        """What the buyer, or AWS, says to a payment request."""
        order = {"id": request, "status": status, "message": message}
        assert self.http.post("/_sandbox/aws/payment-requests", json=order).status_code == 200

    def metered(self, provider: str) -> int:
        """All units that a marketplace counts."""
        return sum(int(slot["quantity"]) for slot in self.effects(provider))

    def calls(self) -> int:
        return self.http.get("/_sandbox/calls").json()["count"]

    def is_hanging(self) -> bool:
        return bool(self.http.get("/_sandbox/calls", params={"state": "hanging"}).json()["calls"])

    def reset(self, *parts: str) -> None:
        assert self.http.post("/_sandbox/reset", json={"only": list(parts)}).status_code == 200

    def connections(self) -> Connections:
        """The accounts; what fails fails at once, since repeating is the gateway's part here."""
        accounts = {
            **tables(stripe=self.base, aws=self.base, azure=f"{self.base}/api"),
            **further_tables(self.base),
        }
        for name in ("stripe-sandbox", "aws-sandbox"):
            accounts[name]["network_retries"] = 0
        return connect(
            accounts,
            environ=CREDENTIALS | {"METROGRAPH_ENVIRONMENT": "sandbox"},
            now=self.now,
        )

    def environment(self, database_url: str, *, failpoint: str = "") -> dict[str, str]:
        """The environment of a `metrograph` process that works with these stand-ins."""
        return {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")},
            "METROGRAPH_ENVIRONMENT": "sandbox",
            "METROGRAPH_CLOCK": str(self.clock_file),
            "METROGRAPH_FAILPOINT": failpoint,
            "METROGRAPH_LOG_LEVEL": "error",
            "DATABASE_URL": database_url,
            "METROGRAPH_STRIPE_API_BASE": self.base,
            "AWS_ENDPOINT_URL_MARKETPLACE_METERING": self.base,
            "METROGRAPH_AZURE_MARKETPLACE_API_BASE": f"{self.base}/api",
        }


@dataclass
class World:
    """One deployment on a database of its own."""

    store: Store
    connections: Connections
    sandbox: Sandbox
    product: UUID
    sent: int = 0

    @property
    def now(self) -> datetime:
        return self.sandbox.now()

    async def customer(self, name: str = "acme") -> UUID:
        async with self.store.transaction() as session:
            return (await create_customer(session, name=name, external_id=name, now=self.now)).id

    async def configuration(self, customer_id: UUID, provider: str, **settings: str) -> UUID:
        async with self.store.transaction() as session:
            made = await create_billing_configuration(
                session, self.connections, customer_id=customer_id, provider=provider,
                settings=settings or SETTINGS[provider], now=self.now,
            )  # fmt: skip
            return made.id

    async def contract(
        self, customer_id: UUID, configuration_id: UUID | None, *, price: str | Rate = "0.01", **terms: Any
    ) -> Contract:
        """A contract since October, monthly, that prices each unit of usage."""
        rate = Flat(Decimal(price)) if isinstance(price, str) else price
        async with self.store.transaction() as session:
            card = await create_rate_card(
                session, name="card", currency=terms.pop("currency", "USD"), now=self.now,
                rates=[NewRate(product_id=terms.pop("product_id", self.product), rate=rate)],
            )  # fmt: skip
            made = await create_contract(
                session, self.connections, customer_id=customer_id, rate_card_id=card.id, now=self.now,
                starting_at=terms.pop("starting_at", OCTOBER), billing_configuration_id=configuration_id, **terms,
            )  # fmt: skip
            return made.contract

    async def account(self, provider: str, *, name: str = "acme", price: str | Rate = "0.01", **terms: Any) -> Contract:
        """A customer with one contract through one provider."""
        customer_id = await self.customer(name)
        configuration_id = await self.configuration(customer_id, provider, **terms.pop("settings", {}))
        return await self.contract(customer_id, configuration_id, price=price, **terms)

    async def use(self, quantity: int | str, *, at: datetime, customer: str = "acme", event_type: str = "call") -> None:
        """Usage of so many units."""
        self.sent += 1
        event = IncomingEvent(f"t-{self.sent}", customer, event_type, at.isoformat(), {"n": str(quantity)})
        async with self.store.transaction() as session:
            found = await ingest(
                session, [event], actor=ACTOR, now=max(self.now, at), source="test", allow_historical=True
            )
        assert found.accepted == 1

    async def finalize(self) -> RunReport:
        """The billing run of now."""
        return await run.run_due(self.store, actor=ACTOR, as_of=self.now, now=self.now)

    async def open(self) -> None:
        """Open the deliveries of new invoices, as the job after a finalization does."""
        async with self.store.transaction() as session:
            await open_deliveries(session, self.connections, now=self.now)

    async def sweep(self) -> sync.Sweep:
        """One sync in this process."""
        return await sync.sweep(sync.Target(self.store, self.connections, self.sandbox.now), at_once=True)

    async def invoices(self) -> list[Invoice]:
        async with self.store.transaction() as session:
            return list((await session.execute(select(Invoice).order_by(col(Invoice.number)))).scalars())

    async def deliveries(self) -> list[Delivery]:
        async with self.store.transaction() as session:
            return list((await session.execute(select(Delivery).order_by(col(Delivery.id)))).scalars())

    async def slots(self) -> list[MeteringSlot]:
        async with self.store.transaction() as session:
            return list((await session.execute(select(MeteringSlot).order_by(col(MeteringSlot.hour)))).scalars())

    def start(self, *arguments: str, failpoint: str = "") -> Command:
        """A `metrograph` command in a process of its own."""
        return Command(*arguments, env=self.sandbox.environment(self.store.url, failpoint=failpoint))

    def run(self, *arguments: str, failpoint: str = "") -> tuple[int, str]:
        """A command to its end: its exit code (negative: the signal that killed it) and what it printed."""
        process = self.start(*arguments, failpoint=failpoint)
        out, err = process.communicate(timeout=60)
        assert process.returncode is not None
        return process.returncode, out + err

    def run_until_hanging(self, *arguments: str) -> None:
        """A command that is killed while a provider keeps it waiting."""
        process = self.start(*arguments)
        try:
            wait_until(lambda: self.sandbox.is_hanging() or process.poll() is not None)
            assert process.poll() is None, process.communicate()
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)


def wait_until(is_so: Callable[[], bool], *, seconds: float = 30) -> None:
    """Look often, and fail when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
