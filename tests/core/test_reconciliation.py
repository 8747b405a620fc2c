"""Comparing our books with a provider's: a clean set finds nothing, and each planted difference is found by its name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.reconciliation import REMEDIES, Discrepancy, Expected, Ours, Reason, Theirs, discrepancies, totals

TEN = Decimal("10.00")
OURS = Ours("inv_1", TEN, "USD", Expected.THERE)
THEIRS = Theirs("in_1", "inv_1", TEN, "USD")
GONE = replace(THEIRS, is_gone=True)


@pytest.mark.parametrize(
    ("ours", "theirs", "reason", "difference"),
    [
        ([OURS], [THEIRS], None, "0"),
        ([OURS], [], Reason.MISSING, "-10"),
        ([], [THEIRS], Reason.EXTRA, "10"),
        ([replace(OURS, expected=Expected.NONE)], [THEIRS], Reason.EXTRA, "10"),
        ([OURS], [THEIRS, replace(THEIRS, provider_reference="in_2")], Reason.DUPLICATE, "10"),
        ([OURS], [replace(THEIRS, amount=Decimal("9.99"))], Reason.AMOUNT, "-0.01"),
        ([OURS], [replace(THEIRS, currency="EUR")], Reason.CURRENCY, "0"),
        ([OURS], [GONE], Reason.VOIDED_THERE, "-10"),
        ([replace(OURS, expected=Expected.TAKEN_BACK)], [THEIRS], Reason.NOT_VOIDED_THERE, "10"),
        ([replace(OURS, expected=Expected.OPEN)], [THEIRS], Reason.UNCONFIRMED, "0"),
        ([replace(OURS, expected=Expected.OPEN)], [], Reason.NOT_DELIVERED, "-10"),
        ([OURS], [replace(THEIRS, is_unpaid=True)], Reason.UNPAID, "0"),
        # Nothing is wrong with these.
        ([replace(OURS, expected=Expected.TAKEN_BACK)], [GONE], None, "0"),
        ([replace(OURS, expected=Expected.TAKEN_BACK)], [], None, "0"),
        ([replace(OURS, expected=Expected.NONE)], [], None, "0"),
        ([OURS], [THEIRS, replace(GONE, provider_reference="in_0")], None, "0"),
        ([], [replace(THEIRS, reference=None)], None, "0"),
        ([], [GONE], None, "0"),
    ],
)
def test_each_difference_has_its_reason(
    ours: list[Ours], theirs: list[Theirs], reason: Reason | None, difference: str
) -> None:
    found = discrepancies(ours, theirs)
    assert [item.reason for item in found] == ([] if reason is None else [reason])
    assert [item.difference for item in found] == ([] if reason is None else [Decimal(difference)])


def test_every_reason_has_a_remedy() -> None:
    assert set(REMEDIES) == set(Reason)


@given(st.lists(st.decimals("-1000", "1000", places=2), max_size=20), st.randoms())
def test_order_does_not_matter_and_a_clean_set_is_clean(amounts: list[Decimal], random: object) -> None:
    ours = [Ours(f"inv_{place}", amount, "USD", Expected.THERE) for place, amount in enumerate(amounts)]
    theirs = [Theirs(f"in_{item.reference}", item.reference, item.amount, "USD") for item in ours]
    random.shuffle(theirs)  # type: ignore[attr-defined]
    assert discrepancies(ours, theirs) == []
    without = theirs[1:]
    assert [item.reason for item in discrepancies(ours, without)] == [Reason.MISSING] * (len(theirs) - len(without))


def test_totals_are_by_currency() -> None:
    assert totals([("USD", TEN), ("EUR", TEN), ("USD", Decimal("-0.5")), (None, Decimal(3))]) == {
        None: Decimal(3), "EUR": TEN, "USD": Decimal("9.5"),
    }  # fmt: skip


def test_a_discrepancy_names_every_object_of_the_provider() -> None:
    twice = [THEIRS, replace(THEIRS, provider_reference="in_0")]
    assert discrepancies([OURS], twice) == [
        Discrepancy(Reason.DUPLICATE, "inv_1", ("in_0", "in_1"), TEN, Decimal(20), "USD")
    ]
