"""How two contents of an invoice are told apart: lines are paired, so that each fault is told once."""

from __future__ import annotations

import json

import pytest

from app.invoices.content_differences import Difference, differences


def content(*lines: str, total: str = "9") -> bytes:
    """Lines as `name amount`."""
    forms = [{"product": line.split()[0], "amount": line.split()[1]} for line in lines]
    return json.dumps({"total": total, "lines": forms}).encode()


def line(name: str, amount: str) -> dict[str, str]:
    return {"product": name, "amount": amount}


@pytest.mark.parametrize(
    ("stored", "computed", "expected"),
    [
        (content("a 1", "b 2"), content("a 1", "b 2"), []),
        (content(total="8"), content(), [Difference("total", "8", "9")]),
        (content("a 1", "b 3"), content("a 1", "b 2"), [Difference("amount", "3", "2", 2)]),
        (content("b 2"), content("a 1", "b 2"), [Difference("line", None, line("a", "1"), 1)]),
        (content("a 1", "a 1", "b 2"), content("a 1", "b 2"), [Difference("line", line("a", "1"), None, 1)]),
        (content("a 1", "x 2", "c 3"), content("a 1", "b 2", "c 3"), [Difference("product", "x", "b", 2)]),
        (
            content("x 1", "y 1", "c 3"),
            content("b 2", "c 3"),
            [Difference("amount", "1", "2", 1), Difference("product", "x", "b", 1), Difference("line", line("y", "1"), None, 2)],
        ),
        (content("b 2", "a 1"), content("a 1", "b 2"), [Difference("line", None, line("a", "1"), 1), Difference("line", line("a", "1"), None, 2)]),
    ],
)  # fmt: skip
def test_each_fault_is_told_once(stored: bytes, computed: bytes, expected: list[Difference]) -> None:
    assert list(differences(stored, computed)) == expected
