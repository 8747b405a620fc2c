"""Ids: sortable, prefixed at the edge, never mistaken for another kind."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.errors import ErrorCode, InvalidInput
from app.store.ids import PREFIXES, from_text, new_id, parse, to_text

SAMPLE = UUID("0199b5a0-7c00-7000-8000-000000000001")


def test_ids_sort_by_their_making() -> None:
    made = [new_id() for _ in range(1_000)]
    assert made == sorted(made)
    assert len(set(made)) == 1_000
    assert {identifier.version for identifier in made} == {7}


@pytest.mark.parametrize("kind", sorted(PREFIXES))
def test_every_kind_round_trips(kind: str) -> None:
    text = to_text(kind, SAMPLE)
    assert text == f"{PREFIXES[kind]}_0199b5a07c0070008000000000000001"
    assert from_text(kind, text) == SAMPLE
    assert parse(text) == (kind, SAMPLE)


def test_no_prefix_is_used_twice() -> None:
    assert len(set(PREFIXES.values())) == len(PREFIXES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cus_",
        "0199b5a07c0070008000000000000001",
        "inv_0199b5a07c0070008000000000000001",  # another kind
        "cus_0199B5A07C0070008000000000000001",  # one spelling only
        "cus_0199b5a0-7c00-7000-8000-000000000001",
        "cus_0199b5a07c00700080000000000000011",
        "cus_0199b5a07c007000800000000000000g",
        "cus_0199b5a07c007000800000000000000\u0661",  # a digit of another script
        " cus_0199b5a07c0070008000000000000001",
        "cus_" + "0" * 10_000,
    ],
)
def test_what_is_no_id_of_the_kind_is_named(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        from_text("customer", text, path=("input", "customerId"))
    assert refused.value.code is ErrorCode.INVALID
    assert "cus_0199" in refused.value.message
    assert len(refused.value.message) < 200
