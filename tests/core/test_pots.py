"""What open invoices share: what earlier ones left in each segment, and the form that is frozen with an invoice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.grants import Grant, GrantType, Pot, Segment
from app.core.ledger import Movement, TransferKind, remaining
from app.core.period import HOUR, Frequency, Period
from app.core.pots import pots_from_json, pots_of, pots_to_json
from app.core.quantities import UsageKey
from app.core.rating import Rating, rate_fees, rate_statement
from app.core.terms import RateTarget, Specifier
from tests.core.agreements import JANUARY, A, B, day, entry, flat, terms, usages, used
from tests.core.balances import PREPAID, grant, pots
from tests.core.test_drawdown import BALANCES, EVERYTHING, fee

D = Decimal
DRAW, MANUAL = TransferKind.AUTOMATED_INVOICE_DEDUCTION, TransferKind.MANUAL
TWO = grant(1, segments=(("100", "01-01", "02-01"), ("50", "02-01", "03-01")))
LATER = grant(2, PREPAID, segments=(("30", "06-01", "07-01"),))


def moved(amount: str | Decimal, segment: int = 0, kind: TransferKind = DRAW) -> Movement:
    return Movement(kind, segment, D(amount), day("01-15"))


@pytest.mark.parametrize(
    ("grants", "movements", "left"),
    [
        pytest.param([], {}, [], id="nothing to draw from"),
        pytest.param([TWO], {}, ["1/0 100", "1/1 50"], id="untouched"),
        pytest.param([LATER, TWO], {}, ["1/0 100", "1/1 50", "2/0 30"], id="by id, whether active or not"),
        pytest.param(
            [replace(TWO, segments=TWO.segments[::-1])], {TWO.id: [moved("-50", 1)]}, ["1/0 100", "1/1 0"],
            id="by number, each with its own movements",
        ),
        pytest.param(
            [TWO, LATER], {TWO.id: [moved("-60"), moved("10", kind=MANUAL), moved("-20")]},
            ["1/0 30", "1/1 50", "2/0 30"], id="draws of earlier invoices and entries by hand",
        ),
        pytest.param([TWO], {TWO.id: [moved("-130", kind=MANUAL)]}, ["1/0 -30", "1/1 50"], id="below zero as it stands"),
        pytest.param([TWO], {LATER.id: [moved("-30")]}, ["1/0 100", "1/1 50"], id="another book"),
    ],
)  # fmt: skip
def test_what_earlier_invoices_left(
    grants: list[Grant], movements: dict[UUID, list[Movement]], left: list[str]
) -> None:
    found = pots_of(grants, movements)
    assert [f"{pot.grant.id.int - 1000}/{pot.segment.number} {pot.available}" for pot in found] == left


def test_the_stored_form() -> None:
    """The promise to invoices that are final: each grant once, its segments by number, decimals as canonical text."""
    commit = grant(
        1, PREPAID, segments=(("100.50", "01-01", "02-01"), ("50", "02-01", "03-01")), priority=D("1.0"),
        specifiers=(Specifier(product_id=A, pricing=(("region", "eu"),)),), contract_count=None,
        rate_type=RateTarget.COMMIT_RATE, recurring_id=UUID(int=7), is_rollover=True,
    )  # fmt: skip
    gift = grant(2, product_ids=(B,), tags=("core",), is_free=True)
    [first, second] = pots_to_json(reversed(pots(commit, gift, g1_0="0.10", g1_1="0")))
    assert first == {
        "id": str(commit.id), "type": "PREPAID", "unit": "USD", "created_at": "2025-01-01T00:00:00Z", "priority": "1",
        "products": [], "tags": [], "specifiers": [{"product": str(A), "pricing": {"region": "eu"}}],
        "contract_count": None, "rate_type": "COMMIT_RATE", "recurring": str(UUID(int=7)),
        "is_free": False, "is_rollover": True, "seat": None,
        "segments": [
            {"number": 0, "starting_at": "2025-01-01T00:00:00Z", "ending_before": "2025-02-01T00:00:00Z",
             "amount": "100.5", "available": "0.1"},
            {"number": 1, "starting_at": "2025-02-01T00:00:00Z", "ending_before": "2025-03-01T00:00:00Z",
             "amount": "50", "available": "0"},
        ],
    }  # fmt: skip
    parts = ("products", "tags", "specifiers", "contract_count", "rate_type", "recurring", "is_free", "is_rollover")
    assert [second[part] for part in parts] == [[str(B)], ["core"], [], 1, "LIST_RATE", None, True, False]
    [refund] = pots_to_json(pots(grant(3, is_refund=True)))
    assert refund.keys() - second.keys() == {"is_refund"}, "only of refunds, since others were frozen without it"


exact_amounts = st.decimals(min_value=0, max_value=10**9, places=12)
texts = st.text(min_size=1, max_size=4)
ids = st.uuids()
groups = st.dictionaries(texts, texts, max_size=2).map(lambda values: tuple(sorted(values.items())))
hours = st.integers(0, 20_000).map(lambda number: day("01-01") + number * HOUR)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=3).map(tuple)


periods = st.builds(
    lambda start, length: Period(start, start + length * HOUR), hours, st.integers(min_value=1, max_value=9_000)
)
specifiers = st.builds(
    Specifier, product_id=st.none() | ids, tags=some(texts), pricing=groups, presentation=groups,
    billing_frequency=st.none() | st.sampled_from(Frequency), grant_ids=some(ids), recurring_ids=some(ids),
)  # fmt: skip
grants = st.builds(
    Grant, id=ids, type=st.sampled_from(GrantType), unit=st.sampled_from(["USD", "TOKENS"]),
    segments=st.lists(st.tuples(periods, exact_amounts), min_size=1, max_size=3).map(
        lambda found: tuple(Segment(number, *parts) for number, parts in enumerate(found))
    ),
    created_at=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    priority=exact_amounts, product_ids=some(ids), tags=some(texts), specifiers=some(specifiers),
    contract_count=st.none() | st.integers(1, 9), rate_type=st.sampled_from(RateTarget),
    recurring_id=st.none() | ids, is_free=st.booleans(), is_rollover=st.booleans(),
    is_refund=st.booleans(),
)  # fmt: skip
movement_lists = st.lists(
    st.builds(
        lambda segment, amount: moved(amount, segment, MANUAL),
        st.integers(0, 2),
        st.decimals(-(10**9), 10**9, places=12),
    ),
    max_size=4,
)


@given(st.lists(st.tuples(grants, movement_lists), max_size=4, unique_by=lambda item: item[0].id))
def test_the_stored_form_leads_back(given_grants: list[tuple[Grant, list[Movement]]]) -> None:
    """Through the text of the database, whatever the order in which the pots come."""
    found = pots_of([item for item, _ in given_grants], {item.id: movements for item, movements in given_grants})
    assert pots_from_json(json.loads(json.dumps(pots_to_json(found)))) == found
    assert pots_to_json(reversed(found)) == pots_to_json(found)


def test_a_child_draws_only_while_it_may() -> None:
    """7 a call on the 12th, 15th and 25th; from the 13th to the 21st a parent's credit is open to it."""
    always, sometimes = pots_of([TWO], {}), (Period(day("01-13"), day("01-21")), Period(day("03-01")))
    agreed = terms(entry(4, flat("7"), "01-10", product_id=B))
    for shared, taken in ((None, ["21"]), (sometimes, ["7"]), ((), []), (sometimes[1:], [])):
        found = pots_of([TWO], {}, shared={TWO.id: shared})
        assert pots_from_json(json.loads(json.dumps(pots_to_json(found)))) == found
        rating = rate_statement(agreed, JANUARY, {UsageKey(B): used(d12="1", d15="1", d25="1")}, pots=found)
        assert [str(draw.amount) for draw in rating.draws] == taken
    assert "shared" not in pots_to_json(always)[0], "what was frozen before keeps its form"


amounts = st.decimals(min_value=0, max_value=400, places=2)
fee_lists = st.lists(
    st.builds(
        lambda amount, start, product: fee(str(amount), f"01-{start:02}", "02-01", product),
        amounts, st.integers(1, 31), st.sampled_from([A, B]),
    ),
    max_size=3,
)  # fmt: skip
by_hand = st.tuples(
    st.sampled_from([pot.key for pot in pots(*BALANCES)]), st.decimals(min_value=-150, max_value=150, places=2)
)


@given(
    st.lists(st.tuples(usages, fee_lists, st.booleans()), min_size=1, max_size=4), st.lists(by_hand, max_size=3)
)  # fmt: skip
def test_drafts_that_share_balances_never_overdraw_them(
    drafts: list[tuple[Any, Any, bool]], entries: list[Any]
) -> None:
    """Each draft takes what the earlier ones left: usage statements and scheduled invoices, one after the other.

    What entries by hand took too much stays as it is, and all draws together are what has gone from the books.
    """
    books: dict[UUID, list[Movement]] = {item.id: [] for item in BALANCES}
    for key, amount in entries:
        books[key.grant_id].append(moved(amount, key.number, MANUAL))
    before = pots_of(BALANCES, books)
    drawn = D(0)
    for usage, fees, is_scheduled in drafts:
        left = pots_of(BALANCES, books)
        if is_scheduled:
            rating = rate_fees(EVERYTHING, fees, pots=left)
        else:
            rating = rate_statement(EVERYTHING, JANUARY, usage, pots=left, fees=fees)
        drawn += _enter(rating, left, books)
    after = pots_of(BALANCES, books)
    assert all(new.available >= min(old.available, D(0)) for old, new in zip(before, after, strict=True))
    assert sum((old.available - new.available for old, new in zip(before, after, strict=True)), D(0)) == drawn


def _enter(rating: Rating, left: Sequence[Pot], books: dict[UUID, list[Movement]]) -> Decimal:
    """Write the draws of a draft into the books; returns what they come to."""
    limits = {pot.key: pot.available for pot in left}
    for draw in rating.draws:
        assert D(0) < draw.amount <= limits[draw.pot]
        books[draw.pot.grant_id].append(moved(-draw.amount, draw.pot.number))
    return sum((draw.amount for draw in rating.draws), D(0))


def test_the_second_draft_finds_what_the_first_left() -> None:
    """Two invoices of 70 and a credit of 100: 70, then 30, then nothing."""
    book: dict[UUID, list[Movement]] = {TWO.id: []}
    taken: list[list[Decimal]] = []
    for _ in range(3):
        rating = rate_fees(EVERYTHING, [fee("70")], pots=pots_of([TWO], book))
        taken.append([draw.amount for draw in rating.draws])
        _enter(rating, pots_of([TWO], book), book)
    assert taken == [[D(70)], [D(30)], []]
    assert remaining(TWO.segments[0], book[TWO.id]) == 0
