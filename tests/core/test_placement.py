"""What falls due, and which invoice carries it: the statement that fits its date, or an invoice of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from app.core.fees import BilledItem, Collection, FeePlacement, ItemKey, ItemKind, ScheduledCharge, ScheduledItem
from app.core.items import DueItem, fees_and_charges, item_lines, items_due, key_of, with_every_fee
from app.core.lines import LineType
from app.core.money import fiat
from app.core.period import HOUR, Period
from app.core.placement import Placed, ScheduledDate, place
from app.core.terms import Product, ProductType, Terms
from tests.core.agreements import D, day
from tests.core.test_subscriptions import ADVANCE, ARREARS, SEAT, agreed, price, seats

SETUP = Product(UUID(int=8), "setup", ProductType.FIXED, None)
JANUARY, FEBRUARY = Period(day("01-01"), day("02-01")), Period(day("02-01"), day("03-01"))
ALWAYS_ALONE = FeePlacement.ON_SCHEDULED_INVOICE


def charge(number: int, *items: tuple[str, str], unit: str = "USD") -> ScheduledCharge:
    found = tuple(ScheduledItem(day(at), D(amount), D(1)) for at, amount in items)
    return ScheduledCharge(UUID(int=number), SETUP.id, fiat(unit), found, added=number)


def charging(*charges: ScheduledCharge, **more: Any) -> Terms:
    return replace(agreed(**more), products=(SETUP, SEAT), scheduled_charges=charges)


def placed(
    found: Terms,
    *,
    until: str = "03-02",
    now: str = "02-15",
    final: tuple[str, ...] = (),
    waiting: tuple[str, ...] = (),
    scheduled: Mapping[tuple[datetime, str], int] | None = None,
) -> list[str]:
    """`statement of 01-01: ...` and `alone on 01-10 USD: ...`, with the amounts."""
    result = place(
        items_due(found, until=day(until)), unit="USD", statements=[JANUARY, FEBRUARY],
        final=[day(at) for at in final], waiting=[day(at) for at in waiting], scheduled=scheduled or {}, now=day(now),
    )  # fmt: skip
    return _spelled(result)


def _spelled(result: Placed) -> list[str]:
    def amounts(items: list[DueItem]) -> str:
        return " + ".join(str(item.line.amount) for item in items)

    on = [f"statement of {start:%m-%d}: {amounts(items)}" for start, items in sorted(result.on_statements.items())]
    return on + [
        f"alone on {date.at:%m-%dT%H} {date.unit}{f'#{date.ordinal}' if date.ordinal else ''}: {amounts(items)}"
        for date, items in sorted(result.alone.items())
    ]


def test_one_invoice_for_each_instant_and_unit() -> None:
    found = charging(
        charge(1, ("01-10", "100"), ("01-11", "7")), charge(2, ("01-10", "60")), charge(3, ("01-10", "50"), unit="EUR"),
        charge(4, ("02-20", "9")),
    )  # fmt: skip
    assert placed(found) == [
        "alone on 01-10T00 EUR: 50", "alone on 01-10T00 USD: 100 + 60", "alone on 01-11T00 USD: 7",
    ]  # fmt: skip
    assert placed(found, now="02-20")[-1] == "alone on 02-20T00 USD: 9", "once it is dated up to now"


@pytest.mark.parametrize(
    ("dates", "options", "expected"),
    [
        pytest.param(["01-01", "02-01"], {}, ["statement of 01-01: 75", "alone on 01-01T00 USD: 75"], id="on its day"),
        pytest.param(["02-01T10:00:00"], {}, ["statement of 01-01: 75"], id="at any hour of the day"),
        pytest.param(["01-31T23:00:00"], {}, ["alone on 01-31T23 USD: 75"], id="not the day before"),
        pytest.param(["03-01"], {}, ["statement of 02-01: 75"], id="ahead of its date"),
        pytest.param(["02-01"], {"final": ["01-01"]}, ["alone on 02-01T00 USD: 75"], id="the statement is final"),
        pytest.param(["03-01"], {"final": ["02-01"]}, [], id="final, and the date is still to come"),
        pytest.param(["02-01"], {"waiting": ["01-01"], "final": ["01-01"]}, [], id="void: it comes back with it"),
        pytest.param(
            ["01-10"], {"scheduled": {(day("01-10"), "USD"): 2}}, ["alone on 01-10T00 USD#2: 75"],
            id="earlier invoices of that date are final",
        ),
    ],
)  # fmt: skip
def test_a_consolidated_charge(dates: list[str], options: dict[str, Any], expected: list[str]) -> None:
    found = replace(charging(charge(1, *((at, "75") for at in dates))), consolidate=True)
    assert placed(found, **options) == expected


def test_a_charge_in_another_unit_is_never_consolidated() -> None:
    found = replace(charging(charge(1, ("02-01", "75"), unit="EUR")), consolidate=True)
    assert placed(found) == ["alone on 02-01T00 EUR: 75"]


@pytest.mark.parametrize(
    ("subscription", "options", "expected"),
    [
        (
            seats("10", ("01-16", "+5"), collection=ADVANCE), {},
            ["statement of 01-01: 450", "statement of 02-01: 450", "alone on 01-01T00 USD: 300",
             "alone on 01-16T00 USD: 77.419354838710"],
        ),
        (seats(collection=ARREARS), {}, ["statement of 01-01: 300", "statement of 02-01: 300"]),
        (seats(collection=ARREARS), {"final": ["01-01"]}, ["statement of 02-01: 300", "alone on 02-01T00 USD: 300"]),
        # A period that ends within a statement goes on that one.
        (seats(collection=ARREARS, anchor=day("01-15")), {},
         ["statement of 01-01: 135.483870967742", "statement of 02-01: 300"]),
        (seats(collection=ADVANCE, placement=ALWAYS_ALONE), {}, ["alone on 01-01T00 USD: 300", "alone on 02-01T00 USD: 300"]),
        (seats(collection=ARREARS, placement=ALWAYS_ALONE), {}, ["alone on 02-01T00 USD: 300"]),
    ],
)  # fmt: skip
def test_fees_find_their_statement(subscription: Any, options: dict[str, Any], expected: list[str]) -> None:
    assert placed(replace(agreed(), subscriptions=(subscription,)), **options) == expected


def test_charges_end_with_the_contract() -> None:
    found = charging(charge(1, ("01-10", "1"), ("02-01", "2"), ("02-10", "3")), end="02-01")
    assert [item.line.amount for item in items_due(found, until=day("03-01"))] == [1]


def test_what_is_billed_is_not_due_again() -> None:
    found = charging(charge(1, ("01-10", "1"), ("01-10", "2"), ("01-12", "3")))
    everything = items_due(found, until=day("02-01"))
    assert [item.key for item in everything] == [
        ItemKey(ItemKind.SCHEDULED, UUID(int=1), day("01-10"), 0), ItemKey(ItemKind.SCHEDULED, UUID(int=1), day("01-10"), 1),
        ItemKey(ItemKind.SCHEDULED, UUID(int=1), day("01-12"), 0),
    ]  # fmt: skip
    done = (BilledItem(everything[0].key, D(1)), BilledItem(everything[2].key, D(1)))
    assert items_due(replace(found, billed=done), until=day("02-01")) == everything[1:2]
    assert items_due(found, until=day("01-10") - HOUR) == ()


def test_lines_stand_in_the_order_of_the_card_then_of_time() -> None:
    found = replace(
        charging(charge(1, ("01-20", "1"), ("01-10", "2"))), subscriptions=(seats(),), product_order=(SETUP.id, SEAT.id)
    )
    lines = item_lines(items_due(found, until=day("02-01")), found)
    assert [(line.product_name, line.charged_at) for line in lines] == [
        ("setup", day("01-10")), ("setup", day("01-20")), ("seat", day("01-01")), ("seat", day("02-01")),
    ]  # fmt: skip
    fees, charges = fees_and_charges(lines)
    assert ([line.product_name for line in fees], len(charges)) == (["seat", "seat"], 2)
    assert {key_of(line).kind for line in fees} == {ItemKind.SUBSCRIPTION}


def test_a_fee_that_costs_nothing_is_due_all_the_same() -> None:
    found = replace(agreed(price(1, "0")), subscriptions=(seats(collection=Collection.ADVANCE),))
    assert [item.line.amount for item in items_due(found, until=day("01-15"))] == [0]
    assert ScheduledDate(day("01-01"), "USD").ordinal == 0


COMMIT, FREE = UUID(int=50), UUID(int=51)


def purchase(
    grant_id: UUID, *items: tuple[str, str], product_id: UUID | None = None, added: int = 1
) -> ScheduledCharge:
    found = tuple(ScheduledItem(day(at), D(amount), D(2)) for at, amount in items)
    return ScheduledCharge(grant_id, product_id, fiat("USD"), found, added, is_purchase=True)


def test_a_purchase_bills_its_commit() -> None:
    """A line of the commit, not of a charge; two payments of one instant are told apart, and each is billed once."""
    found = charging(purchase(COMMIT, ("01-10", "40"), ("01-10", "50")))
    due = items_due(found, until=day("02-01"))
    assert [(item.line.type, item.line.grant_id, item.line.charge_id, item.line.amount) for item in due] == [
        (LineType.COMMIT_PURCHASE, COMMIT, None, 80), (LineType.COMMIT_PURCHASE, COMMIT, None, 100),
    ]  # fmt: skip
    assert [item.key for item in due] == [
        ItemKey(ItemKind.PURCHASE, COMMIT, day("01-10"), 0), ItemKey(ItemKind.PURCHASE, COMMIT, day("01-10"), 1),
    ]  # fmt: skip
    billed = replace(found, billed=(BilledItem(due[0].key, D(2)),))
    assert items_due(billed, until=day("02-01")) == due[1:]
    charged = replace(found, billed=(BilledItem(due[0].key._replace(kind=ItemKind.SCHEDULED), D(2)),))
    assert items_due(charged, until=day("02-01")) == due, "a charge of the same id is something else"


@pytest.mark.parametrize(
    ("consolidate", "expected"),
    [(False, ["alone on 02-01T00 USD: 80"]), (True, ["statement of 01-01: 80"])],
)
def test_a_purchase_finds_its_invoice_like_a_charge(consolidate: bool, expected: list[str]) -> None:
    assert placed(replace(charging(purchase(COMMIT, ("02-01", "40"))), consolidate=consolidate)) == expected


def test_what_waits_to_be_paid_shares_no_invoice() -> None:
    """Two commits that wait for their payment, a charge and a plain purchase of one instant, with consolidation: three invoices."""
    gated = [replace(purchase(grant_id, ("02-01", "40")), stands_alone=True) for grant_id in (COMMIT, FREE)]
    plain = [charge(1, ("01-10", "3")), purchase(UUID(int=52), ("01-10", "5"))]
    found = charging(*plain, *(replace(item, schedule=(ScheduledItem(day("01-10"), D(40), D(1)),)) for item in gated))
    result = place(
        items_due(found, until=day("02-01")), unit="USD", statements=[JANUARY], final=(), waiting=(),
        scheduled={(day("01-10"), "USD"): 1}, now=day("02-15"),
    )  # fmt: skip
    assert {date: sum(item.line.amount for item in items) for date, items in result.alone.items()} == {
        ScheduledDate(day("01-10"), "USD", 1): 13,
        ScheduledDate(day("01-10"), "USD", 0, COMMIT): 40,
        ScheduledDate(day("01-10"), "USD", 0, FREE): 40,
    }
    joining = replace(charging(*gated), consolidate=True)
    assert placed(joining) == ["alone on 02-01T00 USD: 80", "alone on 02-01T00 USD: 80"]


def test_purchases_without_a_product_come_last() -> None:
    """By the card's order of products, then what is sold as none of them by date; balances pay for fees only."""
    found = replace(
        charging(purchase(FREE, ("01-05", "1")), charge(1, ("01-20", "3")), purchase(COMMIT, ("01-10", "4"), product_id=SETUP.id)),
        product_order=(SETUP.id, SEAT.id), subscriptions=(seats(end="02-01"),),
    )  # fmt: skip
    lines = item_lines(items_due(found, until=day("02-01")), found)
    assert [(line.type, line.product_name) for line in lines] == [
        ("commit_purchase", "setup"), ("scheduled", "setup"), ("subscription", "seat"), ("commit_purchase", None),
    ]  # fmt: skip
    assert lines[-1].grant_id == FREE
    fees, charges = fees_and_charges(lines)
    assert [line.type for line in fees] == ["subscription"]
    assert [line.type for line in charges] == ["commit_purchase", "scheduled", "commit_purchase"]
    assert item_lines([], found) == ()


def test_every_fee_that_may_get_a_price_is_looked_for() -> None:
    """A rate may be added later, and back in time; what falls due is then among what fell due with every fee."""
    two = (seats("2", collection=ADVANCE), replace(seats("1", collection=ARREARS), id=UUID(int=77)))
    unpriced = replace(agreed(), rates=(), subscriptions=two, scheduled_charges=(charge(1, ("01-10", "5")),))
    assert [item.line.type for item in items_due(unpriced, until=day("02-15"))] == [LineType.SCHEDULED]
    priced = replace(unpriced, rates=agreed().rates)
    dates = [(item.key, item.at, item.joins) for item in items_due(priced, until=day("02-15"))]
    assert len(dates) > 2
    for terms in (unpriced, priced):
        found = items_due(with_every_fee(terms), until=day("02-15"))
        assert [(item.key, item.at, item.joins) for item in found] == dates
