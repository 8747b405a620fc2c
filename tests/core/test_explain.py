"""Lines explain themselves: what made them, and the same in words that a person can check with a pencil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given

from app.core.conversions import Conversion, ConversionOperation, Rounding, RoundingMethod
from app.core.elsewhere import Elsewhere
from app.core.explain import Explanation, explain
from app.core.explain_words import in_words, reversed_since
from app.core.fees import Collection, Subscription
from app.core.grants import Grant, Pot
from app.core.invoice import assemble, finalize
from app.core.ledger import true_up_line
from app.core.lines import Line, LineTier, LineType
from app.core.metering import HourQuantity
from app.core.period import Frequency
from app.core.quantities import UsageKey
from app.core.rates import Package, Percentage, Rate, Tier, Volume
from app.core.rating import rate_statement
from app.core.terms import MultiplierTier, OverridePriority, Overwrite, PriceChange, RateTarget, Terms, TieredMultiplier
from tests.core.agreements import (
    CALLS,
    DATA,
    FREE_THEN_PAID,
    JANUARY,
    A,
    B,
    by_region,
    day,
    entry,
    flat,
    terms,
    usages,
    used,
)
from tests.core.balances import CREDIT, POSTPAID, PREPAID, grant, pots
from tests.core.test_drawdown import EVERYTHING, HALF, TOKENS, available, change, fee, for_commits, some_pots

D = Decimal
COMMIT = RateTarget.COMMIT_RATE
MEASURED = replace(
    CALLS,
    conversion=Conversion(ConversionOperation.DIVIDE, D(1000)),
    rounding=Rounding(RoundingMethod.ROUND_UP, 0),
)


def lines_of(agreed: Terms, given_pots: Sequence[Pot] = (), **usage: str) -> Sequence[Line]:
    """The lines of usage of calls."""
    return rate_statement(agreed, JANUARY, {UsageKey(A): used(**usage)}, pots=given_pots).lines


def said(agreed: Terms, *grants: Grant, quantity: str = "8", metric: str | None = None) -> list[str]:
    """What the lines of some calls on the second say of themselves."""
    given_pots = pots(*grants)
    found = lines_of(agreed, given_pots, d2=quantity)
    return [in_words(explain(line, agreed, given_pots), metric=metric, balance="Launch") for line in found]


MONTH = "from 1 January 2025 to 31 January 2025"


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (flat("2500"), "The list price is 2,500 USD each. 8 × 2500 = 20,000 USD."),
        (Package(D(5), D("7.5")), "The list price is 7.5 USD for each begun package of 5. 2 × 7.5 = 15 USD."),
        (Percentage(D("0.025")), "The list price is 2.5 % of the amount."),
        (
            Volume((Tier(D(5), D(4)), Tier(None, D(3)))),
            "The list price is 3 USD for each unit, by the tier in which the whole quantity lies, in tier 2 (from 5 without "
            "end). 8 × 3 = 24 USD.",
        ),
    ],
)
def test_prices_in_words(rate: Rate, expected: str) -> None:
    product = CALLS if not isinstance(rate, Percentage) else replace(CALLS, money=None)
    [text] = said(terms(entry(1, rate), products=(product, DATA)))
    assert expected.replace("2500 =", "2,500 =") in text


def test_every_tier_is_a_line_of_its_own() -> None:
    assert said(terms(entry(1, FREE_THEN_PAID, "01-01", "02-01")), metric="API calls") == [
        f"5 × calls, used {MONTH}, measured by “API calls”. The list price is 0 USD each, in force since 1 January 2025 "
        "until 1 February 2025, in tier 1 (from 0 up to 5). 5 × 0 = 0 USD.",
        f"3 × calls, used {MONTH}, measured by “API calls”. The list price is 1 USD each, in force since 1 January 2025 "
        "until 1 February 2025, in tier 2 (from 5 up to 10). 3 × 1 = 3 USD.",
    ]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (HALF, "The list price is 2 USD each. An override of the contract multiplies it by 0.5. 8 × 1 = 8 USD."),
        (Overwrite(flat("3")), "An override of the contract replaces it by 3 USD each. 8 × 3 = 24 USD."),
        (None, "An override of the contract entitles it to the product. 8 × 2 = 16 USD."),
    ],
)
def test_overrides_in_words(what: PriceChange | None, expected: str) -> None:
    agreed = replace(terms(entry(1, flat("2"))), overrides=(replace(change(2, HALF), change=what),))
    [line] = lines_of(agreed, d2="8")
    text = in_words(explain(line._replace(override_id=agreed.overrides[0].id), agreed))
    assert expected in text


def test_an_override_by_tiers_of_the_quantity() -> None:
    bands = TieredMultiplier((MultiplierTier(D(3), D("0.5")),))
    agreed = replace(
        terms(entry(1, flat("2"))), overrides=(replace(change(2, bands), priority=1),),
        override_priority=OverridePriority.EXPLICIT,
    )  # fmt: skip
    assert "multiplies it by tiers of the quantity; here it is 1 USD each. 3 × 1 = 3 USD." in said(agreed)[0]


def test_measuring_groups_and_part_of_a_day_in_words() -> None:
    agreed = terms(entry(1, flat("2"), "01-10T06:00:00"), products=(MEASURED, DATA))
    usage = {by_region("eu"): used(d12="8"), UsageKey(A, (("region", None),)): used(d12="1")}
    without, eu = [in_words(explain(line, agreed)) for line in rate_statement(agreed, JANUARY, usage).lines]
    assert eu == (
        "8 × calls (region “eu”), used from 10 January 2025 06:00 UTC until 1 February 2025, divided by 1,000, rounded up to "
        "whole units over the whole statement. The list price is 2 USD each, in force since 10 January 2025 06:00 UTC. "
        "8 × 2 = 16 USD."
    )
    assert "1 × calls (without region), used" in without
    other = replace(
        MEASURED, conversion=Conversion(ConversionOperation.MULTIPLY, D(2)),
        rounding=Rounding(RoundingMethod.ROUND_HALF_UP, 1),
    )  # fmt: skip
    for places, text in ((1, "to 1 decimal place over"), (2, "to 2 decimal places over")):
        rounding = Rounding(RoundingMethod.ROUND_HALF_UP, places)
        found = said(terms(entry(1, flat("2")), products=(replace(other, rounding=rounding), DATA)))
        assert f"multiplied by 2, rounded half up {text}" in found[0]


def test_what_balances_pay() -> None:
    agreed = terms(replace(entry(1, flat("2")), commit_rate=flat("1.5")))
    prepaid = grant(1, PREPAID, segments=(("6", "01-01", "02-01"),), rate_type=COMMIT)
    assert said(agreed, prepaid) == [
        f"4 × calls, used {MONTH}. The commit rate is 1.5 USD each. 4 × 1.5 = 6 USD. It is paid from the prepaid commit "
        f"“Launch” ({MONTH}), which another line takes off again.",
        f"6 USD of usage for calls are paid from the prepaid commit “Launch” ({MONTH}), and taken off here. It had 6 USD left "
        "before this invoice.",
        f"4 × calls, used {MONTH}. The list price is 2 USD each. 4 × 2 = 8 USD.",
    ]
    postpaid = grant(1, POSTPAID, segments=(("6", "01-01", "01-20"), ("6", "01-20", "02-01")))
    paid, applied, _ = said(agreed, postpaid)
    span = "segment 0 (from 1 January 2025 to 19 January 2025)"
    assert paid.endswith(f"It counts towards the postpaid commit “Launch”, {span}.")
    assert applied == (
        f"6 USD of usage for calls count towards the postpaid commit “Launch”, {span}; nothing is taken off."
    )
    thirds = terms(entry(1, flat("3")))
    assert (
        "10 USD in all; the amount is exact, and the quantity at 3 follows from it."
        in (said(thirds, grant(1, CREDIT, segments=(("10", "01-01", "02-01"),)))[0])
    )


def test_overrides_of_what_a_commit_pays() -> None:
    agreed = replace(terms(entry(1, flat("2"))), overrides=(for_commits(1, HALF),))
    text = said(agreed, grant(1))[0]
    assert (
        "The list price is 2 USD each. An override of the contract for what a balance pays multiplies it by 0.5."
        in text
    )
    priced = terms(replace(entry(1, flat("2")), commit_rate=flat("1.5")))
    priced = replace(priced, overrides=(for_commits(1, HALF, target=COMMIT),))
    text = said(priced, grant(1, rate_type=COMMIT))[0]
    assert "The commit rate is another than this line's 0.75 USD each. An override" in text
    # One of list prices does not change commit rates.
    [line, *_] = lines_of(priced, pots(grant(1, rate_type=COMMIT)), d2="8")
    other = replace(priced.overrides[0], target=RateTarget.LIST_RATE)
    assert not explain(line, replace(priced, overrides=(other,)), pots(grant(1, rate_type=COMMIT))).at_commit_rate


def test_a_line_whose_terms_are_gone_still_says_what_it_is() -> None:
    agreed = terms(entry(1, flat("2")))
    [line, applied, *_] = lines_of(agreed, pots(grant(1)), d2="8")
    nothing = replace(agreed, products=(), rates=())
    assert in_words(explain(line, nothing)) == (
        f"8 × calls, used {MONTH}. 8 × 2 = 16 USD. It is paid from a balance, which another line takes off again."
    )
    assert in_words(explain(applied, nothing), balance="Launch").endswith(
        "paid from the balance “Launch”, and taken off here."
    )


def only(kind: LineType, agreed: Terms, given_pots: Sequence[Pot] = (), **usage: str) -> str:
    """What the first line of a type says."""
    found = rate_statement(agreed, JANUARY, {UsageKey(A): used(**usage)}, pots=given_pots).lines
    return in_words(explain(next(line for line in found if line.type is kind), agreed, given_pots))


def test_percentages_minimums_and_conversions_in_words() -> None:
    support = next(product for product in EVERYTHING.products if product.composite)
    own_id = replace(EVERYTHING.rates[-1], id=UUID(int=77))
    plain = replace(EVERYTHING, overrides=(), rates=(*EVERYTHING.rates[:-1], own_id))
    assert only(LineType.COMPOSITE, plain, d12="50") == (
        "support is a share of 100 USD charged for “calls” from 10 January 2025 to 19 January 2025. The list price is 10 % of "
        "the amount. 100 × 0.1 = 10 USD."
    )
    elsewhere = replace(plain, elsewhere=(Elsewhere(support.id),))
    assert ", on all contracts of the customer." in only(LineType.COMPOSITE, elsewhere, d12="100")
    assert only(LineType.MINIMUM, plain, d2="6").startswith("support costs at least 3 USD in a statement;")
    text = only(LineType.CPU_CONVERSION, TOKENS, pots(grant(1)), d2="100")
    assert text.startswith("What no balance pays in TOKENS is paid in USD: one TOKENS is 0.1 USD. 100 × 0.1 = 10 USD.")
    line = next(one for one in lines_of(TOKENS, d2="100") if one.type is LineType.CPU_CONVERSION)
    assert "one TOKENS is 0.1 USD" in in_words(explain(line, replace(TOKENS, conversions=())))


def test_a_share_of_many_products_names_ten() -> None:
    many = tuple(replace(CALLS, id=UUID(int=900 + n), name=f"p{n:02}") for n in range(12))
    line = Line(LineType.COMPOSITE, A, "all", "USD", D(5), D("0.1"), D("0.5"), *_month())
    text = in_words(Explanation(line, base=many))
    assert "“p09” and 2 more from" in text
    assert in_words(Explanation(line)).startswith("all is a share of 5 USD charged from 1 January")
    missing = line._replace(type=LineType.MINIMUM)
    assert in_words(Explanation(missing)) == "all costs a minimum in a statement; 0.5 USD were missing."


def _month() -> tuple[object, object]:
    return JANUARY.starting_at, JANUARY.ending_before


def test_fees_instalments_purchases_and_true_ups_in_words() -> None:
    rates = (entry(1, flat("10"), product_id=B),)
    seats = Subscription(A, B, Frequency.MONTHLY, Collection.ADVANCE, JANUARY, D(1))
    agreed = replace(terms(*rates), subscriptions=(seats,))
    line = fee("5")._replace(
        type=LineType.SUBSCRIPTION,
        quantity=D(1),
        unit_price=D(5),
        subscription_id=A,
        charged_at=day("01-01"),
        rate_id=UUID(int=1),
    )
    assert in_words(explain(line, agreed)) == (
        f"The fee of a subscription for data, {MONTH}, dated 1 January 2025. It is for a part of its billing period "
        "(monthly), so the price is a part of the list's. The list price is 10 USD each. 1 × 5 = 5 USD."
    )
    whole = line._replace(unit_price=D(10), amount=D(10))
    assert "part" not in in_words(explain(whole, agreed))
    instalment = Line(
        LineType.SCHEDULED, None, None, "USD", D(1), D(9), D(9), None, None, charge_id=A, charged_at=day("01-15")
    )
    assert in_words(explain(instalment, agreed)) == (
        "An instalment of a scheduled charge, dated 15 January 2025. 1 × 9 = 9 USD."
    )
    bought = instalment._replace(type=LineType.COMMIT_PURCHASE, charge_id=None, grant_id=grant(1).id)
    assert in_words(explain(bought, agreed, pots(grant(1, PREPAID)))) == (
        "What is paid for the prepaid commit (from 1 January 2025 to 30 December 2025), dated 15 January 2025. 1 × 9 = 9 USD."
    )
    commit = grant(1, POSTPAID, segments=(("1000", "01-01", "02-01"),))
    true_up = true_up_line(commit, D("250.5"))
    assert in_words(explain(true_up, agreed, pots(commit)), balance="Yearly") == (
        f"What is missing of the postpaid commit “Yearly” ({MONTH}) after its access is over. 1,000 USD were committed to and "
        "749.5 used, moved or given back; 250.5 USD are left."
    )
    assert in_words(explain(true_up, agreed)) == "What is missing of a balance after its access is over."


def test_rounding_in_words() -> None:
    agreed = terms(entry(1, flat("0.335")))
    rounding = finalize(assemble(lines_of(agreed, d2="3"), agreed.unit)).lines[-1]
    assert in_words(explain(rounding, agreed)) == (
        "The exact sum of the lines is rounded half up; that makes 0.005 USD."
    )
    assert in_words(explain(rounding._replace(amount=D("-0.003")), agreed)).endswith("that makes -0.003 USD.")


def test_an_open_interval_and_a_nameless_product() -> None:
    line = Line(LineType.USAGE, None, None, "USD", D(2), D(1), D(2), day("01-05"), None, tier=LineTier(1, D(0), None))
    assert in_words(Explanation(line)) == "2 × a product, used from 5 January 2025. 2 × 1 = 2 USD."
    assert in_words(Explanation(line._replace(unit_price=None))) == "2 × a product, used from 5 January 2025."


@given(usages, available)
def test_every_line_says_its_amount(usage: dict[UsageKey, list[HourQuantity]], left: list[Decimal]) -> None:
    given_pots = some_pots(left)
    fees = [fee("5")._replace(type=LineType.SUBSCRIPTION, subscription_id=A, charged_at=day("01-01"))]
    for line in rate_statement(EVERYTHING, JANUARY, usage, pots=given_pots, fees=fees).lines:
        found = explain(line, EVERYTHING, given_pots)
        text = in_words(found, metric="m", balance="b")
        amount = (
            f"{abs(line.amount):,f}".rstrip("0").rstrip(".") if "." in f"{line.amount:f}" else f"{abs(line.amount):,f}"
        )
        assert amount in text
        assert text.endswith(".")
        assert (found.rate is None) == (line.rate_id is None)
        assert (found.pot is None) == (line.grant_id is None)
        assert found.measured is None or found.measured.metric_id in (A, B)


def test_what_was_reversed_since_in_words() -> None:
    assert reversed_since(["a"]).startswith("Since then “a” was reversed: ")
    assert "“9” and 2 more were reversed" in reversed_since([str(number) for number in range(12)])
