"""What differs between two invoices: by line, whatever their intervals."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from app.core.differences import line_differences
from app.core.lines import Line, LineType

D = Decimal
START = datetime(2025, 1, 1, tzinfo=UTC)


def line(quantity: str | None, amount: str, *, product: int = 1, day: int = 1, price: str = "1") -> Line:
    return Line(
        type=LineType.USAGE,
        product_id=UUID(int=product),
        product_name="calls",
        unit="USD",
        quantity=None if quantity is None else D(quantity),
        unit_price=D(price),
        amount=D(amount),
        starting_at=START.replace(day=day),
        ending_before=START.replace(day=day + 1),
    )


def shown(before: list[Line], after: list[Line]) -> list[tuple[int, str, str, str, str]]:
    return [
        (item.line.product_id.int if item.line.product_id else 0, *map(str, (item.quantity_before, item.quantity_after, item.amount_before, item.amount_after)))
        for item in line_differences(before, after)
    ]  # fmt: skip


def test_equal_invoices_differ_in_nothing() -> None:
    assert shown([line("2", "2"), line("3", "3", day=2)], [line("5", "5", day=9)]) == []
    assert shown([], []) == []


def test_more_less_gone_and_new() -> None:
    before = [line("2", "2"), line("1", "1", product=2), line("4", "4", product=3)]
    after = [line("7", "7"), line("4", "4", product=3), line(None, "-0.5", product=4)]
    assert shown(before, after) == [(1, "2", "7", "2", "7"), (2, "1", "0", "1", "0"), (4, "0", "0", "0", "-0.5")]


def test_another_price_is_another_line() -> None:
    before = line("2", "2")
    assert shown([before], [before._replace(unit_price=D(3), amount=D(6))]) == [(1, "2", "0", "2", "0"), (1, "0", "2", "0", "6")]  # fmt: skip
