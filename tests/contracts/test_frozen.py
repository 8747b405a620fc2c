"""Terms survive being frozen: what an invoice keeps of them leads back to equal terms."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from app.contracts.frozen import own_terms_to_json, product_to_json, rates_to_json, terms_from_json
from app.core.conversions import Conversion, ConversionOperation, Rounding, RoundingMethod
from app.core.elsewhere import Elsewhere, SpentHour
from app.core.fees import (
    BilledItem,
    Collection,
    Distribution,
    FeePlacement,
    FeeRounding,
    FeeRoundingMethod,
    IncreaseBilling,
    ItemKey,
    ItemKind,
    Proration,
    QuantityUpdate,
    RecurringSchedule,
    ScheduledCharge,
    ScheduledItem,
    Subscription,
)
from app.core.money import fiat
from app.core.period import Frequency, Period, StatementDay, StatementSchedule
from app.core.rates import Package, Percentage, TieredPercentage, Volume
from app.core.terms import (
    Composite,
    CompositeScope,
    MoneyOf,
    Multiplier,
    Naming,
    Override,
    OverridePriority,
    Product,
    ProductType,
    ProductVersion,
    RateTarget,
    Specifier,
    SqlGranularity,
    Terms,
    UsageFilter,
)
from tests.core.agreements import AGREED, CALLS, FREE_THEN_PAID, A, by_region, day, entry


def terms_to_json(terms: Terms) -> dict[str, Any]:
    """The terms as an invoice keeps them, whole."""
    products = [product_to_json(product) for product in terms.products]
    return {**own_terms_to_json(terms), "products": products, "rates": rates_to_json(terms.rates)}


BY_REGION = replace(CALLS, pricing_group_key=("region",), presentation_group_key=("team",), tags=("core", "paid"))

MEASURED = replace(
    CALLS,
    rounding=Rounding(RoundingMethod.ROUND_DOWN, 2),
    versions=(
        ProductVersion(day("01-16"), A, Conversion(ConversionOperation.DIVIDE, Decimal("1.024"))),
        ProductVersion(day("01-17"), A, None, Rounding(RoundingMethod.ROUND_UP, 0)),
    ),
)

UPLIFT = Product(
    UUID(int=9), "uplift", ProductType.COMPOSITE, None, composite=Composite((A, UUID(int=8)), ("core", "gpu"))
)
OF_CUSTOMER = Composite((A,), scope=CompositeScope.CUSTOMER, exclude_free_usage=True)
REGROUPED = replace(
    CALLS,
    versions=(
        ProductVersion(day("01-16"), A, pricing_group_key=("region",), presentation_group_key=("team",)),
        ProductVersion(day("01-17"), A, sql_granularity=SqlGranularity.SERVICE_PERIOD),
    ),
)
OVERRIDES = (
    Override(
        UUID(int=1), Period(day("01-02"), day("01-09")), (Specifier(A, ("core",), by_region("eu")[1]), Specifier(tags=("x",))),
        Multiplier(Decimal("0.85")), None, 7, 1,
    ),
    Override(UUID(int=2), Period(day("01-02"), None), (Specifier(),), None, True, None, 2),
)  # fmt: skip


SEATS = Subscription(
    UUID(int=20), A, Frequency.QUARTERLY, Collection.ARREARS, Period(day("01-02"), day("06-01")), Decimal("2.5"),
    (QuantityUpdate(day("01-03"), Decimal(4)), QuantityUpdate(day("01-03"), delta=Decimal(-1))),
    Proration(False, IncreaseBilling.BILL_ON_NEXT_COLLECTION_DATE, FeeRounding(FeeRoundingMethod.CEILING, -2)),
    FeePlacement.ON_SCHEDULED_INVOICE, day("01-15"), 3,
)  # fmt: skip
THIRDS = RecurringSchedule(
    day("01-01"), day("04-01"), Frequency.MONTHLY, Decimal("0.5"), Decimal(3), Distribution.DIVIDED_ROUNDED
)
FEES = replace(
    AGREED,
    rates=(replace(entry(1, FREE_THEN_PAID), billing_frequency=Frequency.WEEKLY),),
    subscriptions=(SEATS, replace(SEATS, proration=Proration(), anchor=None, period=Period(day("01-02"), None))),
    scheduled_charges=(
        ScheduledCharge(UUID(int=21), A, fiat("EUR"), THIRDS, 1),
        ScheduledCharge(UUID(int=22), A, fiat("USD"), (ScheduledItem(day("01-02"), Decimal("7.5"), Decimal(2)),), 2),
    ),
    consolidate=True,
    billed=(BilledItem(ItemKey(ItemKind.SUBSCRIPTION, UUID(int=20), day("01-02"), 1), Decimal("2.5")),),
)


@pytest.mark.parametrize(
    "terms",
    [
        AGREED,
        replace(
            AGREED, rates=(), products=(), period=Period(day("01-01"), None), product_order=(A, by_region("eu")[0])
        ),
        replace(AGREED, products=(BY_REGION,)),
        replace(
            AGREED,
            elsewhere=(
                Elsewhere(A, (SpentHour(day("01-02"), "USD", Decimal("1.5")),), (Period(day("01-02"), day("01-03")),)),
            ),
        ),
        FEES,
        replace(AGREED, products=(MEASURED,)),
        replace(AGREED, products=(replace(CALLS, namings=(Naming(day("01-16"), "requests", ("gpu",)),)),)),
        replace(AGREED, products=(REGROUPED, replace(UPLIFT, namings=(Naming(day("01-16"), "fee", (), OF_CUSTOMER),)))),
        replace(AGREED, products=(replace(CALLS, custom_fields=(("owner", "Ann"), ("sku", "T-1"))),)),
        replace(AGREED, products=(replace(CALLS, sql_granularity=SqlGranularity.SERVICE_PERIOD),)),
        replace(AGREED, products=(replace(CALLS, money=MoneyOf(currency_property="currency")),)),
        replace(AGREED, products=(replace(CALLS, money=MoneyOf("EUR")), UPLIFT)),
        replace(AGREED, rates=(entry(1, Percentage(Decimal("1.5"))), entry(2, TieredPercentage(FREE_THEN_PAID.tiers)))),
        replace(AGREED, overrides=OVERRIDES, override_priority=OverridePriority.EXPLICIT),
        replace(
            AGREED,
            overrides=(
                replace(
                    OVERRIDES[0],
                    is_commit_specific=True,
                    target=RateTarget.COMMIT_RATE,
                    specifiers=(Specifier(A, grant_ids=(A,), recurring_ids=(UUID(int=4),)),),
                ),
            ),
            conversions=(("POINTS", Decimal("0.01")), ("TOKENS", Decimal("0.1"))),
            rates=(
                replace(entry(1, Package(Decimal(10), Decimal(2))), unit="TOKENS"),
                replace(
                    entry(2, FREE_THEN_PAID),
                    commit_rate=entry(1, Volume(FREE_THEN_PAID.tiers)).rate,
                    minimum=Decimal(5),
                ),
            ),
            products=(replace(UPLIFT, composite=Composite((), ("core",), exclude_free_usage=True)),),
        ),
        replace(AGREED, usage_filters=(UsageFilter(day("01-02"), "region", ("eu", "us")),)),
        replace(
            AGREED,
            schedule=StatementSchedule(
                Frequency.QUARTERLY, StatementDay.CUSTOM_DATE, anchor=day("01-31T05:00:00"), generate_from=day("02-03")
            ),
        ),
    ],
)
def test_the_way_back_gives_equal_terms(terms: Terms) -> None:
    assert terms_from_json(json.loads(json.dumps(terms_to_json(terms)))) == terms


def test_what_an_earlier_release_froze_has_no_conversion_no_versions_no_overrides_and_no_filters() -> None:
    form = terms_to_json(AGREED)
    del form["overrides"], form["override_priority"], form["usage_filters"], form["conversions"]
    for rate in form["rates"]:
        for later in ("commit_rate", "unit", "minimum"):
            rate.pop(later, None)
    for product in form["products"]:
        for later in ("sql_granularity", "conversion", "rounding", "versions", "money", "composite"):
            product.pop(later, None)
    assert terms_from_json(form) == AGREED


def test_what_an_earlier_release_froze_says_what_is_not_there() -> None:
    form = terms_to_json(AGREED)
    for product in form["products"]:
        lists = ("pricing_group_key", "presentation_group_key", "tags", "versions", "namings")
        nothing = {key: [] for key in lists} | dict.fromkeys(("metric", "conversion", "rounding", "money", "composite"))
        product |= {"custom_fields": {}} | nothing | dict(product)
    for rate in form["rates"]:
        nothing = dict.fromkeys(("commit_rate", "unit", "minimum", "billing_frequency"))
        rate |= {"group_values": {}} | nothing | dict(rate)
    assert form != terms_to_json(AGREED)
    assert terms_from_json(form) == AGREED


def test_what_says_nothing_is_not_kept() -> None:
    [plain] = terms_to_json(replace(AGREED, products=(Product(A, "calls", ProductType.USAGE, metric_id=A),)))[
        "products"
    ]
    assert plain == {"id": str(A), "name": "calls", "type": "USAGE", "metric": str(A), "sql_granularity": "HOUR"}


def test_versions_frozen_by_an_earlier_release_have_the_keys_of_their_product() -> None:
    split = replace(
        BY_REGION, sql_granularity=SqlGranularity.SERVICE_PERIOD, versions=(ProductVersion(day("01-16"), A),)
    )
    form = terms_to_json(replace(AGREED, products=(split,)))
    for name in ("pricing_group_key", "presentation_group_key", "sql_granularity"):
        del form["products"][0]["versions"][0][name]
    [read] = terms_from_json(form).products
    assert read.versions == (
        ProductVersion(day("01-16"), A, None, None, ("region",), ("team",), SqlGranularity.SERVICE_PERIOD),
    )
