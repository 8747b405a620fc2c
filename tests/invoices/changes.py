"""A seller to whom anything may happen: random agreements, and random later changes of rates, contracts, balances, events.

Everything goes through the services. A change that they refuse, as they should many, changes nothing and is another try.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.rates import add_rates
from app.catalog.service import create_rate_card
from app.contracts import quantities
from app.contracts.charge_rules import NewCharge
from app.contracts.charges import add_scheduled_charge
from app.contracts.new_fees import NewFees
from app.contracts.own_terms import OwnTerms
from app.contracts.service import create_contract
from app.contracts.subscription_rules import NewSubscription
from app.contracts.subscriptions import add_subscription
from app.contracts.tables import Contract
from app.core.fees import Collection, FeePlacement, ScheduledItem
from app.core.grants import GrantType
from app.core.period import Frequency, StatementDay, StatementSchedule
from app.core.rates import Flat
from app.customers.service import create_customer
from app.delivery.registry import Connections
from app.errors import BillingError
from app.grants.adjustments import adjust
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule
from app.grants.service import create_grant
from app.grants.true_ups import disable_true_up
from app.invoices import ending
from app.invoices.issue_dates import update_issue_date
from app.invoices.open import open_statements
from app.invoices.regenerating import regenerate_invoice
from app.invoices.run import run_due
from app.invoices.run_reports import RunReport
from app.invoices.voiding import void_invoice
from app.store.engine import Store
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest

ACTOR = system("test")
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FREQUENCIES = (Frequency.WEEKLY, Frequency.MONTHLY, Frequency.QUARTERLY)
Change = Callable[[AsyncSession], Awaitable[Any]]


@dataclass
class Seller:
    """One card with usage, a fee and a charge; its customers and what they agreed on."""

    store: Store
    random: Random
    now: datetime = JANUARY
    customers: list[UUID] = field(default_factory=list[UUID])
    contracts: list[UUID] = field(default_factory=list[UUID])
    done: Counter[str] = field(default_factory=Counter[str])
    events: int = 0

    async def open(self) -> Seller:
        """Found the company."""
        now = self.now
        async with self.store.transaction() as session:
            metric = await create_metric(
                session, name="units", aggregation="SUM", key="n", event_types_in=["use"], now=now
            )
            self.units = (await create_product(session, name="units", metric_id=metric.id, now=now)).id
            self.seat = (await create_product(session, name="seat", type="SUBSCRIPTION", now=now)).id
            self.setup = (await create_product(session, name="setup", type="FIXED", now=now)).id
            rates = [NewRate(product_id=self.units, rate=Flat(Decimal("0.13")))]
            rates += [
                NewRate(product_id=self.seat, rate=Flat(Decimal(7)), billing_frequency=item) for item in FREQUENCIES
            ]
            self.card = (await create_rate_card(session, name="card", currency="USD", rates=rates, now=now)).id
        return self

    async def try_to(self, name: str, change: Change) -> bool:
        """Carry a change out, in a transaction of its own; False when it was refused."""
        try:
            async with self.store.transaction() as session:
                await change(session)
        except BillingError:
            self.done["refused"] += 1
            return False
        self.done[name] += 1
        return True

    async def bill(self, as_of: datetime | None = None) -> RunReport:
        """The billing run."""
        return await run_due(self.store, actor=ACTOR, as_of=as_of or self.now, now=self.now)

    def some_hour(self, low: int = -40, high: int = 60) -> datetime:
        return (self.now + self.random.randint(low * 24, high * 24) * HOUR).replace(minute=0, second=0, microsecond=0)

    def amount(self) -> Decimal:
        return Decimal(self.random.randint(1, 500)) / 4

    async def agree(self) -> bool:
        """A contract of a new or an old customer."""
        random = self.random
        if not self.customers or random.random() < 0.5:
            name = f"c{len(self.customers)}"
            async with self.store.transaction() as session:
                made = await create_customer(session, name=name, external_id=name, now=self.now)
            self.customers.append(made.id)
        customer_id = random.choice(self.customers)
        start = self.some_hour(-60, 20)
        end = None if random.random() < 0.5 else start + random.randint(1, 120) * DAY
        day = random.choice([StatementDay.FIRST_OF_MONTH, StatementDay.CONTRACT_START, StatementDay.CUSTOM_DATE])
        schedule = StatementSchedule(
            frequency=random.choice(FREQUENCIES), day=day,
            anchor=self.some_hour() if day is StatementDay.CUSTOM_DATE else None,
            generate_from=self.some_hour() if random.random() < 0.2 else None,
        )  # fmt: skip
        own = OwnTerms(
            fees=NewFees(
                [self.charge() for _ in range(random.randint(0, 1))],
                [self.subscription() for _ in range(random.randint(0, 2))],
                random.random() < 0.5,
            ),
            grants=[self.grant() for _ in range(random.randint(0, 2))],
        )

        async def create(session: AsyncSession) -> None:
            made = await create_contract(
                session, Connections({}), customer_id=customer_id, rate_card_id=self.card, starting_at=start,
                ending_before=end, statement=schedule, grace_hours=random.choice([0, 1, 24, 100]), own_terms=own,
                now=self.now,
            )  # fmt: skip
            self.contracts.append(made.contract.id)

        return await self.try_to("contract", create)

    def charge(self) -> NewCharge:
        items = [ScheduledItem(self.some_hour(-5), self.amount(), Decimal(1)) for _ in range(self.random.randint(1, 3))]
        return NewCharge(product_id=self.setup, items=items)

    def subscription(self) -> NewSubscription:
        return NewSubscription(
            product_id=self.seat, frequency=self.random.choice(FREQUENCIES),
            collection=self.random.choice(list(Collection)), initial_quantity=Decimal(self.random.randint(0, 5)),
            placement=self.random.choice(list(FeePlacement)),
        )  # fmt: skip

    def grant(self, *, contract_id: UUID | None = None) -> NewGrant:
        kind = self.random.choice(list(GrantType))
        start = self.some_hour(-30, 10)
        segment = NewSegment(self.amount(), start, start + self.random.randint(1, 90) * DAY)
        payment = None
        if kind is not GrantType.CREDIT:
            payment = PaymentSchedule((ScheduledItem(self.some_hour(-5), segment.amount, Decimal(1)),))
        return NewGrant(
            type=kind, segments=[segment], priority=Decimal(self.random.randint(1, 9)), payment=payment,
            product_id=self.setup if payment is not None else None, invoice_contract_id=contract_id,
        )  # fmt: skip

    async def change(self) -> bool:
        """One random change."""
        if not self.contracts:
            return await self.agree()
        choices = (
            *(self._add_charge, self._add_subscription, self._add_rate, self._use, self._use),
            *(
                self._new_balance,
                self._adjust,
                self._quantity,
                self._end,
                self._void,
                self._regenerate,
                self._no_true_up,
                self._move,
            ),
        )
        return await self.random.choice(choices)()

    async def _add_charge(self) -> bool:
        contract, charge = self.random.choice(self.contracts), self.charge()
        return await self.try_to(
            "charge", lambda session: add_scheduled_charge(session, Connections({}), contract, charge, now=self.now)
        )

    async def _add_subscription(self) -> bool:
        contract, entry = self.random.choice(self.contracts), self.subscription()
        return await self.try_to(
            "subscription", lambda session: add_subscription(session, contract, entry, now=self.now)
        )

    async def _add_rate(self) -> bool:
        product, frequency = self.random.choice([(self.units, None), *((self.seat, item) for item in FREQUENCIES)])
        entry = NewRate(
            product_id=product, rate=Flat(self.amount()), starting_at=self.some_hour(-60), billing_frequency=frequency,
            entitled=self.random.random() < 0.8,
        )  # fmt: skip
        return await self.try_to("rate", lambda session: add_rates(session, self.card, [entry], now=self.now))

    async def _use(self) -> bool:
        self.events += 1
        customer, at = self.random.randrange(len(self.customers)), self.some_hour(-60, 0)
        event = IncomingEvent(
            f"e{self.events}", f"c{customer}", "use", at.isoformat(), {"n": str(self.random.randint(1, 999))}
        )
        return await self.try_to(
            "event",
            lambda session: ingest(session, [event], actor=ACTOR, now=self.now, source="test", allow_historical=True),
        )

    async def _new_balance(self) -> bool:
        customer = self.random.choice(self.customers)
        contract = await self._one("select id from contracts where customer_id = :customer", customer=customer)
        grant = self.grant(contract_id=contract)
        return await self.try_to("balance", lambda session: create_grant(session, customer, grant, now=self.now))

    async def _adjust(self) -> bool:
        grant, amount = await self._one("select id from grants"), self.amount() * self.random.choice([-1, 1])
        if grant is None:
            return False
        return await self.try_to(
            "entry", lambda session: adjust(session, grant, segment=0, amount=amount, reason="test", now=self.now)
        )

    async def _quantity(self) -> bool:
        subscription = await self._one("select id from subscriptions")
        if subscription is None:
            return False
        at, quantity = self.some_hour(-5), Decimal(self.random.randint(0, 9))
        return await self.try_to(
            "quantity",
            lambda session: quantities.update_quantity(
                session, subscription, starting_at=at, quantity=quantity, now=self.now
            ),
        )

    async def _end(self) -> bool:
        contract, at = self.random.choice(self.contracts), self.some_hour(-20)
        chosen = None if self.random.random() < 0.3 else at
        return await self.try_to("end", lambda session: ending.update_end_date(session, contract, chosen))

    async def _void(self) -> bool:
        invoice = await self._one(
            "select id from invoices i where not exists (select 1 from invoice_voids v where v.invoice_id = i.id)"
        )
        if invoice is None:
            return False
        return await self.try_to("void", lambda session: void_invoice(session, invoice, reason="test", now=self.now))

    async def _regenerate(self) -> bool:
        invoice = await self._one("select invoice_id from invoice_voids")
        if invoice is None:
            return False
        return await self.try_to("regenerate", lambda session: regenerate_invoice(session, invoice, now=self.now))

    async def _move(self) -> bool:
        async with self.store.transaction() as session:
            contract = await session.get_one(Contract, self.random.choice(self.contracts))
            found = await open_statements(session, [contract], now=self.now)
        if not found:
            return False
        identifier, at = self.random.choice(found).id, self.now + self.random.randint(1, 900) * HOUR
        chosen = None if self.random.random() < 0.2 else at
        return await self.try_to(
            "issue date", lambda session: update_issue_date(session, identifier, chosen, now=self.now)
        )

    async def _no_true_up(self) -> bool:
        grant = await self._one("select id from grants where type = 'POSTPAID'")
        if grant is None:
            return False
        return await self.try_to("true-up", lambda session: disable_true_up(session, grant))

    async def _one(self, query: str, **values: Any) -> UUID | None:
        """Any of the ids that a query finds, in an order that hangs on the seed alone."""
        async with self.store.transaction() as session:
            found = sorted((await session.execute(text(query), values)).scalars())
        return self.random.choice(found) if found else None
