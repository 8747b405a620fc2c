"""Frozen documents come back equal from JSON, and refuse to be wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import (
    Document,
    DocumentLine,
    InvoiceDocument,
    MeteringDocument,
    UsageRecord,
    document_from_json,
    document_to_json,
)
from tests.connectors.world import PROVIDERS, document, priced, record

texts = st.text(max_size=20)
pairs = st.dictionaries(texts, texts, max_size=3)
instants = st.integers(1_577_836_800, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
amounts = st.decimals("-1000000", "1000000", places=3)
lines = st.builds(
    DocumentLine,
    description=texts,
    amount=amounts,
    quantity=st.none() | st.decimals("0", "1000000", places=12),
    unit_price=st.none() | amounts,
    starting_at=st.none() | instants,
    ending_before=st.none() | instants,
    metadata=pairs,
)


@st.composite
def invoices(draw: Any) -> InvoiceDocument:
    chosen = tuple(draw(st.lists(lines, max_size=4)))
    return InvoiceDocument(
        reference="inv_1",
        number=draw(texts),
        contract=draw(texts),
        customer=draw(pairs),
        currency="USD",
        total=sum((line.amount for line in chosen), Decimal(0)),
        lines=chosen,
        issued_at=draw(instants),
        service_starting_at=draw(st.none() | instants),
        service_ending_before=draw(st.none() | instants),
        date=draw(st.none() | instants),
        options=draw(pairs),
    )


records = st.builds(
    UsageRecord,
    reference=st.uuids().map(str),
    customer=pairs,
    dimension=st.uuids().map(str),
    hour=instants.map(lambda at: at.replace(minute=0, second=0, microsecond=0)),
    quantity=st.integers(1, 2**31 - 1).map(Decimal),
)


@given(invoices() | st.lists(records, max_size=3).map(lambda some: MeteringDocument(tuple(some))))
def test_a_document_survives_json(sent: Document) -> None:
    text = json.dumps(document_to_json(sent))
    assert document_from_json(json.loads(text)) == sent
    assert json.dumps(document_to_json(document_from_json(json.loads(text)))) == text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_providers_are_sent_survives_json(provider: str) -> None:
    assert document_from_json(document_to_json(document(provider))) == document(provider)


def test_lines_that_do_not_add_up_are_no_document() -> None:
    with pytest.raises(AssertionError, match="add up"):
        InvoiceDocument(**{**vars_of(priced("1.00")), "total": Decimal("1.01")})


def test_a_slot_cannot_be_sent_twice_in_one_document() -> None:
    with pytest.raises(AssertionError, match="one quantity for each slot"):
        MeteringDocument((record("aws_marketplace", "a"), record("aws_marketplace", "b", quantity=5)))
    with pytest.raises(AssertionError, match="references are unique"):
        MeteringDocument((record("aws_marketplace"), record("aws_marketplace", hours_ago=2)))


def test_a_slot_is_a_full_hour_with_a_zone() -> None:
    for hour in (datetime.fromisoformat("2026-11-02T11:00"), datetime(2026, 11, 2, 11, 30, tzinfo=UTC)):
        with pytest.raises(AssertionError):
            UsageRecord(reference="s", customer={}, dimension="d", hour=hour, quantity=Decimal(1))


def vars_of(sent: InvoiceDocument) -> dict[str, Any]:
    return {name: getattr(sent, name) for name in sent.__dataclass_fields__}
