"""The inputs of a calculation: metrics, products, rates and the terms of one contract.

Owns frozen values shaped for computing; `contracts/terms.py` makes them from rows. Keeping rows out of the engine
makes it fast, and lets a preview or a simulation feed it terms that nobody has stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from types import NoneType
from uuid import UUID

from app.core.conversions import Conversion, Rounding
from app.core.elsewhere import Elsewhere
from app.core.fees import BilledItem, ScheduledCharge, Subscription
from app.core.money import MoneyOf, Unit
from app.core.outcomes import LatestState, Outcome, Sessions
from app.core.period import Frequency, Period, StatementSchedule
from app.core.rates import PercentagePerEvent, Rate
from app.core.sql_metric import Query

Group = tuple[tuple[str, str | None], ...]
"""Property names with their values, sorted by name; None where an event lacks the property."""


class Aggregation(StrEnum):
    """How the events of a metric become a quantity."""

    COUNT = "COUNT"
    SUM = "SUM"
    MAX = "MAX"
    UNIQUE = "UNIQUE"
    LATEST = "LATEST"
    SESSION_COUNT = "SESSION_COUNT"
    COUNT_LATEST = "COUNT_LATEST"
    SQL = "SQL"

    @property
    def is_additive(self) -> bool:
        """Whether each event adds its own part, whatever came before it in the statement: COUNT and SUM only."""
        return self in (Aggregation.COUNT, Aggregation.SUM)

    @property
    def is_outcome(self) -> bool:
        """Whether it counts outcomes, which looks back over the start of a statement."""
        return self in (Aggregation.SESSION_COUNT, Aggregation.COUNT_LATEST)

    @property
    def has_key(self) -> bool:
        """Whether one property is aggregated."""
        return self in (Aggregation.SUM, Aggregation.MAX, Aggregation.UNIQUE, Aggregation.LATEST)


class SqlGranularity(StrEnum):
    """How the quantity of an SQL metric is spread over a statement: hour by hour, or whole in the last hour."""

    HOUR = "HOUR"
    SERVICE_PERIOD = "SERVICE_PERIOD"


class ProductType(StrEnum):
    """What a product is and so where its price and its quantity come from."""

    USAGE = "USAGE"
    COMPOSITE = "COMPOSITE"
    SUBSCRIPTION = "SUBSCRIPTION"
    FIXED = "FIXED"
    PRO_SERVICE = "PRO_SERVICE"


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """A condition on one property of an event; every given part must hold. An empty tuple means not given.

    `exists` True asks for the property, False for its absence, None leaves it open. `in_values` asks for it too;
    `not_in_values` lets an event without the property pass.
    """

    name: str
    exists: bool | None = None
    in_values: tuple[str, ...] = ()
    not_in_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """How raw events become a quantity. `key` is the property that is aggregated, where one is.

    `group_keys` are the compound keys by which usage of the metric may be split. SESSION_COUNT and COUNT_LATEST say in
    `outcome` what they count. An SQL metric is its `query` alone.
    """

    id: UUID
    name: str
    aggregation: Aggregation
    key: str | None = None
    event_types_in: tuple[str, ...] = ()
    event_types_not_in: tuple[str, ...] = ()
    filters: tuple[PropertyFilter, ...] = ()
    group_keys: tuple[tuple[str, ...], ...] = ()
    money: MoneyOf | None = None
    outcome: Outcome | None = None
    query: Query | None = None

    def __post_init__(self) -> None:
        if (self.query is None) is (self.aggregation is Aggregation.SQL):
            raise ValueError("an SQL metric has a query, and no other has")
        if (self.key is None) is self.aggregation.has_key:
            raise ValueError(f"{self.aggregation} {'takes no' if self.key else 'needs an'} aggregation key")
        counted = {Aggregation.SESSION_COUNT: Sessions, Aggregation.COUNT_LATEST: LatestState}
        if type(self.outcome) is not counted.get(self.aggregation, NoneType):
            raise ValueError(f"{self.aggregation} does not count {self.outcome}")


@dataclass(frozen=True, slots=True)
class ProductVersion:
    """How a product is measured and split from an instant on, whole: what a change did not name is as it was before."""

    starting_at: datetime
    metric_id: UUID
    conversion: Conversion | None = None
    rounding: Rounding | None = None
    pricing_group_key: tuple[str, ...] = ()
    presentation_group_key: tuple[str, ...] = ()
    sql_granularity: SqlGranularity = SqlGranularity.HOUR


class CompositeScope(StrEnum):
    """Whose spend a composite product is a percentage of: that on its own contract, or that of the whole customer."""

    CONTRACT = "CONTRACT"
    CUSTOMER = "CUSTOMER"


@dataclass(frozen=True, slots=True)
class Composite:
    """What a composite product is a percentage of: spend on these USAGE products, and on those with any of the tags.

    With `exclude_free_usage`, products without any spend do not count, so that a minimum needs some spend.
    """

    product_ids: tuple[UUID, ...] = ()
    tags: tuple[str, ...] = ()
    exclude_free_usage: bool = False
    scope: CompositeScope = CompositeScope.CONTRACT

    def __post_init__(self) -> None:
        if not self.product_ids and not self.tags:
            raise ValueError("a composite product names products or tags")


@dataclass(frozen=True, slots=True)
class Naming:
    """What a product is called, its tags, and what a composite one is a percentage of, from an instant on, whole."""

    starting_at: datetime
    name: str
    tags: tuple[str, ...]
    composite: Composite | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold. Its quantity and its tiers are counted for each combination of both group keys.

    `versions` are later changes of how it is measured and split, `namings` of its name, tags and composite, by start;
    what holds before the first stands here. `money` is that of its metric. Only USAGE has a metric: the quantity of
    COMPOSITE is the spend on others, that of others stands on the contract. `custom_fields` decide nothing and are shown
    with lines, sorted by key. `per_event` are the prices per event that terms have for it; the terms fill them in.
    """

    id: UUID
    name: str
    type: ProductType
    metric_id: UUID | None
    pricing_group_key: tuple[str, ...] = ()
    presentation_group_key: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    conversion: Conversion | None = None
    rounding: Rounding | None = None
    versions: tuple[ProductVersion, ...] = ()
    money: MoneyOf | None = None
    composite: Composite | None = None
    custom_fields: tuple[tuple[str, str], ...] = ()
    namings: tuple[Naming, ...] = ()
    sql_granularity: SqlGranularity = SqlGranularity.HOUR
    per_event: tuple[PercentagePerEvent, ...] = ()

    def __post_init__(self) -> None:
        for changes in (self.versions, self.namings):
            if any(later.starting_at <= earlier.starting_at for earlier, later in pairwise(changes)):
                raise ValueError("the versions of a product are sorted by start, and no two begin at once")

    def at(self, instant: datetime) -> Product:
        """The product with the name, tags, composite and group keys that it has at an instant."""
        if not self.versions and not self.namings:
            return self
        then = self
        version = next((one for one in reversed(self.versions) if one.starting_at <= instant), None)
        if version is not None:
            keys = (version.pricing_group_key, version.presentation_group_key)
            then = replace(then, pricing_group_key=keys[0], presentation_group_key=keys[1])
        found = next((one for one in reversed(self.namings) if one.starting_at <= instant), None)
        if found is not None:
            composite = found.composite or self.composite
            then = replace(then, name=found.name, tags=found.tags, composite=composite)
        return then


@dataclass(frozen=True, slots=True)
class RateEntry:
    """One dated price of a product on a rate card, for one combination of pricing group values or, empty, for all.

    `added` is its place in the order of addition: the later of two entries wins where both apply. `commit_rate` prices
    what draws on a balance whose rate type asks for it. `unit` is a custom pricing unit of the card, None its currency.
    `minimum` is what a composite product costs at least in a statement. The price of a SUBSCRIPTION product is that of
    one period of `billing_frequency`; others have none.
    """

    id: UUID
    product_id: UUID
    rate: Rate
    period: Period
    entitled: bool
    group_values: Group
    added: int
    commit_rate: Rate | None = None
    unit: str | None = None
    minimum: Decimal | None = None
    billing_frequency: Frequency | None = None

    def __post_init__(self) -> None:
        if self.group_values != tuple(sorted(self.group_values, key=lambda pair: pair[0])):
            raise ValueError("group values are sorted by name")


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Multiplies the list price, whatever it is or becomes."""

    factor: Decimal

    def __post_init__(self) -> None:
        _require_factor(self.factor)


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Another price instead of the list price, which it no longer follows."""

    rate: Rate


@dataclass(frozen=True, slots=True)
class MultiplierTier:
    """A band of the quantity: `size` is its width, None for a band without end."""

    size: Decimal | None
    factor: Decimal

    def __post_init__(self) -> None:
        _require_factor(self.factor)
        if self.size is not None and not (self.size.is_finite() and self.size > 0):
            raise ValueError(f"a tier's size must be above 0, not {self.size}")


@dataclass(frozen=True, slots=True)
class TieredMultiplier:
    """Multiplies the list price by the band of the statement's quantity; beyond the last band it is the list price."""

    tiers: tuple[MultiplierTier, ...]

    def __post_init__(self) -> None:
        if not self.tiers:
            raise ValueError("a tiered multiplier needs at least one tier")
        if any(tier.size is None for tier in self.tiers[:-1]):
            raise ValueError("only the last tier may be without size")


PriceChange = Multiplier | Overwrite | TieredMultiplier


@dataclass(frozen=True, slots=True)
class Specifier:
    """What an override or a balance reaches; every given part must hold. `tags` must all be on the product.

    Pricing and presentation values match usage that has them among its own. `billing_frequency` is that of a rate.
    `grant_ids` and `recurring_ids` belong to commit-specific overrides: usage drawn from any of these balances.
    """

    product_id: UUID | None = None
    tags: tuple[str, ...] = ()
    pricing: Group = ()
    presentation: Group = ()
    billing_frequency: Frequency | None = None
    grant_ids: tuple[UUID, ...] = ()
    recurring_ids: tuple[UUID, ...] = ()


class RateTarget(StrEnum):
    """Which price of a product is meant: the list price, or the one for usage that draws on a commit."""

    LIST_RATE = "LIST_RATE"
    COMMIT_RATE = "COMMIT_RATE"


class OverridePriority(StrEnum):
    """Which of several multipliers that reach the same usage counts; they never stack (semantics 4.5)."""

    LOWEST_MULTIPLIER = "LOWEST_MULTIPLIER"
    EXPLICIT = "EXPLICIT"


@dataclass(frozen=True, slots=True)
class Override:
    """A contract's own change of list prices, or only of what it is entitled to.

    It reaches what any of its specifiers reaches. `added` is its place in the order of addition. A commit-specific one
    prices only what is drawn from a balance, and changes the price that is its `target`.
    """

    id: UUID
    period: Period
    specifiers: tuple[Specifier, ...]
    change: PriceChange | None
    entitled: bool | None
    priority: int | None
    added: int
    is_commit_specific: bool = False
    target: RateTarget = RateTarget.LIST_RATE


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """From `starting_at` on, a contract takes only events whose property `key` has one of the `values`."""

    starting_at: datetime
    key: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a usage filter names at least one value")


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything about one contract that decides what its usage costs, in one unit.

    `products` are those of the rate card and of the contract's charges, and `rates` all entries of the card, in any
    order; `product_order` is the card's order of lines and need not name every product. An invoice becomes final `grace`
    after its period. `usage_filters` are sorted by start, no two at one instant. `conversions` are what one of each custom
    pricing unit is worth in `unit`, by code. With `consolidate`, charges go on the usage statement that ends on their day.
    `billed` is what final invoices carry of fees and charges, so that nothing is billed twice. `elsewhere` is what other
    contracts of the customer add to composite products, for the statement that is rated.
    """

    contract_id: UUID
    customer_id: UUID
    unit: Unit
    period: Period
    schedule: StatementSchedule
    grace: timedelta
    products: tuple[Product, ...]
    rates: tuple[RateEntry, ...]
    product_order: tuple[UUID, ...] = ()
    overrides: tuple[Override, ...] = ()
    override_priority: OverridePriority = OverridePriority.LOWEST_MULTIPLIER
    usage_filters: tuple[UsageFilter, ...] = ()
    conversions: tuple[tuple[str, Decimal], ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    scheduled_charges: tuple[ScheduledCharge, ...] = ()
    consolidate: bool = False
    billed: tuple[BilledItem, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()

    def __post_init__(self) -> None:
        prices: list[tuple[UUID | None, Rate]] = [(entry.product_id, entry.rate) for entry in self.rates]
        for one in self.overrides:
            if isinstance(one.change, Overwrite):
                prices += [(specifier.product_id, one.change.rate) for specifier in one.specifiers]
        found = dict.fromkeys((key, rate) for key, rate in prices if isinstance(rate, PercentagePerEvent))
        if found or any(product.per_event for product in self.products):
            priced = ((one, tuple(rate for key, rate in found if key in (None, one.id))) for one in self.products)
            object.__setattr__(self, "products", tuple(replace(one, per_event=rates) for one, rates in priced))


def _require_factor(factor: Decimal) -> None:
    if not (factor.is_finite() and factor >= 0):
        raise ValueError(f"a multiplier must be 0 or more, not {factor}")
