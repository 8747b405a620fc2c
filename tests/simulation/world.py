"""A seeded world: random usage, time, finalization and deliveries with faults, against a plain model of what is owed.

The provider is a stand-in with effects that can be counted. It loses answers, refuses to answer, and "kills" the worker
in the middle of a call; the books must come out right whatever it does.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.rates import add_rates
from app.catalog.service import create_rate_card
from app.contracts.service import create_contract
from app.core.money import ZERO
from app.core.period import HOUR
from app.core.rates import Flat
from app.customers.aliases import set_ingest_aliases
from app.customers.billing import create_billing_configuration
from app.customers.service import create_customer
from app.delivery import sync
from app.delivery.registry import Connection, Connections
from app.invoices import run
from app.store.engine import Store
from app.usage.buckets import fold_all
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest
from connectors.base import (
    Capabilities,
    Document,
    InvoiceDocument,
    MeteringDocument,
    Outcome,
    OutcomeStatus,
    Problem,
    Transient,
)

ACTOR = system("simulation")
START = datetime(2026, 1, 1, tzinfo=UTC)
PRICES = {"tokens": Decimal("0.0137"), "calls": Decimal("0.333")}


class Killed(BaseException):
    """The worker died here: nothing after this line of it happens."""


@dataclass
class Provider:
    """Counts effects by our reference; loses answers and kills the worker as the dice fall."""

    rng: random.Random
    mode: str
    faulty: bool = True
    effects: dict[str, Decimal] = field(default_factory=dict)
    calls: int = 0
    name: ClassVar[str] = "simulated"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            mode="invoice" if self.mode == "invoice" else "metering", batch_size=3, accepts_negative=True
        )

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        return []

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        self.calls += 1
        self._dice("before")
        outcomes: list[Outcome] = []
        if isinstance(document, InvoiceDocument):
            outcomes.append(self._effect(document.reference, document.total))
        else:
            assert isinstance(document, MeteringDocument)
            outcomes += [self._effect(record.reference, record.quantity) for record in document.records]
        self._dice("after")
        return outcomes

    def _effect(self, reference: str, amount: Decimal) -> Outcome:
        """Idempotent by reference, like the connectors; another amount under the same reference would be a fault of ours."""
        status = OutcomeStatus.DUPLICATE if reference in self.effects else OutcomeStatus.ACCEPTED
        assert self.effects.setdefault(reference, amount) == amount, f"{reference} was sent with two amounts"
        return Outcome(reference=reference, status=status, acknowledged=amount, provider_reference=f"p-{reference}")

    def _dice(self, moment: str) -> None:
        if not self.faulty:
            return
        throw = self.rng.random()
        if throw < 0.15:
            raise Killed(moment)
        if throw < 0.35:
            raise Transient(f"no answer, {moment}", unknown=moment == "after")

    async def close(self) -> None:
        return None


@dataclass
class World:
    """The deployment under test, its clock, and the model: what every contract owes for each month."""

    store: Store
    rng: random.Random
    now: datetime = START
    providers: dict[str, Provider] = field(default_factory=dict)
    contracts: dict[str, UUID] = field(default_factory=dict)
    customers: dict[str, UUID] = field(default_factory=dict)
    references: dict[str, list[str]] = field(default_factory=dict)
    metered: dict[str, bool] = field(default_factory=dict)
    sent: list[IncomingEvent] = field(default_factory=list)
    owed: dict[tuple[str, datetime], Decimal] = field(default_factory=dict)
    numbered: int = 0

    @property
    def connections(self) -> Connections:
        return Connections(
            {
                name: Connection(name, name, provider, Decimal("0.01"), "fee")  # type: ignore[arg-type]
                for name, provider in self.providers.items()
            }
        )

    async def found(self) -> None:
        self.providers = {"invoices": Provider(self.rng, "invoice"), "usage": Provider(self.rng, "metering")}
        async with self.store.transaction() as session:
            card = await create_rate_card(session, name="card", currency="USD", now=self.now)
            for name, price in PRICES.items():
                metric = await create_metric(
                    session, name=name, aggregation="SUM" if name == "tokens" else "COUNT",
                    key="n" if name == "tokens" else None, event_types_in=[name], now=self.now,
                )  # fmt: skip
                product = await create_product(session, name=name, metric_id=metric.id, now=self.now)
                await add_rates(session, card.id, [NewRate(product_id=product.id, rate=Flat(price))], now=self.now)
            for number in range(4):
                await self._customer(session, card.id, f"customer-{number}", sorted(self.providers)[number % 2])

    async def _customer(self, session: object, card_id: UUID, name: str, provider: str) -> None:
        row = await create_customer(session, name=name, external_id=name, now=self.now)  # type: ignore[arg-type]
        configuration = await create_billing_configuration(
            session,
            self.connections,
            customer_id=row.id,
            provider=provider,
            settings={"id": name},
            now=self.now,  # type: ignore[arg-type]
        )
        made = await create_contract(
            session, self.connections, customer_id=row.id, rate_card_id=card_id, starting_at=START,  # type: ignore[arg-type]
            billing_configuration_id=configuration.id, now=self.now,
        )  # fmt: skip
        self.metered[name] = provider == "usage"
        self.customers[name], self.contracts[name], self.references[name] = row.id, made.contract.id, [name]

    # What may happen next; each is one step of the simulation.

    async def usage_arrives(self) -> None:
        batch: list[IncomingEvent] = []
        for _ in range(self.rng.randrange(1, 25)):
            if self.sent and self.rng.random() < 0.2:
                batch.append(self.rng.choice(self.sent))  # a repeat, of this batch or of long ago
                continue
            batch.append(self._new_event())
            self.sent.append(batch[-1])
        async with self.store.transaction() as session:
            result = await ingest(session, batch, actor=ACTOR, now=self.now, source="simulation", allow_historical=True)
        assert not result.conflicts

    def _new_event(self) -> IncomingEvent:
        name = self.rng.choice(sorted(self.customers))
        at = max(START, self.now - timedelta(minutes=self.rng.randrange(0, 60 * 30)))
        kind = self.rng.choice(sorted(PRICES))
        # Corrections only where invoices are sent: what a marketplace has metered it does not give back.
        least = 0 if self.metered[name] else -50
        quantity = Decimal(self.rng.randrange(least, 400)) / 10 if kind == "tokens" else Decimal(1)
        month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        if self.now >= _next_month(month) + timedelta(hours=24):
            # Its statement was due before: the event would be late, and on no invoice.
            return self._event(name, kind, self.now, quantity)
        return self._event(name, kind, at, quantity)

    def _event(self, name: str, kind: str, at: datetime, quantity: Decimal) -> IncomingEvent:
        self.numbered += 1
        month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self.owed[name, month] = self.owed.get((name, month), ZERO) + quantity * PRICES[kind]
        reference = self.rng.choice(self.references[name])
        return IncomingEvent(f"e{self.numbered}", reference, kind, at.isoformat(), {"n": str(quantity)})

    async def alias_appears(self) -> None:
        name = self.rng.choice(sorted(self.customers))
        alias = f"{name}-alias-{self.rng.randrange(3)}"
        if alias not in self.references[name]:
            self.references[name].append(alias)
        aliases = [reference for reference in self.references[name] if reference != name]
        async with self.store.transaction() as session:
            await set_ingest_aliases(session, self.customers[name], aliases, now=self.now)

    async def hours_pass(self) -> None:
        self.now += self.rng.randrange(1, 40) * HOUR

    async def deltas_fold(self) -> None:
        await fold_all(self.store)

    async def billing_runs(self) -> None:
        report = await run.run_due(self.store, actor=ACTOR, as_of=self.now, now=self.now)
        assert not report.failures

    async def worker_sweeps(self) -> None:
        try:
            await sync.sweep(sync.Target(self.store, self.connections, lambda: self.now), at_once=True)
        except Killed:
            return


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)
