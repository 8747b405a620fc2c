"""A contract as it was known at any instant: now it is what it is, and before each change what it was then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as some

from app.clock import Clock
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from tests.api.books import assert_sound
from tests.api.conftest import Api
from tests.api.test_contract_edits import edit
from tests.api.test_contract_history import CALLS, call, signed
from tests.api.test_fees import Deal, deal
from tests.api.test_invoices import app
from tests.api.test_recurring_balances import monthly

__all__ = ["app", "deal"]

STATE = """ revision name netPaymentTermsDays archivedAt interval { startingAt endingBefore } customFields { key value }
  billingConfiguration { id } usageFilters { startingAt endingBefore key values }
  overrides { id startingAt change { ... on PriceMultiplier { multiplier } } }
  scheduledCharges { id currency items(first: 50) { nodes { at amount { amount } } } }
  thresholds { kind isEnabled amount { amount } } """
SUBSCRIPTION = " name initialQuantity quantityManagement interval { startingAt endingBefore } "
RECURRING = " name archivedAt accessAmount { unitPrice } interval { startingAt endingBefore } "
BALANCE = " name kind priority archivedAt rateType revision paymentGate { status settledAt } "
SEATS = " seats { unassigned assigned { nodes { id } } } "
PAST = f"""query ($id: ID!, $at: DateTime!) {{ contract(id: $id) {{ asOf(at: $at) {{ {STATE}
  subscriptions {{ id terms {{ {SUBSCRIPTION} }} quantity quantities(first: 50) {{ nodes {{ startingAt quantity }} }} {SEATS} }}
  recurringBalances {{ id terms {{ {RECURRING} }} }}
  balances {{ id terms {{ {BALANCE} }} segments {{ number amount {{ amount }} interval {{ startingAt endingBefore }} }} }} }} }} }}"""
TODAY = f"""query ($id: ID!) {{ contract(id: $id) {{ {STATE}
  subscriptions {{ id {SUBSCRIPTION} quantity quantityHistory(first: 50) {{ nodes {{ startingAt quantity }} }}
    quantitySchedule(first: 50) {{ nodes {{ startingAt quantity }} }} {SEATS} }}
  recurringBalances {{ id {RECURRING} }} }} }}"""
BALANCES = f"""query ($customer: ID!, $filter: BalanceFilter) {{ balances(customerId: $customer, filter: $filter, first: 50) {{
  nodes {{ id {BALANCE} segments {{ number amount {{ amount }} interval {{ startingAt endingBefore }} }} }} }} }}"""


def written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


class Story:
    """A contract whose changes come a minute apart."""

    def __init__(self, deal: Deal, settings: Settings, store: Store, now: datetime) -> None:
        self.deal, self.settings, self.store, self.start = deal, settings, store, now
        self.minutes = 0

    @property
    def now(self) -> datetime:
        return self.start + timedelta(minutes=self.minutes)

    async def pass_time(self) -> None:
        """The same database a minute later."""
        self.minutes += 1
        self.deal.api = Api(create_app(self.settings, self.store, Clock(written(self.now))))

    async def today(self, contract: str) -> dict[str, Any]:
        """What the contract and its balances say now, in the form of the past."""
        found = (await self.deal.api(TODAY, id=contract))["contract"]
        for item in found["subscriptions"]:
            later = item.pop("quantitySchedule")["nodes"]
            item["quantities"] = {"nodes": [*item.pop("quantityHistory")["nodes"], *later]}
        every = {"status": ["ACTIVE", "UPCOMING", "EXPIRED", "VOIDED", "PENDING"]}
        balances = (await self.deal.api(BALANCES, customer=self.deal.customer["id"], filter=every))["balances"]
        found["balances"] = sorted(balances["nodes"], key=lambda item: item["id"].partition("_")[2])
        own = {
            "subscriptions": ("quantity", "quantities", "seats"), "recurringBalances": (), "balances": ("segments",),
        }  # fmt: skip
        for kind, names in own.items():
            found[kind] = [
                {"id": item.pop("id"), **{name: item.pop(name) for name in names}, "terms": item}
                for item in found[kind]
            ]
        return found

    async def past(self, contract: str, at: datetime) -> dict[str, Any] | None:
        return (await self.deal.api(PAST, id=contract, at=written(at)))["contract"]["asOf"]


@pytest.fixture
def story(deal: Deal, settings: Settings, store: Store, now: datetime) -> Story:
    return Story(deal, settings, store, now)


async def test_before_each_change_it_is_what_it_was(story: Story, store: Store) -> None:
    """Every mutation of a contract there is, a minute apart, each seen from the end."""
    names = await signed(story.deal)
    contract = names["contract"].strip('"')
    seen = [(story.now, await story.today(contract))]
    for mutation in CALLS:
        await story.pass_time()
        assert await call(story.deal, mutation, names) == [], mutation
        seen.append((story.now, await story.today(contract)))
        assert await story.past(contract, story.now) == seen[-1][1], mutation
    for place, (at, state) in enumerate(seen):
        assert await story.past(contract, at) == state, list(CALLS)[place - 1]
        if place:
            assert await story.past(contract, at - timedelta(microseconds=1)) == seen[place - 1][1]
    assert await story.past(contract, story.start - timedelta(seconds=1)) is None
    assert len({str(state) for _, state in seen}) >= len(CALLS) - 2
    await assert_sound(store, story.now)


async def test_random_edits_are_undone_one_after_the_other(story: Story) -> None:
    """Edits drawn at random, several of the same term among them."""
    names = await signed(story.deal)
    contract = names["contract"].strip('"')
    bare = {name: value.strip('"') for name, value in names.items()}
    edits = some.fixed_dictionaries(
        {},
        optional={
            "name": some.sampled_from(["A", "B", None]),
            "netPaymentTermsDays": some.sampled_from([0, 30, None]),
            "endingBefore": some.sampled_from(["2027-06-01T00:00:00Z", "2027-09-01T00:00:00Z", None]),
            "updateBalances": some.sampled_from(["1", "2", "3"]).map(
                lambda priority: [{"id": bare["credit"], "priority": priority,
                                   "access": {"update": [{"number": 0, "amount": priority}]}}]
            ),
            "quantityUpdates": some.sampled_from(["4", "5"]).map(
                lambda quantity: [{"subscriptionId": bare["subscription"], "startingAt": "2026-11-05T00:00:00Z",
                                   "quantity": quantity}]
            ),
            "add": some.sampled_from(["0.5", "0.25"]).map(lambda by: {"overrides": [{"change": {"multiplier": by}}]}),
        },
    )  # fmt: skip
    drawn: list[dict[str, Any]] = []

    @tried(
        max_examples=12,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(edits)
    def draw(found: dict[str, Any]) -> None:
        drawn.append(found)

    draw()
    document = "mutation ($id: ID!, $input: ContractEditInput!) { contractEdit(id: $id, input: $input) { userErrors { code } } }"
    seen = [(story.now, await story.today(contract))]
    for found in drawn:
        await story.pass_time()
        answer = (await story.deal.api(document, id=contract, input=found))["contractEdit"]
        assert (answer["userErrors"] == []) is bool(found)
        seen.append((story.now, await story.today(contract)))
    for at, state in seen:
        assert await story.past(contract, at) == state


async def test_children_of_what_was_agreed_on_later_are_not_known_before(story: Story) -> None:
    """A balance that recurs since the contract's start is added a minute late; its child is dated back to November 1."""
    contract = (await story.deal.signed(recurringBalances=[monthly("2")]))["id"]
    before = story.now, await story.today(contract)
    await story.pass_time()
    answer = await edit(story.deal.api, contract, add={"recurringBalances": [monthly("3")]})
    assert answer["userErrors"] == []
    after = await story.past(contract, story.now)
    assert after is not None
    assert [len(known["balances"]) for known in (before[1], after)] == [1, 2]
    assert await story.past(contract, before[0]) == before[1]


async def test_the_past_is_the_sellers_and_has_come(deal: Deal, now: datetime) -> None:
    contract = await deal.signed()
    ask = "query ($id: ID!, $at: DateTime!) { contract(id: $id) { asOf(at: $at) { name } } }"
    [error] = await deal.api.errors(ask, id=contract["id"], at=written(now + timedelta(seconds=1)))
    assert "has not come yet" in error["message"]
    assert (await deal.api(ask, id=contract["id"], at=written(now)))["contract"]["asOf"] == {"name": None}
