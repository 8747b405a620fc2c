"""Tax at Stripe: four ways to add it, and what of a taxed invoice is ours."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from connectors import stripe_invoice
from connectors.base import Connector, OutcomeStatus, Receipt, Terminal
from connectors.http import SettingsError
from connectors.stripe import StripeConfig
from connectors.stripe_tax import Tax
from tests.connectors.world import CUSTOMERS, ENVIRON, Sandbox, priced

Connect = Callable[..., Connector]
PERSON = {"authorization": "Bearer sk_test_person"}
EXTERNAL = {"tax": "external"}
OURS, TAXED = Decimal("100.00"), Decimal("120.00")


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, {"automatic_tax": {"enabled": False}}),
        ({"tax": "stripe", "effective_at": "off"}, {"automatic_tax": {"enabled": True}}),
        (
            {"tax": "rates", "tax_rates": "txr_a,txr_b"},
            {"automatic_tax": {"enabled": False}, "default_tax_rates": ["txr_a", "txr_b"]},
        ),
        (EXTERNAL, {"automatic_tax": {"enabled": False}}),
    ],
)
def test_what_an_invoice_says_of_its_tax(settings: dict[str, Any], asked: dict[str, Any]) -> None:
    """Always whether Stripe is to compute it, since an account may have it computed where nothing is said."""
    config = StripeConfig.from_table("x", {"api_key": "env:STRIPE_KEY", **settings}, ENVIRON)
    plan = stripe_invoice.plan_invoice(priced("100.00"), config.options)
    keys = ("automatic_tax", "default_tax_rates")
    assert {key: plan.create[key] for key in keys if key in plan.create} == asked
    assert (plan.create["metadata"].get("metrograph_tax") == "external") is (settings == EXTERNAL)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"tax": "avalara"}, "tax"),
        ({"tax": "rates"}, "tax_rates"),
        ({"tax": "rates", "tax_rates": "20 %"}, "tax_rates"),
        ({"tax": "rates", "tax_rates": ",".join(["txr_a"] * 6)}, "tax_rates"),
        ({"tax": "stripe", "tax_rates": "txr_a"}, "tax_rates"),
        ({"tax": "stripe", "effective_at": True}, "effective_at"),
    ],
)
def test_ways_that_exclude_each_other_are_named(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        StripeConfig.from_table("x", {"api_key": "env:STRIPE_KEY", **settings}, ENVIRON)
    assert {problem.key for problem in refused.value.problems} == {key}


def test_a_customer_has_its_own_tax() -> None:
    """An account's rates are its customers', until one of them says otherwise."""
    account = stripe_invoice.InvoiceOptions(tax=Tax(way="rates", rates=("txr_a",)))
    for own, expected in (
        ({}, Tax(way="rates", rates=("txr_a",))),
        ({"taxRates": "txr_b"}, Tax(way="rates", rates=("txr_b",))),
        ({"tax": "rates", "taxRates": "txr_b"}, Tax(way="rates", rates=("txr_b",))),
        ({"tax": "off"}, Tax()),
    ):
        read = stripe_invoice.read_customer({**CUSTOMERS["stripe"], **own}, account)
        assert read.options.tax == expected


def test_stripe_is_asked_for_no_tax_on_negative_lines() -> None:
    options = stripe_invoice.InvoiceOptions(tax=Tax(way="stripe"))
    with pytest.raises(Terminal, match="NEGATIVE_WITH_TAX"):
        stripe_invoice.plan_invoice(priced("5.00", "-1.00"), options)


@pytest.mark.parametrize(
    ("settings", "tax"),
    [
        ({"tax": "off"}, "0"),
        ({"tax": "stripe", "effective_at": "off"}, "10.00"),
        ({"tax": "rates", "tax_rates": "txr_exclusive20"}, "20.00"),
        # What the price includes is ours to bill; nothing is on top.
        ({"tax": "rates", "tax_rates": "txr_inclusive20"}, "0"),
        ({"tax": "rates", "tax_rates": "txr_inclusive7,txr_exclusive5"}, "5.00"),
    ],
)
async def test_what_is_acknowledged_is_without_tax(settings: dict[str, str], tax: str, connect: Connect) -> None:
    connector = connect("stripe", **settings)
    for status in (OutcomeStatus.ACCEPTED, OutcomeStatus.DUPLICATE):
        [outcome] = await connector.deliver(priced("70.00", "30.00"), "key")
        assert (outcome.status, outcome.acknowledged, outcome.provider_status) == (status, OURS, "open")
    entry = await connector.status(str(outcome.provider_reference))
    assert (entry.amount, entry.tax) == (OURS + Decimal(tax), Decimal(tax))


async def test_tax_where_none_was_asked_for_stops_before_finalizing(connect: Connect, sandbox: Sandbox) -> None:
    """The rates were taken out of the settings while the draft stood there."""
    sandbox.fault("stripe", "drop_before", match="finalize")
    with pytest.raises(Exception, match="did not answer"):
        await connect("stripe", tax="rates", tax_rates="txr_exclusive20").deliver(priced("100.00"), "key")
    with pytest.raises(Terminal, match=r"TOTAL_DRIFT.*120 USD.*we billed 100"):
        await connect("stripe").deliver(priced("100.00"), "key")
    assert sandbox.effects("stripe")[0]["status"] == "draft"


async def test_an_unknown_rate_is_told_in_plain_words(connect: Connect) -> None:
    with pytest.raises(Terminal, match="RESOURCE_MISSING"):
        await connect("stripe", tax="rates", tax_rates="txr_none").deliver(priced("100.00"), "key")


def is_left_to_stripe(sandbox: Sandbox) -> bool:
    """Whether the one invoice is a draft that goes on by itself."""
    [invoice] = sandbox.http.get("/v1/invoices", headers=PERSON).json()["data"]
    return invoice["status"] == "draft" and invoice["auto_advance"]


async def test_tax_software_has_the_draft_until_stripe_finalizes_it(connect: Connect, sandbox: Sandbox) -> None:
    """Lines that it adds are no difference, before and after; a line of ours that is missing would be."""
    connector, document = connect("stripe", tax="external"), priced("70.00", "30.00")
    [outcome] = await connector.deliver(document, "key")
    assert (outcome.status, outcome.provider_status, outcome.acknowledged) == (OutcomeStatus.ACCEPTED, "draft", OURS)
    [draft] = sandbox.effects("stripe")
    path, line = f"/v1/invoices/{draft['id']}", {"lines[0][amount]": "2000", "lines[0][description]": "Sales tax"}
    assert is_left_to_stripe(sandbox), "or it would stay a draft for ever"
    assert sandbox.http.post(f"{path}/add_lines", data=line, headers=PERSON).status_code == 200
    for status in ("draft", "open"):
        if status == "open":
            sandbox.http.post(f"{path}/finalize", headers=PERSON)
        again = await connector.find(document)
        assert again is not None
        assert (again.status, again.provider_status, again.acknowledged) == (OutcomeStatus.DUPLICATE, status, OURS)
        entry = await connector.status(draft["id"])
        assert (entry.amount, entry.tax, entry.provider_status) == (TAXED, Decimal("20.00"), status)
    assert len(sandbox.effects("stripe")) == 1
    taken_back = await connector.void(Receipt(reference="inv_october", provider_reference=draft["id"]))
    assert taken_back.provider_status == "void"


async def test_a_draft_that_was_not_left_to_stripe_yet_is_left_to_it(connect: Connect, sandbox: Sandbox) -> None:
    connector, document = connect("stripe", tax="external"), priced("100.00")
    sandbox.fault("stripe", "drop_before", match="invoices.update")
    with pytest.raises(Exception, match="did not answer"):
        await connector.deliver(document, "key")
    found = await connector.find(document)
    assert found is not None
    assert (found.status, found.code) == (OutcomeStatus.UNKNOWN, "INCOMPLETE")
    [outcome] = await connector.deliver(document, "key")
    assert (outcome.status, outcome.provider_status) == (OutcomeStatus.ACCEPTED, "draft")
    assert is_left_to_stripe(sandbox)
