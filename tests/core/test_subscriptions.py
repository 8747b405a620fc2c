"""Subscription fees: periods, one price for each, proration, increases and decreases, and what was paid before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.fees import (
    BilledItem,
    Collection,
    FeeRounding,
    FeeRoundingMethod,
    IncreaseBilling,
    ItemKey,
    ItemKind,
    Proration,
    QuantityUpdate,
    Subscription,
)
from app.core.items import key_of
from app.core.lines import Line
from app.core.money import canonical, exact
from app.core.period import Frequency, Period, StatementDay, StatementSchedule
from app.core.rates import Flat
from app.core.subscriptions import fee_amount, quantity_at, quantity_steps, subscription_lines
from app.core.terms import Multiplier, Override, Overwrite, Product, ProductType, RateEntry, Specifier, Terms
from tests.core.agreements import D, day, entry, terms

SEAT = Product(UUID(int=7), "seat", ProductType.SUBSCRIPTION, None, tags=("sold",))
MONTHLY, QUARTERLY, WEEKLY = Frequency.MONTHLY, Frequency.QUARTERLY, Frequency.WEEKLY
ADVANCE, ARREARS = Collection.ADVANCE, Collection.ARREARS
NEXT = Proration(increases=IncreaseBilling.BILL_ON_NEXT_COLLECTION_DATE)
WHOLE = Proration(prorate=False)


def price(
    added: int, amount: str, start: str | None = None, *, frequency: Frequency = MONTHLY, **more: Any
) -> RateEntry:
    return replace(entry(added, Flat(D(amount)), start, product_id=SEAT.id, **more), billing_frequency=frequency)


def agreed(*prices: RateEntry, start: str = "01-01", end: str | None = None, **more: Any) -> Terms:
    found = terms(*(prices or (price(1, "30"),)), products=[SEAT])
    return replace(found, period=Period(day(start), None if end is None else day(end)), **more)


def seats(
    quantity: str = "10",
    *updates: tuple[str, str],
    start: str = "01-01",
    end: str | None = None,
    collection: Collection = ADVANCE,
    frequency: Frequency = MONTHLY,
    **more: Any,
) -> Subscription:
    """Updates are pairs of a date and a quantity, or a difference with its sign."""
    changes = tuple(
        QuantityUpdate(day(at), delta=D(text)) if text[0] in "+-" else QuantityUpdate(day(at), D(text))
        for at, text in updates
    )
    period = Period(day(start), None if end is None else day(end))
    return Subscription(UUID(int=70), SEAT.id, frequency, collection, period, D(quantity), changes, **more)


def spelled(lines: Sequence[Line]) -> list[str]:
    """`01-10: 1 x 30 = 21.29 for 01-10 to 02-01`, the date of charge first."""
    return [
        f"{line.charged_at:%m-%d}: {line.quantity} x {line.unit_price} = {canonical(line.amount)} for "
        f"{line.starting_at:%m-%d} to {line.ending_before:%m-%d}"
        for line in lines
    ]


def fees(subscription: Subscription, found: Terms | None = None, *, until: str = "02-15") -> list[str]:
    return spelled(list(subscription_lines(subscription, found or agreed(), begun_by=day(until))))


JANUARY, FEBRUARY = "01-01: 10 x 30 = 300 for 01-01 to 02-01", "02-01: 10 x 30 = 300 for 02-01 to 03-01"


@pytest.mark.parametrize(
    ("subscription", "found", "expected"),
    [
        pytest.param(seats(), agreed(), [JANUARY, FEBRUARY], id="advance"),
        pytest.param(
            seats(collection=ARREARS), agreed(),
            ["02-01: 10 x 30 = 300 for 01-01 to 02-01", "03-01: 10 x 30 = 300 for 02-01 to 03-01"], id="arrears",
        ),
        pytest.param(
            seats(start="01-17", collection=ARREARS), agreed(start="01-17"),
            ["02-01: 10 x 30 = 145.161290322581 for 01-17 to 02-01", "03-01: 10 x 30 = 300 for 02-01 to 03-01"],
            id="a cut first period costs its share",
        ),
        pytest.param(
            seats(end="02-11"), agreed(),
            [JANUARY, "02-01: 10 x 30 = 107.142857142857 for 02-01 to 02-11"], id="and so does a cut last one",
        ),
        pytest.param(
            seats(start="01-17", proration=WHOLE), agreed(end="02-11"),
            ["01-17: 10 x 30 = 300 for 01-17 to 02-01", "02-01: 10 x 30 = 300 for 02-01 to 02-11"],
            id="without proration a part costs the whole",
        ),
        pytest.param(seats(start="03-01"), agreed(end="02-01"), [], id="after the contract"),
        pytest.param(seats("0"), agreed(), [], id="nothing to pay for"),
        pytest.param(
            seats("0", ("01-17", "5")), agreed(),
            ["01-17: 5 x 30 = 72.58064516129 for 01-17 to 02-01", "02-01: 5 x 30 = 150 for 02-01 to 03-01"],
            id="from nothing",
        ),
        pytest.param(
            seats("10", ("01-16", "+5")), agreed(),
            [JANUARY, "01-16: 5 x 30 = 77.41935483871 for 01-16 to 02-01", "02-01: 15 x 30 = 450 for 02-01 to 03-01"],
            id="an increase is charged at once for the rest",
        ),
        pytest.param(
            seats("10", ("01-17", "+5"), proration=NEXT), agreed(),
            [JANUARY, "02-01: 5 x 30 = 72.58064516129 for 01-17 to 02-01", "02-01: 15 x 30 = 450 for 02-01 to 03-01"],
            id="or with the next fee",
        ),
        pytest.param(
            seats("10", ("01-17", "+5"), collection=ARREARS), agreed(),
            [
                "02-01: 10 x 30 = 300 for 01-01 to 02-01", "02-01: 5 x 30 = 72.58064516129 for 01-17 to 02-01",
                "03-01: 15 x 30 = 450 for 02-01 to 03-01",
            ],
            id="or in arrears",
        ),
        pytest.param(
            seats("10", ("01-10", "12"), ("01-10", "-1"), ("01-20", "8")), agreed(),
            [JANUARY, "01-10: 1 x 30 = 21.290322580645 for 01-10 to 02-01", "02-01: 8 x 30 = 240 for 02-01 to 03-01"],
            id="a decrease waits for the next period",
        ),
        pytest.param(
            seats("10", ("01-10", "4"), ("01-20", "9"), ("01-25", "11")), agreed(),
            [JANUARY, "01-25: 1 x 30 = 6.774193548387 for 01-25 to 02-01", "02-01: 11 x 30 = 330 for 02-01 to 03-01"],
            id="only what goes beyond the highest is an increase",
        ),
        pytest.param(
            seats(frequency=QUARTERLY, start="02-01"),
            agreed(price(1, "90", frequency=QUARTERLY), start="02-01"),
            ["02-01: 10 x 90 = 900 for 02-01 to 05-01"], id="quarters hang on the statements' anchor",
        ),
        pytest.param(
            seats(anchor=day("01-15")), agreed(),
            [
                "01-01: 10 x 30 = 135.483870967742 for 01-01 to 01-15", "01-15: 10 x 30 = 300 for 01-15 to 02-15",
                "02-15: 10 x 30 = 300 for 02-15 to 03-15",
            ],
            id="or on its own",
        ),
        pytest.param(
            seats(), agreed(schedule=StatementSchedule(day=StatementDay.CUSTOM_DATE, anchor=day("01-31"))),
            [
                "01-01: 10 x 30 = 290.322580645161 for 01-01 to 01-31", "01-31: 10 x 30 = 300 for 01-31 to 02-28",
            ],
            id="the 31st",
        ),
    ],
)  # fmt: skip
def test_fees(subscription: Subscription, found: Terms, expected: list[str]) -> None:
    assert fees(subscription, found) == expected


def change(
    number: int, specifier: Specifier, effect: Any, *, entitled: bool | None = None, start: str = "01-01"
) -> Override:
    return Override(UUID(int=number), Period(day(start)), (specifier,), effect, entitled, None, number)


OF_SEATS = Specifier(product_id=SEAT.id, billing_frequency=MONTHLY)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(agreed(price(1, "30"), price(2, "40", "01-15")), ["300", "400"], id="one price for each period"),
        pytest.param(agreed(price(1, "30", "01-15")), ["300"], id="without a price at its start a period is not billed"),
        pytest.param(agreed(price(1, "30", entitled=False)), [], id="not entitled"),
        pytest.param(agreed(price(1, "7", frequency=WEEKLY)), [], id="a price of another frequency"),
        pytest.param(agreed(overrides=(change(1, OF_SEATS, Multiplier(D("0.5"))),)), ["150", "150"], id="a multiplier"),
        pytest.param(agreed(overrides=(change(1, OF_SEATS, Overwrite(Flat(D(9)))),)), ["90", "90"], id="an overwrite"),
        pytest.param(
            agreed(overrides=(change(1, OF_SEATS, Multiplier(D("0.5")), start="01-15"),)), ["300", "150"],
            id="an override from mid-period on",
        ),
        pytest.param(
            agreed(price(1, "30", entitled=False), overrides=(change(1, OF_SEATS, None, entitled=True),)),
            ["300", "300"], id="entitled by the contract",
        ),
        pytest.param(
            agreed(overrides=(
                change(1, Specifier(), Multiplier(D("0.5"))), change(2, Specifier(product_id=SEAT.id), Multiplier(D(0))),
                change(3, Specifier(tags=("sold",), billing_frequency=MONTHLY), Multiplier(D(0))),
                change(4, Specifier(product_id=SEAT.id, billing_frequency=WEEKLY), Multiplier(D(0))),
            )),
            ["300", "300"], id="overrides that do not name product and frequency",
        ),
    ],
)  # fmt: skip
def test_the_price_of_a_period(found: Terms, expected: list[str]) -> None:
    lines = list(subscription_lines(seats(), found, begun_by=day("02-15")))
    assert [canonical(line.amount) for line in lines] == expected


def test_a_line_names_where_its_price_comes_from() -> None:
    found = agreed(overrides=(change(5, OF_SEATS, Multiplier(D("0.5"))),))
    [line] = subscription_lines(seats(), found, begun_by=day("01-15"))
    assert (line.rate_id, line.override_id, line.unit, line.product_name) == (UUID(int=1), UUID(int=5), "USD", "seat")
    assert key_of(line) == ItemKey(ItemKind.SUBSCRIPTION, UUID(int=70), day("01-01"), 0)


def billed(*parts: tuple[str, int, str]) -> tuple[BilledItem, ...]:
    own = [BilledItem(ItemKey(ItemKind.SUBSCRIPTION, UUID(int=70), day(at), n), D(q)) for at, n, q in parts]
    return (*own, BilledItem(ItemKey(ItemKind.SUBSCRIPTION, UUID(int=71), day("02-01"), 0), D(99)))


@pytest.mark.parametrize(
    ("updates", "paid", "expected"),
    [
        ([], [("01-01", 0, "10")], [FEBRUARY]),
        # What was paid at the start of the period counts, not what should have been.
        ([("02-01", "15")], [("01-01", 0, "10"), ("02-01", 0, "10")], ["02-01: 5 x 30 = 150 for 02-01 to 03-01"]),
        ([("02-01", "15")], [("01-01", 0, "10"), ("02-01", 0, "10"), ("02-01", 1, "5")], []),
        ([("02-01", "8")], [("01-01", 0, "10"), ("02-01", 0, "10")], []),
        (
            [("02-01", "8"), ("02-10", "12")], [("01-01", 0, "10"), ("02-01", 0, "10")],
            ["02-10: 2 x 30 = 40.714285714286 for 02-10 to 03-01"],
        ),
    ],
)  # fmt: skip
def test_what_was_paid_is_not_charged_again(updates: Any, paid: Any, expected: list[str]) -> None:
    assert fees(seats("10", *updates), agreed(billed=billed(*paid))) == expected


def test_a_further_fee_of_one_instant_has_the_next_number() -> None:
    found = agreed(billed=billed(("01-01", 0, "10")))
    [line] = subscription_lines(seats("10", ("01-01", "12"), proration=NEXT), found, begun_by=day("01-15"))
    assert (line.quantity, line.ordinal, line.charged_at) == (D(2), 1, day("02-01"))


@pytest.mark.parametrize(
    ("method", "places", "expected"),
    [
        (None, 0, "145.161290322581"),
        (FeeRoundingMethod.HALF_UP, 2, "145.16"),
        (FeeRoundingMethod.FLOOR, 1, "145.1"),
        (FeeRoundingMethod.CEILING, 1, "145.2"),
        (FeeRoundingMethod.HALF_UP, -1, "150"),
        (FeeRoundingMethod.FLOOR, -2, "100"),
        (FeeRoundingMethod.CEILING, -2, "200"),
    ],
)
def test_a_prorated_fee_is_rounded(method: FeeRoundingMethod | None, places: int, expected: str) -> None:
    january = Period(day("01-01"), day("02-01"))
    proration = Proration(rounding=None if method is None else FeeRounding(method, places))
    part = Period(day("01-17"), day("02-01"))
    assert canonical(fee_amount(D(30), D(10), part=part, whole=january, proration=proration)) == expected
    assert fee_amount(D("0.333"), D(1), part=january, whole=january, proration=proration) == D("0.333"), "a whole fee"


def test_the_quantity_at_an_instant() -> None:
    found = seats("10", ("01-10", "12"), ("01-10", "-1"), ("01-05", "3"))
    assert [quantity_at(found, day(at)) for at in ("01-01", "01-05", "01-09", "01-10", "03-01")] == [10, 3, 3, 11, 11]


@pytest.mark.parametrize(
    ("updates"), [[("01-10", "-11")], [("01-10", "2"), ("01-20", "-3")], [("01-20", "-3"), ("01-10", "2")]]
)
def test_no_quantity_is_negative(updates: Any) -> None:
    with pytest.raises(ValueError, match="the quantity would be -1"):
        quantity_steps(D(10), seats("10", *updates).updates)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: QuantityUpdate(day("01-01")), "a quantity or a difference"),
        (lambda: QuantityUpdate(day("01-01"), D(1), D(1)), "not both"),
        (lambda: FeeRounding(FeeRoundingMethod.FLOOR, 6), "-5 to 5"),
    ],
)
def test_values_that_make_no_sense(make: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


days = st.integers(1, 28)
histories = st.lists(st.tuples(days, st.integers(0, 20)), max_size=6)


@given(start=st.integers(0, 20), history=histories, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_updates_of_different_instants_plays_no_role(start: int, history: Any, shuffle: Any) -> None:
    by_day = {at: (f"01-{at:02}", str(quantity)) for at, quantity in history}
    updates = list(by_day.values())
    shuffled = list(updates)
    shuffle.shuffle(shuffled)
    assert fees(seats(str(start), *updates)) == fees(seats(str(start), *shuffled))


@given(start=st.integers(0, 20), history=histories, cut=st.integers(0, 8))
def test_billing_in_several_runs_charges_the_same(start: int, history: Any, cut: int) -> None:
    """Whatever a first run billed, the rest is billed once: quantities and money add up to those of a single run."""
    subscription = seats(str(start), *((f"01-{at:02}", str(quantity)) for at, quantity in sorted(history)))
    whole = list(subscription_lines(subscription, agreed(), begun_by=day("02-15")))
    first = whole[:cut]
    done = tuple(BilledItem(key_of(line), line.quantity or D(0)) for line in first)
    rest = list(subscription_lines(subscription, agreed(billed=done), begun_by=day("02-15")))
    assert [*first, *rest] == whole


@given(start=st.integers(0, 20), history=histories)
def test_a_period_never_charges_more_than_its_highest_quantity(start: int, history: Any) -> None:
    updates = [(f"01-{at:02}", str(quantity)) for at, quantity in sorted(history)]
    lines = list(subscription_lines(seats(str(start), *updates, proration=WHOLE), agreed(), begun_by=day("01-31")))
    with exact():
        charged = sum((line.quantity or D(0) for line in lines), D(0))
    steps = dict(quantity_steps(Decimal(start), seats("0", *updates).updates))
    begin = steps.get(day("01-01"), D(start))
    assert charged == max([begin, *(quantity for quantity in steps.values())])
