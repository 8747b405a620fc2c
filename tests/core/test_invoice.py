"""Totals, the rounding line, states, ids and digests."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.invoice import (
    FinalInvoice,
    IllegalTransition,
    InvoiceHeader,
    InvoiceStatus,
    InvoiceTrigger,
    InvoiceType,
    assemble,
    canonical_content,
    due_at,
    finalize,
    fingerprint,
    invoice_id,
    next_status,
    put_together,
    scheduled_due_at,
)
from app.core.lines import Line, LineOrigin, LineTier, LineType
from app.core.money import allocate, fiat
from app.core.period import Period

D = Decimal
USD = fiat("USD")
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)


def line(amount: str | Decimal, *, unit: str = "USD", in_total: bool = True) -> Line:
    return Line(
        type=LineType.USAGE,
        product_id=UUID(int=1),
        product_name="calls",
        unit=unit,
        quantity=D(amount),
        unit_price=D(1),
        amount=D(amount),
        starting_at=START,
        ending_before=END,
        pricing=(("region", "eu"), ("team", None)),
        tier=LineTier(1, D(0), None),
        rate_id=UUID(int=2),
        in_total=in_total,
    )


@pytest.mark.parametrize(
    ("currency", "amounts", "subtotal", "total", "rounding"),
    [
        ("USD", "1.005", "1.005", "1.01", "0.005"),
        ("USD", "0.335 0.335 0.335", "1.005", "1.01", "0.005"),
        ("USD", "1.004", "1.004", "1.00", "-0.004"),
        ("USD", "6.5", "6.5", "6.5", None),
        ("USD", "-1.005", "-1.005", "-1.01", "-0.005"),
        ("USD", "", "0", "0", None),
        ("JPY", "166.5", "166.5", "167", "0.5"),
        ("KWD", "0.617", "0.617", "0.617", None),
        ("KWD", "0.6174", "0.6174", "0.617", "-0.0004"),
    ],
)
def test_a_rounding_line_carries_the_difference(
    currency: str, amounts: str, subtotal: str, total: str, rounding: str | None
) -> None:
    unit = fiat(currency)
    draft = assemble([line(amount, unit=currency) for amount in amounts.split()], unit)
    final = finalize(draft)
    assert (draft.subtotal, final.subtotal, final.total) == (D(subtotal), D(subtotal), D(total))
    added = final.lines[len(draft.lines) :]
    assert [(item.type, item.amount, item.unit) for item in added] == (
        [] if rounding is None else [("rounding", D(rounding), currency)]
    )


def test_lines_outside_the_total_are_shown_and_do_not_count() -> None:
    final = finalize(assemble([line("5"), line("100", unit="TOKENS", in_total=False)], USD))
    assert (final.total, len(final.lines)) == (5, 2)


def test_what_must_not_become_an_invoice() -> None:
    with pytest.raises(AssertionError, match="one unit"):
        assemble([line("5", unit="EUR")], USD)
    draft = assemble([line("1.005")], USD)
    with pytest.raises(AssertionError, match="add up to its subtotal"):
        finalize(replace(draft, subtotal=D("1.006")))
    with pytest.raises(AssertionError, match="rounded once"):
        finalize(assemble(finalize(draft).lines, USD))


amounts = st.decimals(min_value=-(10**6), max_value=10**6, places=7, allow_nan=False, allow_infinity=False)


@given(st.lists(amounts, max_size=10), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_every_invoice_adds_up_here_and_at_the_provider(values: list[Decimal], currency: str) -> None:
    unit = fiat(currency)
    final = finalize(assemble([line(value, unit=currency) for value in values], unit))
    assert sum((item.amount for item in final.lines), D(0)) == final.total
    assert abs(final.total - final.subtotal) * 2 <= D(1).scaleb(-unit.places)
    sent = allocate(final.total, [line.amount for line in final.lines if line.type == "usage"], places=unit.places)
    assert sum(sent, D(0)) == final.total


@pytest.mark.parametrize(
    ("status", "trigger", "following"),
    [
        ("DRAFT", "FINALIZE", "FINALIZED"),
        ("DRAFT", "VOID", None),
        ("FINALIZED", "FINALIZE", None),
        ("FINALIZED", "VOID", "VOID"),
        ("VOID", "FINALIZE", None),
        ("VOID", "VOID", None),
    ],
)
def test_states(status: str, trigger: str, following: str | None) -> None:
    if following is not None:
        assert next_status(InvoiceStatus(status), InvoiceTrigger(trigger)) is InvoiceStatus(following)
        return
    with pytest.raises(IllegalTransition, match=f"is {status} does not allow {trigger}") as caught:
        next_status(InvoiceStatus(status), InvoiceTrigger(trigger))
    assert (caught.value.status, caught.value.trigger) == (status, trigger)


def test_due_after_the_grace_period() -> None:
    january = Period(START, END)
    assert due_at(january, timedelta(hours=24)) == datetime(2025, 2, 2, tzinfo=UTC)
    assert due_at(january, timedelta(0)) == END
    with pytest.raises(AssertionError, match="has an end"):
        due_at(Period(START), timedelta(0))
    with pytest.raises(AssertionError, match="not negative"):
        due_at(january, timedelta(-1))


def identity(*, regeneration: int = 0, contract: int = 1, start: datetime = START) -> UUID:
    return invoice_id(
        contract_id=UUID(int=contract), invoice_type=InvoiceType.USAGE, starting_at=start, regeneration=regeneration
    )


def test_an_invoice_has_the_same_id_for_ever() -> None:
    assert str(identity()) == "52019d85-c596-8d73-8c50-cd1aa622339c"
    assert (identity().version, identity().variant) == (8, UUID(int=8 << 76 | 2 << 62).variant)
    others = {identity(), identity(regeneration=1), identity(contract=2), identity(start=END)}
    assert len(others) == 4
    with pytest.raises(AssertionError, match="count from 0"):
        identity(regeneration=-1)


def header() -> InvoiceHeader:
    return InvoiceHeader(
        invoice_id=identity(),
        customer_id=UUID(int=3),
        contract_id=UUID(int=1),
        invoice_type=InvoiceType.USAGE,
        period=Period(START, END),
        regeneration=0,
        issued_at=datetime(2025, 2, 2, tzinfo=UTC),
    )


def final() -> FinalInvoice:
    return finalize(assemble([line("1.005"), line("2")._replace(tier=None)], USD))


def test_the_content_is_one_text() -> None:
    content = canonical_content(header(), final())
    assert content == canonical_content(header(), final())
    assert b" " not in content
    read = json.loads(content)
    assert list(read) == sorted(read)
    assert (read["subtotal"], read["total"], read["starting_at"]) == ("3.005", "3.01", "2025-01-01T00:00:00Z")
    assert read["lines"][0]["tier"] == {"level": 1, "size": None, "starting_at": "0"}
    assert {name: value for name, value in read["lines"][2].items() if value is not None} == {
        "type": "rounding",
        "unit": "USD",
        "amount": "0.005",
        "pricing": {},
        "presentation": {},
        "in_total": True,
    }


def test_equal_numbers_have_equal_fingerprints_and_any_change_shows() -> None:
    original = fingerprint(header(), final())
    assert len(original) == 64
    written = finalize(assemble([line("1.0050"), line("2.0")._replace(tier=None)], USD))
    assert fingerprint(header(), written) == original
    changed = [
        fingerprint(replace(header(), regeneration=1), final()),
        fingerprint(replace(header(), issued_at=END), final()),
        fingerprint(header(), replace(final(), lines=final().lines[::-1])),
        fingerprint(header(), finalize(assemble([line("1.005"), line("2")], USD))),
    ]
    assert len({original, *changed}) == 5


@pytest.mark.parametrize(
    ("created", "due"),
    [
        (START - timedelta(days=30), START),
        (START - timedelta(hours=2, seconds=1), START),
        (START - timedelta(hours=2), START),
        (START - timedelta(hours=1), START + timedelta(hours=1)),
        (START, START),
        (START + timedelta(days=30), START),
    ],
)
def test_a_scheduled_invoice_is_due_at_its_date_but_not_within_two_hours_of_signing(
    created: datetime, due: datetime
) -> None:
    assert scheduled_due_at(START, created_at=created) == due


def test_scheduled_invoices_of_one_date_have_ids_of_their_own() -> None:
    def scheduled(unit: str, ordinal: int) -> UUID:
        return invoice_id(
            contract_id=UUID(int=1), invoice_type=InvoiceType.SCHEDULED, starting_at=START, regeneration=0, unit=unit,
            ordinal=ordinal,
        )  # fmt: skip

    assert str(scheduled("USD", 0)) == "3ff097af-adff-88d1-bb27-dd18587b790c"
    assert len({identity(), scheduled("USD", 0), scheduled("USD", 1), scheduled("EUR", 0)}) == 4


def test_the_content_names_what_a_line_bills() -> None:
    billed = line("2")._replace(type=LineType.SCHEDULED, charge_id=UUID(int=4), charged_at=START, ordinal=1)
    paid = line("3")._replace(type=LineType.SUBSCRIPTION, subscription_id=UUID(int=5))
    scheduled = replace(header(), invoice_type=InvoiceType.SCHEDULED, period=Period(START), ordinal=2)
    read = json.loads(canonical_content(scheduled, finalize(assemble([billed, paid], USD))))
    assert (read["type"], read["ending_before"], read["ordinal"]) == ("SCHEDULED", None, 2)
    first, second = read["lines"]
    assert (first["charge"], first["charged_at"], first["ordinal"]) == (str(UUID(int=4)), "2025-01-01T00:00:00Z", 1)
    assert second["subscription"] == str(UUID(int=5))
    assert "ordinal" not in json.loads(canonical_content(header(), final())), "what was not there is not named"


def test_invoices_put_together_repeat_every_line_and_round_nothing() -> None:
    first, second = (finalize(assemble([line(amount)], USD)) for amount in ("4.005", "3"))
    whole = put_together([(UUID(int=7), first), (UUID(int=8), second)])
    assert (str(whole.subtotal), str(whole.total)) == ("7.01", "7.01")
    assert [(str(line.amount), line.origin) for line in whole.lines] == [
        ("4.005", LineOrigin(UUID(int=7), 0)),
        ("0.005", LineOrigin(UUID(int=7), 1)),
        ("3", LineOrigin(UUID(int=8), 0)),
    ]
    assert b'"origin":["00000000-0000-0000-0000-000000000008",0]' in canonical_content(header(), whole)
    with pytest.raises(ValueError, match="too many values"):
        put_together([(UUID(int=7), first), (UUID(int=8), finalize(assemble([], fiat("EUR"))))])
