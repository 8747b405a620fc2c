"""Stripe's traps: dates, minor units, totals, states left behind, keys, notices."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.core.period import Period
from connectors import stripe_calls, stripe_invoice
from connectors.base import CREDIT_NEEDED, SKIPPED, Connector, DocumentLine, OutcomeStatus, Receipt, Terminal, Transient
from connectors.http import SettingsError
from connectors.stripe import StripeConfig
from tests.connectors.world import ENVIRON, NOW, Sandbox, deliver_until_done, invoice, priced

Connect = Callable[..., Connector]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("ending_before", "rule", "printed"),
    [
        ("2026-11-01T00:00:00Z", "period_end", "2026-10-31T23:59:59Z"),
        ("2026-11-01T00:00:00Z", "noon_utc", "2026-10-31T12:00:00Z"),
        ("2024-03-01T00:00:00Z", "period_end", "2024-02-29T23:59:59Z"),
        ("2026-03-01T00:00:00Z", "noon_utc", "2026-02-28T12:00:00Z"),
        ("2026-10-25T01:00:00Z", "period_end", "2026-10-25T00:59:59Z"),
        ("2026-10-15T09:00:00Z", "noon_utc", "2026-10-15T12:00:00Z"),
        ("2027-01-01T00:00:00Z", "noon_utc", "2026-12-31T12:00:00Z"),
        ("2026-11-01T00:00:00Z", "off", None),
        (None, "period_end", None),
    ],
)
def test_the_printed_date_lies_in_the_service_period(ending_before: str | None, rule: str, printed: str | None) -> None:
    sent = invoice(service_ending_before=at(ending_before) if ending_before else None)
    assert stripe_invoice.effective_at(sent, rule) == (at(printed) if printed else None)


@pytest.mark.parametrize(
    ("rule", "printed"),
    [("period_end", "2026-11-05T09:30:00Z"), ("noon_utc", "2026-11-05T12:00:00Z"), ("off", None)],
)
def test_an_invoice_without_a_service_period_is_printed_with_its_own_date(rule: str, printed: str | None) -> None:
    sent = invoice(service_starting_at=None, service_ending_before=None, date=at("2026-11-05T09:30:00Z"))
    assert stripe_invoice.effective_at(sent, rule) == (at(printed) if printed else None)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.34", "USD", 1234),
        ("500.00", "USD", 50000),
        ("-0.01", "EUR", -1),
        ("1E+3", "USD", 100000),
        ("500", "JPY", 500),
        ("1234", "ISK", 123400),
        ("1234", "UGX", 123400),
        ("1.230", "KWD", 1230),
        ("999999.00", "IDR", 99999900),
        ("7", "KRW", 7),
        ("0", "USD", 0),
    ],
)
def test_amounts_are_integers_in_stripes_own_minor_unit(amount: str, currency: str, minor: int) -> None:
    units = stripe_invoice.minor_units(Decimal(amount), currency)
    assert (units, type(units)) == (minor, int)
    assert stripe_invoice.major_units(units, currency) == Decimal(amount)


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "USD"), ("0.5", "JPY"), ("1E-7", "EUR"), ("1.2345", "KWD")])
def test_an_amount_that_stripe_cannot_count_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(Terminal, match="AMOUNT_NOT_EXACT"):
        stripe_invoice.minor_units(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("amounts", "currency", "sent"),
    [
        (["1.230"], "KWD", [1230]),
        (["1.234"], "KWD", [1234, -4]),
        (["1.235"], "KWD", [1235, 5]),
        (["10", "0"], "ISK", [1000, 0]),
        (["0.10", "-0.30"], "USD", [10, -30]),
        ([], "USD", [0]),
    ],
)
def test_lines_add_up_to_what_can_be_charged(amounts: list[str], currency: str, sent: list[int]) -> None:
    plan = stripe_invoice.plan_invoice(priced(*amounts, currency=currency), stripe_invoice.InvoiceOptions())
    assert [line["amount"] for line in plan.lines] == sent
    assert plan.total == sum(sent)
    assert [line["metadata"]["metrograph_line"] for line in plan.lines] == [str(i) for i in range(len(sent))]


def test_line_periods_include_their_last_second_and_names_carry_quantities() -> None:
    line = stripe_invoice.plan_invoice(invoice(), stripe_invoice.InvoiceOptions()).lines[0]
    assert line["period"] == {
        "start": int(at("2026-10-01T00:00:00Z").timestamp()),
        "end": int(at("2026-10-31T23:59:59Z").timestamp()),
    }
    assert line["description"] == "Tokens: 1000000 × 0.00001 USD"
    assert "quantity" not in line


def test_lines_keep_their_order_by_a_second_each_within_their_periods() -> None:
    """What has no period gets an instant; an hour has room for all of 250 lines."""
    hour = {"starting_at": at("2026-10-31T23:00:00Z"), "ending_before": at("2026-11-01T00:00:00Z")}
    month = {"starting_at": at("2026-10-01T00:00:00Z"), "ending_before": at("2026-11-01T00:00:00Z")}
    periods = [month, *[{} for _ in range(2)], *[hour for _ in range(247)]]
    lines = tuple(DocumentLine(description=f"Line {n}", amount=Decimal(1), **each) for n, each in enumerate(periods))
    document = replace(invoice(), lines=lines, total=Decimal(250))
    sent = [line["period"] for line in stripe_invoice.plan_invoice(document, stripe_invoice.InvoiceOptions()).lines]
    starts = [item["start"] for item in sent]
    assert starts == sorted(set(starts))
    assert {item["end"] for item in sent[3:]} == {sent[0]["end"]} == {int(at("2026-10-31T23:59:59Z").timestamp())}
    first = int(at("2026-10-01T00:00:00Z").timestamp())
    assert sent[:3] == [
        {"start": first, "end": sent[0]["end"]}, {"start": first + 1, "end": first + 1}, {"start": first + 2, "end": first + 2},
    ]  # fmt: skip
    dated = replace(
        document,
        service_starting_at=None,
        service_ending_before=None,
        date=at("2026-10-09T00:00:00Z"),
        lines=lines[1:3],
        total=Decimal(2),
    )
    second = stripe_invoice.plan_invoice(dated, stripe_invoice.InvoiceOptions()).lines[1]["period"]["start"]
    assert second == int(at("2026-10-09T00:00:01Z").timestamp())


def test_one_line_for_too_many_is_named_after_the_seller() -> None:
    lines = tuple(DocumentLine(description="x", amount=Decimal(1)) for _ in range(251))
    document = replace(invoice(), lines=lines, total=Decimal(251))
    table = {"api_key": "env:STRIPE_KEY"}
    for settings, environ, begins in (
        ({"seller": "Acme Inc."}, {}, f"Acme Inc., invoice {document.number}: 251 lines"),
        ({}, {"METROGRAPH_SELLER_NAME": "Gateway & Sons"}, f"Gateway & Sons, invoice {document.number}: 251 lines"),
        ({}, {}, f"Invoice {document.number}: 251 lines"),
    ):
        config = StripeConfig.from_table("x", table | settings, ENVIRON | environ)
        [line] = stripe_invoice.plan_invoice(document, config.options, config.fields, seller=config.seller).lines
        assert (line["description"].startswith(begins), line["amount"]) == (True, 25_100)
    with pytest.raises(SettingsError, match="seller"):
        StripeConfig.from_table("x", table | {"seller": "a\nb"}, ENVIRON)


def test_a_total_above_the_limit_is_refused_before_any_call() -> None:
    stripe_invoice.plan_invoice(priced("999999.99"), stripe_invoice.InvoiceOptions())
    stripe_invoice.plan_invoice(priced("1000000.00", currency="IDR"), stripe_invoice.InvoiceOptions())
    with pytest.raises(Terminal, match="AMOUNT_TOO_LARGE"):
        stripe_invoice.plan_invoice(priced("1000000.00"), stripe_invoice.InvoiceOptions())


@pytest.mark.parametrize(("lines", "at_stripe", "calls"), [(250, 250, 3), (251, 1, 1)])
async def test_more_lines_than_stripe_takes_become_one(
    lines: int, at_stripe: int, calls: int, connect: Connect, sandbox: Sandbox
) -> None:
    outcomes = await connect("stripe").deliver(priced(*["0.01"] * lines), "key")
    (found,) = sandbox.effects("stripe")
    assert outcomes[0].acknowledged == Decimal(lines) / 100
    assert (len(found["lines"]), found["total"]) == (at_stripe, lines)
    assert sum(call["operation"] == "invoices.add_lines" for call in sandbox.calls()) == calls


@pytest.mark.parametrize(("amount", "status"), [("-5.00", "paid"), ("0", "paid"), ("5.00", "open")])
async def test_negative_and_zero_totals_are_delivered(
    amount: str, status: str, connect: Connect, sandbox: Sandbox
) -> None:
    (outcome,) = await connect("stripe").deliver(priced(amount), "key")
    assert (outcome.provider_status, outcome.acknowledged) == (status, Decimal(amount))


@pytest.mark.parametrize(
    ("amount", "currency", "calls"), [("0", "USD", 0), ("0.49", "USD", 0), ("0.50", "USD", 4), ("-0.10", "USD", 4)]
)
async def test_zero_invoices_are_skipped_where_the_account_says_so(
    amount: str, currency: str, calls: int, connect: Connect, sandbox: Sandbox
) -> None:
    (outcome,) = await connect("stripe", skip_zero=True).deliver(priced(amount, currency=currency), "key")
    assert outcome.code == (None if calls else SKIPPED)
    assert len(sandbox.calls()) == calls


async def test_the_invoice_at_stripe_says_what_it_is(connect: Connect, sandbox: Sandbox) -> None:
    settings = {"collectionMethod": "send_invoice", "daysUntilDue": "14", **invoice().customer}
    (outcome,) = await connect("stripe").deliver(invoice(customer=settings), "key")
    (found,) = sandbox.effects("stripe")
    assert found["metadata"]["metrograph_invoice_id"] == "inv_october"
    assert found["metadata"]["metrograph_contract_id"] == "con_acme"
    assert found["effective_at"] == int(at("2026-10-31T23:59:59Z").timestamp())
    assert found["collection_method"] == "send_invoice"
    assert outcome.effective_at == at("2026-10-31T23:59:59Z")
    assert len(outcome.request_ids) == 3


async def test_the_sellers_own_fields_stand_where_the_account_wants_them(connect: Connect, sandbox: Sandbox) -> None:
    rules = {
        "metadata": {"contract.po": "po_number", "product.sku": "sku", "customer.none": "none"},
        "printed_fields": {"contract.po": "PO number", "customer.region": "Region"},
    }
    plain = priced("1.00", "2.00")
    lines = (replace(plain.lines[0], custom_fields={"product.sku": "S-1"}), plain.lines[1])
    sent = replace(plain, lines=lines, custom_fields={"contract.po": "4711" + "x" * 600, "customer.other": "y"})
    await connect("stripe", **rules).deliver(sent, "key")
    (found,) = sandbox.effects("stripe")
    assert found["metadata"]["po_number"] == "4711" + "x" * 496
    assert {"none", "customer.other"}.isdisjoint(found["metadata"])
    assert [line["metadata"].get("sku") for line in found["lines"]] == ["S-1", None]
    (shown,) = sandbox.http.get("/v1/invoices", headers={"authorization": "Bearer sk_test_person"}).json()["data"]
    assert shown["custom_fields"] == [{"name": "PO number", "value": "4711" + "x" * 136}]
    # Another rule changes what Stripe is told next time, not what the invoice is.
    assert (await connect("stripe").deliver(sent, "key"))[0].status is OutcomeStatus.DUPLICATE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("metadata", {"contract.po": "metrograph_invoice_id"}),
        ("metadata", {"contract.po": "a[b]"}),
        ("metadata", {"commit.po": "po"}),
        ("metadata", {f"contract.k{n}": f"k{n}" for n in range(41)}),
        ("metadata", "po"),
        ("printed_fields", {"product.sku": "SKU"}),
        ("printed_fields", {f"contract.k{n}": f"k{n}" for n in range(5)}),
        ("printed_fields", {"contract.po": "x" * 41}),
    ],
)
def test_rules_for_fields_are_checked_at_start(key: str, value: object) -> None:
    with pytest.raises(SettingsError) as failure:
        StripeConfig.from_table("x", {"api_key": "env:STRIPE_KEY", key: value}, ENVIRON)
    assert [problem.key for problem in failure.value.problems] == [key]


async def test_a_foreign_line_on_the_draft_stops_before_finalizing(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "drop_before", match="finalize")
    with pytest.raises(Transient):
        await connect("stripe").deliver(invoice(), "key")
    (draft,) = sandbox.effects("stripe")
    form = {"lines[0][amount]": "100", "lines[0][description]": "added by hand"}
    headers = {"authorization": "Bearer sk_test_person"}
    assert sandbox.http.post(f"/v1/invoices/{draft['id']}/add_lines", data=form, headers=headers).status_code == 200
    with pytest.raises(Terminal, match=r"TOTAL_DRIFT.*13\.34 USD.*12\.34"):
        await connect("stripe").deliver(invoice(), "key")
    assert sandbox.effects("stripe")[0]["status"] == "draft"


async def test_a_draft_with_some_lines_gets_the_others(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "drop_before", match="add_lines", after=1)
    many = priced(*["0.01"] * 150)
    with pytest.raises(Transient):
        await connect("stripe").deliver(many, "key")
    assert len(sandbox.effects("stripe")[0]["lines"]) == 100
    found = await connect("stripe").find(many)
    assert found is not None
    assert (found.status, found.code) == (OutcomeStatus.UNKNOWN, "INCOMPLETE")
    await deliver_until_done(connect("stripe"), many, tries=1)
    assert [len(one["lines"]) for one in sandbox.effects("stripe")] == [150]


async def test_a_500_is_kept_under_its_key_and_the_next_revision_goes_on(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "refuse_500", match="invoices.create")
    (outcome,) = await connect("stripe").deliver(invoice(), "key")
    assert outcome.is_done
    # A day later the old key is forgotten; the look-up still finds the invoice.
    sandbox.clock.move(hours=25)
    (again,) = await connect("stripe").deliver(invoice(), "key")
    assert again.status is OutcomeStatus.DUPLICATE
    assert len(sandbox.effects("stripe")) == 1


async def test_a_stripe_that_only_fails_leaves_an_unknown(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "refuse_500", match="invoices.create", times=None)
    with pytest.raises(Transient) as failure:
        await connect("stripe").deliver(invoice(), "key")
    assert failure.value.unknown


async def test_a_draft_deleted_by_hand_is_made_again(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("stripe", leave_in_draft=True)
    (first,) = await connector.deliver(invoice(), "key")
    voided = await connector.void(Receipt(reference="inv_october", provider_reference=str(first.provider_reference)))
    assert voided.provider_status == "deleted"
    # The create key still replays the answer of the deleted draft.
    (second,) = await connector.deliver(invoice(), "key")
    assert second.is_done
    assert second.provider_reference != first.provider_reference
    assert [one["status"] for one in sandbox.effects("stripe")] == ["draft"]


async def test_a_look_up_follows_pages(connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    await connect("stripe").deliver(invoice(), "key")
    headers = {"authorization": "Bearer sk_test_person"}
    for _ in range(105):
        sandbox.http.post("/v1/invoices", data={"customer": "cus_Acme", "currency": "usd"}, headers=headers)
    (again,) = await connect("stripe").deliver(invoice(), "key")
    assert again.status is OutcomeStatus.DUPLICATE
    # Half a look-up is none.
    monkeypatch.setattr(stripe_calls, "MAX_PAGES", 1)
    with pytest.raises(Terminal, match="TOO_MANY"):
        await connect("stripe").deliver(invoice(), "key")


@pytest.mark.parametrize(
    ("copies", "amount", "code"), [(1, "1234", None), (1, "999", "TOTAL_DRIFT"), (2, "1234", "TWICE_AT_PROVIDER")]
)
async def test_an_invoice_made_by_hand_with_our_id_is_judged_by_its_total(
    copies: int, amount: str, code: str | None, connect: Connect, sandbox: Sandbox
) -> None:
    headers = {"authorization": "Bearer sk_test_person"}
    form = {"customer": "cus_Acme", "metadata[metrograph_invoice_id]": "inv_october"}
    for _ in range(copies):
        path = f"/v1/invoices/{sandbox.http.post('/v1/invoices', data=form, headers=headers).json()['id']}"
        sandbox.http.post(f"{path}/add_lines", data={"lines[0][amount]": amount}, headers=headers)
        sandbox.http.post(f"{path}/finalize", headers=headers)
    try:
        (outcome,) = await connect("stripe").deliver(invoice(), "key")
        found = outcome.code
    except Terminal as failure:
        found = failure.code
    assert found == code
    assert len(sandbox.effects("stripe")) == copies


async def test_other_content_under_our_id_is_a_collision(connect: Connect, sandbox: Sandbox) -> None:
    await connect("stripe").deliver(invoice(), "key")
    (outcome,) = await connect("stripe").deliver(priced("99.00"), "key")
    assert (outcome.status, outcome.code) == (OutcomeStatus.COLLISION, "OTHER_CONTENT")
    assert [one["total"] for one in sandbox.effects("stripe")] == [1234]


async def test_an_invoice_voided_at_stripe_is_not_made_again(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("stripe")
    (first,) = await connector.deliver(invoice(), "key")
    receipt = Receipt(reference="inv_october", provider_reference=str(first.provider_reference))
    assert (await connector.void(receipt)).provider_status == "void"
    assert (await connector.void(receipt)).provider_status == "void"
    (again,) = await connector.deliver(invoice(), "key")
    assert (again.status, again.code) == (OutcomeStatus.REFUSED, "VOIDED_AT_PROVIDER")


async def test_a_paid_invoice_cannot_be_voided_and_shows_its_payment(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("stripe")
    (outcome,) = await connector.deliver(invoice(), "key")
    name = str(outcome.provider_reference)
    sandbox.http.post(f"/v1/invoices/{name}/pay", headers={"authorization": "Bearer sk_test_person"})
    entry = await connector.status(name)
    assert (entry.provider_status, entry.amount, entry.amount_paid) == ("paid", Decimal("12.34"), Decimal("12.34"))
    assert (entry.reference, entry.currency) == ("inv_october", "USD")
    with pytest.raises(Terminal, match=CREDIT_NEEDED):
        await connector.void(Receipt(reference="inv_october", provider_reference=name))
    day = Period(NOW - timedelta(hours=12), NOW + timedelta(hours=12))
    assert [one.provider_reference for one in await connector.list(day)] == [name]
    assert list(await connector.list(Period(NOW + timedelta(hours=12)))) == []


async def test_a_paid_invoice_is_credited_once_where_the_account_says_so(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("stripe", credit_paid=True)
    (outcome,) = await connector.deliver(invoice(), "key")
    receipt = Receipt(reference="inv_october", provider_reference=str(outcome.provider_reference))
    headers = {"authorization": "Bearer sk_test_person"}
    sandbox.http.post(f"/v1/invoices/{receipt.provider_reference}/pay", headers=headers)
    sandbox.fault("stripe", "drop_after", match="credit_notes.create")
    with pytest.raises(Transient) as failure:
        await connector.void(receipt)
    assert failure.value.unknown
    for hours in (0, 25):
        # A day later Stripe has forgotten the key; our look-up has not.
        sandbox.clock.move(hours=hours)
        assert (await connector.void(receipt)).provider_status == "credited"
    notes = sandbox.http.get("/v1/credit_notes", headers=headers).json()["data"]
    assert [(note["amount"], note["type"]) for note in notes] == [(1234, "post_payment")]


@pytest.mark.parametrize(("amount", "ends"), [("0", "paid"), ("-5.00", CREDIT_NEEDED)])
async def test_what_stripe_settled_by_itself_is_taken_back_only_where_nothing_moved(
    amount: str, ends: str, connect: Connect
) -> None:
    connector = connect("stripe", credit_paid=True)
    (outcome,) = await connector.deliver(priced(amount), "key")
    receipt = Receipt(reference="inv_october", provider_reference=str(outcome.provider_reference))
    try:
        found = (await connector.void(receipt)).provider_status
    except Terminal as failure:
        found = failure.code
    assert found == ends


async def test_an_account_is_called_no_faster_than_its_pace(connect: Connect, sandbox: Sandbox) -> None:
    connector = connect("stripe", requests_per_second=20)
    started = time.monotonic()
    await asyncio.gather(*(connector.status("in_none") for _ in range(11)))
    assert time.monotonic() - started >= 0.5
    assert len(sandbox.calls()) == 11


async def test_an_unknown_customer_is_told_in_plain_words(connect: Connect) -> None:
    with pytest.raises(Terminal, match="RESOURCE_MISSING") as failure:
        await connect("stripe").deliver(invoice(customer={"stripeCustomerId": "cus_missing1"}), "key")
    assert "stripeCustomerId" in failure.value.hint
    assert not failure.value.stop_connection


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("sk_live_pasted", "never the secret itself"),
        ("env:NOT_SET", "empty or missing"),
        ("file:/no/such/file", "cannot be read"),
    ],
)
def test_a_secret_is_a_reference(reference: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as failure:
        StripeConfig.from_table("x", {"api_key": reference}, ENVIRON)
    assert "pasted" not in str(failure.value)


def signed(body: bytes, *, secret: str = "whsec_new", seconds_off: int = 0, more: str = "") -> dict[str, str]:
    stamp = int(NOW.timestamp()) + seconds_off
    value = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={value}{more}"}


def event(kind: str = "invoice.paid", **changes: Any) -> bytes:
    subject = {"id": "in_1", "object": "invoice"}
    base = {"id": "evt_1", "type": kind, "created": int(NOW.timestamp()), "api_version": "2019-01-01"}
    return json.dumps({**base, "data": {"object": subject}, **changes}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "subject"),
    [
        (event(), "invoice.paid", "in_1"),
        (event("invoice.voided"), "invoice.voided", "in_1"),
        (event("made.up.kind", data={"object": {"id": "xx_1"}}), "made.up.kind", None),
        (
            event("invoice_payment.paid", data={"object": {"id": "inpay_1", "invoice": "in_2"}}),
            "invoice_payment.paid",
            "in_2",
        ),
        (event("customer.deleted", data={"object": {"id": "cus_1"}}), "customer.deleted", None),
        (
            event("v1.invoice.paid", created="2026-11-02T12:30:00Z", related_object={"id": "in_3"}, data={}),
            "invoice.paid",
            "in_3",
        ),
    ],
)
def test_a_signed_notice_names_the_invoice_to_read(
    body: bytes, kind: str, subject: str | None, connect: Connect
) -> None:
    notice = connect("stripe").parse_webhook(signed(body), body)
    assert (notice.event_id, notice.kind, notice.provider_reference) == ("evt_1", kind, subject)
    assert notice.occurred_at == NOW


@pytest.mark.parametrize(
    ("headers", "is_accepted"),
    [
        (signed(event()), True),
        (signed(event(), secret="whsec_old"), True),
        (signed(event(), more=",v1=00ff,v0=zz"), True),
        (signed(event(), seconds_off=-300), True),
        (signed(event(), seconds_off=300), True),
        (signed(event(), seconds_off=-301), False),
        (signed(event(), seconds_off=301), False),
        (signed(event(), secret="whsec_other"), False),
        (signed(event().replace(b"in_1", b"in_9")), False),
        ({"stripe-signature": "t=1,v1=é"}, False),
        ({"stripe-signature": "v1=00"}, False),
        ({}, False),
    ],
)
def test_signatures_are_checked_in_both_directions_of_time(
    headers: dict[str, str], is_accepted: bool, connect: Connect
) -> None:
    connector = connect("stripe")
    if is_accepted:
        assert connector.parse_webhook(headers, event()).event_id == "evt_1"
    else:
        with pytest.raises(Terminal, match="SIGNATURE"):
            connector.parse_webhook(headers, event())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"id": "evt_1", "type": "x", "created": 1e400, "data": {}}', b"\xff"]
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes, connect: Connect) -> None:
    with pytest.raises(Terminal, match="BAD_NOTICE"):
        connect("stripe").parse_webhook(signed(body), body)
