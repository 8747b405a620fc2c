"""Grants, usage, entries by hand, archives, finalization, voids and regenerations in any order, beside books kept on paper.

Hypothesis looks for a short story after which the service and the model disagree: about what is left of any balance, or
about what any invoice asks for.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.actor import system
from app.catalog.metrics import create_metric
from app.catalog.products import create_product
from app.catalog.rate_rules import NewRate
from app.catalog.service import create_rate_card
from app.commands.checking import RULES
from app.contracts.own_terms import OwnTerms
from app.contracts.service import create_contract
from app.core.grants import GrantType
from app.core.ledger import remaining
from app.core.rates import Flat
from app.customers.service import create_customer
from app.delivery.registry import Connections
from app.errors import InvalidState
from app.grants.adjustments import adjust
from app.grants.definitions import NewGrant, NewSegment
from app.grants.reading import grants_of_customer
from app.grants.service import create_grant
from app.invoices import run
from app.invoices.balance_books import unbalanced
from app.invoices.balance_edits import archive_balance
from app.invoices.balances import CustomerBook
from app.invoices.regenerating import regenerate_invoice
from app.invoices.tables import Invoice
from app.invoices.voiding import void_invoice
from app.store.embedded import Cluster
from app.store.engine import Store
from app.usage.incoming import IncomingEvent
from app.usage.service import ingest
from tests.conftest import TEMPLATE
from tests.grants.plain_model import FinalMonth, Month, PlainBooks, PlainGrant, PlainSegment

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ACTOR = system("model")
STEPS = 50
MACHINES, STORIES = (3, 34) if os.environ.get("METROGRAPH_STRESS") else (1, 6)
"""Per run; three runs of 50 steps each: 5,100 steps in `make stress`, 600 in `make test`."""
T = TypeVar("T")
Cut = tuple[int, int, Decimal]

amounts = st.integers(1, 120).map(Decimal)
cuts = st.tuples(st.integers(-45, 10), st.integers(5, 60), amounts)
"""A segment: from today, on which day it starts; how many days it holds, and how much is in it."""
uses = st.lists(st.tuples(st.integers(0, 45 * 24), amounts), min_size=1, max_size=4)
"""Usage: how many hours ago, and how much."""
segment_lists = st.lists(cuts, min_size=1, max_size=2)
priorities = st.integers(1, 3)


class Stories(RuleBasedStateMachine):
    """One customer, a product at a dollar a unit, up to three contracts that all bill the same usage."""

    cluster: Cluster
    finals = Bundle("finals")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.name = f"m_{uuid.uuid4().hex}"
        self.cluster.create_database(self.name, template=TEMPLATE)
        self.now = JANUARY
        self.books = PlainBooks(JANUARY)
        self.contracts: list[UUID] = []
        self.grants: list[UUID] = []
        self.invoices: dict[int, UUID] = {}
        self.sent = 0
        self.store = self.runner.run(Store(self.cluster.url(self.name), max_connections=2).open())

    def teardown(self) -> None:
        """The books are sound in the end, also as the database tells it."""
        try:
            assert self.do(self._broken_rules) == []
        finally:
            self.runner.run(self.store.close())
            self.runner.close()
            self.cluster.drop_database(self.name)

    def do(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Some work in a transaction of its own."""

        async def inside() -> T:
            async with self.store.transaction() as session:
                return await work(session)

        return self.runner.run(inside())

    async def _broken_rules(self, session: Any) -> list[str]:
        rules = [name for name, (_, query) in RULES.items() if (await session.execute(text(query))).scalar_one()]
        return rules + (await unbalanced(session, now=self.now))[1]

    @initialize(grants=st.lists(st.tuples(segment_lists, priorities), min_size=1, max_size=3), used=uses)
    def begin(self, grants: list[tuple[list[Cut], int]], used: list[tuple[int, Decimal]]) -> None:
        """The catalogue, a customer with a first contract and some credits, and a month and a half of usage."""

        async def work(session: Any) -> tuple[UUID, UUID]:
            metric = await create_metric(
                session, name="units", aggregation="SUM", key="n", event_types_in=["use"], now=JANUARY
            )
            product = await create_product(session, name="units", metric_id=metric.id, now=JANUARY)
            rates = [NewRate(product_id=product.id, rate=Flat(Decimal(1)))]
            card = await create_rate_card(session, name="card", currency="USD", rates=rates, now=JANUARY)
            customer = await create_customer(session, name="acme", external_id="acme", now=JANUARY)
            return card.id, customer.id

        self.card, self.customer = self.do(work)
        self.add_contract([])
        self.now += 45 * DAY
        for segments, priority in grants:
            self.grant(segments, priority)
        self.use(used)

    @precondition(lambda self: len(self.contracts) < 3)
    @rule(own=st.lists(cuts, max_size=1))
    def add_contract(self, own: list[Cut]) -> None:
        """A contract since January, with a credit of its own or without."""
        terms = OwnTerms(grants=[self._new_grant(own, priority=100)] if own else [])

        async def work(session: Any) -> UUID:
            made = await create_contract(
                session, Connections({}), customer_id=self.customer, rate_card_id=self.card, starting_at=JANUARY,
                own_terms=terms, now=self.now,
            )  # fmt: skip
            return made.contract.id

        self.contracts.append(self.do(work))
        self.books.contracts += 1
        for entry in terms.grants:
            self._note(entry.id, own, 100, self.books.contracts - 1)

    @rule(segments=segment_lists, priority=priorities)
    def grant(self, segments: list[Cut], priority: int) -> None:
        """A credit that serves every contract."""
        entry = self._new_grant(segments, priority=priority)
        self.do(lambda session: create_grant(session, self.customer, entry, now=self.now))
        self._note(entry.id, segments, priority, None)

    def _new_grant(self, segments: list[Cut], *, priority: int) -> NewGrant:
        found = [
            NewSegment(amount, self.now + start * DAY, self.now + (start + length) * DAY)
            for start, length, amount in segments
        ]
        return NewGrant(type=GrantType.CREDIT, priority=Decimal(priority), segments=found)

    def _note(self, identifier: UUID, segments: list[Cut], priority: int, contract: int | None) -> None:
        number = len(self.grants)
        self.grants.append(identifier)
        found = [
            PlainSegment(number, place, amount, self.now + start * DAY, self.now + (start + length) * DAY)
            for place, (start, length, amount) in enumerate(segments)
        ]
        self.books.grants.append(PlainGrant(number, priority, contract, found))

    @rule(used=uses)
    def use(self, used: list[tuple[int, Decimal]]) -> None:
        """Usage of any hours of the last weeks, also of months that are final already."""
        events: list[IncomingEvent] = []
        for back, quantity in used:
            hour = self.now - timedelta(hours=back)
            self.sent += 1
            events.append(IncomingEvent(f"e-{self.sent}", "acme", "use", hour.isoformat(), {"n": str(quantity)}))
            self.books.used[hour] = self.books.used.get(hour, Decimal(0)) + quantity
        self.do(
            lambda session: ingest(session, events, actor=ACTOR, now=self.now, source="model", allow_historical=True)
        )

    @precondition(lambda self: self.books.segments())
    @rule(data=st.data(), amount=st.integers(-150, 150).filter(bool))
    def enter(self, data: st.DataObject, amount: int) -> None:
        """An entry by hand, that may take more than there is."""
        segment = data.draw(st.sampled_from(self.books.segments()))
        self.do(
            lambda session: adjust(
                session, self.grants[segment.grant], segment=segment.number, amount=Decimal(amount), reason="agreed",
                now=self.now,
            )
        )  # fmt: skip
        self.books.entries[segment] = self.books.entries.get(segment, Decimal(0)) + amount

    @precondition(lambda self: self.books.segments())
    @rule(data=st.data())
    def archive(self, data: st.DataObject) -> None:
        """A balance is archived; refused while an invoice that counts has drawn on it."""
        number = data.draw(st.sampled_from(self.books.segments())).grant
        if self.books.is_drawn(number):
            with pytest.raises(InvalidState, match="void it first"):
                self.do(lambda session: archive_balance(session, self.grants[number], now=self.now))
        else:
            self.do(lambda session: archive_balance(session, self.grants[number], now=self.now))
            self.books.grants[number].is_archived = True

    @rule(length=st.integers(1, 40), used=uses)
    def wait(self, length: int, used: list[tuple[int, Decimal]]) -> None:
        """Days pass, and the customer goes on using."""
        self.now += length * DAY
        self.use(used)

    @rule(target=finals)
    def finalize(self) -> Any:
        """The billing run of now."""
        report = self.runner.run(run.run_due(self.store, actor=ACTOR, as_of=self.now, now=self.now))
        made = self.books.finalize(self.now)
        assert (report.finalized, report.failures) == (len(made), [])
        self._match(made)
        return multiple(*made)

    @rule(final=finals)
    def void(self, final: FinalMonth) -> None:
        """A final invoice is taken back, if it was not before."""
        if not final.is_void:
            identifier = self.invoices[id(final)]
            self.do(lambda session: void_invoice(session, identifier, reason="wrong", now=self.now))
            final.is_void = True

    @rule(target=finals, final=finals)
    def make_again(self, final: FinalMonth) -> Any:
        """A void invoice is made again, once."""
        if not final.is_void or final.was_made_again:
            return multiple()
        identifier = self.invoices[id(final)]
        new = self.do(lambda session: regenerate_invoice(session, identifier, now=self.now))
        made = self.books.make_again(final)
        self.invoices[id(made)] = new.id
        assert new.total == made.total
        return made

    def _match(self, made: list[FinalMonth]) -> None:
        """Find the invoice of each month that became final, and compare what it asks for."""

        async def work(session: Any) -> dict[tuple[UUID, datetime], Invoice]:
            rows = (await session.execute(text("select id from invoices"))).scalars()
            found = [await session.get_one(Invoice, identifier) for identifier in rows]
            known = set(self.invoices.values())
            return {(row.contract_id, row.starting_at): row for row in found if row.id not in known}

        rows = self.do(work)
        for final in made:
            row = rows[self.contracts[final.month.contract], final.month.starting_at]
            self.invoices[id(final)] = row.id
            assert row.total == final.total, final.month

    @invariant()
    def agree(self) -> None:
        """What every draft asks for and what is left of every pot are what the books on paper say."""
        if not self.contracts:
            return
        drafts, left = self.do(self._as_served)
        expected, expected_left = self.books.rated(self.now)
        assert drafts == {month: final.total for month, final in expected.items()}
        assert left == {(segment.grant, segment.number): amount for segment, amount in expected_left.items()}

    async def _as_served(self, session: Any) -> tuple[dict[Month, Decimal], dict[tuple[int, int], Decimal]]:
        book = await CustomerBook.of(session, self.customer, now=self.now)
        drafts = {
            Month(self.contracts.index(item.contract.id), item.period.starting_at): (
                await book.rate(item)
            ).draft.subtotal
            for item in book.open
        }
        moved = await book.movements()
        left = {
            (self.grants.index(item.row.id), segment.number): remaining(segment, moved[item.row.id])
            for item in await grants_of_customer(session, self.customer)
            if item.row.archived_at is None
            for segment in item.grant.segments
        }
        return drafts, left


@pytest.mark.stress
@pytest.mark.parametrize("number", range(MACHINES))
def test_the_service_agrees_with_books_kept_on_paper(cluster: Cluster, number: int) -> None:
    machine = type(f"Stories{number}", (Stories,), {"cluster": cluster})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=STORIES, stateful_step_count=STEPS, deadline=None,
            suppress_health_check=list(HealthCheck), print_blob=True,
        ),
    )  # fmt: skip
