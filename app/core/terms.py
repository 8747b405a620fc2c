"""The inputs of a calculation: metrics, products, rates and the terms of one contract.

Owns frozen values shaped for computing; `contracts/terms.py` makes them from rows. Keeping rows out of the engine
makes it fast, and lets a preview or a simulation feed it terms that nobody has stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

from app.core.money import Unit
from app.core.period import Period, StatementSchedule
from app.core.rates import Rate

Group = tuple[tuple[str, str | None], ...]
"""Property names with their values, sorted by name; None where an event lacks the property."""


class Aggregation(StrEnum):
    """How the events of a metric become a quantity."""

    COUNT = "COUNT"
    SUM = "SUM"
    MAX = "MAX"
    UNIQUE = "UNIQUE"
    LATEST = "LATEST"

    @property
    def is_additive(self) -> bool:
        """Whether each event adds its own part, whatever came before it in the statement: COUNT and SUM only."""
        return self in (Aggregation.COUNT, Aggregation.SUM)


class ProductType(StrEnum):
    """What a product is and so where its price and its quantity come from."""

    USAGE = "USAGE"


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
    """How raw events become a quantity. `key` is the property that is aggregated; COUNT has none.

    `group_keys` are the compound keys by which usage of the metric may be split.
    """

    id: UUID
    name: str
    aggregation: Aggregation
    key: str | None = None
    event_types_in: tuple[str, ...] = ()
    event_types_not_in: tuple[str, ...] = ()
    filters: tuple[PropertyFilter, ...] = ()
    group_keys: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if (self.key is None) is not (self.aggregation is Aggregation.COUNT):
            raise ValueError(f"{self.aggregation} {'takes no' if self.key else 'needs an'} aggregation key")


class ConversionOperation(StrEnum):
    """What is done to a measured quantity before it is priced."""

    MULTIPLY = "MULTIPLY"
    DIVIDE = "DIVIDE"


@dataclass(frozen=True, slots=True)
class Conversion:
    """Turns what is measured into what is priced, such as megabytes into gigabytes; `factor` is above 0."""

    operation: ConversionOperation
    factor: Decimal

    def __post_init__(self) -> None:
        if not (self.factor.is_finite() and self.factor > 0):
            raise ValueError(f"a conversion's factor must be above 0, not {self.factor}")


class RoundingMethod(StrEnum):
    """Where a quantity between two steps goes; a negative one mirrors a positive one (semantics 2.3)."""

    ROUND_UP = "ROUND_UP"
    ROUND_DOWN = "ROUND_DOWN"
    ROUND_HALF_UP = "ROUND_HALF_UP"


@dataclass(frozen=True, slots=True)
class Rounding:
    """Rounds the quantity of a statement, never that of an event; `places` are decimal places, 0 or more."""

    method: RoundingMethod
    places: int

    def __post_init__(self) -> None:
        if self.places < 0:
            raise ValueError(f"decimal places are 0 or more, not {self.places}")


@dataclass(frozen=True, slots=True)
class ProductVersion:
    """How a product is measured from an instant on, whole: what a change did not name is as it was before."""

    starting_at: datetime
    metric_id: UUID
    conversion: Conversion | None = None
    rounding: Rounding | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold. Its quantity and its tiers are counted for each combination of both group keys.

    `versions` are later changes of how it is measured, by start; what holds before the first stands here.
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

    def __post_init__(self) -> None:
        if any(later.starting_at <= earlier.starting_at for earlier, later in pairwise(self.versions)):
            raise ValueError("the versions of a product are sorted by start, and no two begin at once")


@dataclass(frozen=True, slots=True)
class RateEntry:
    """One dated price of a product on a rate card, for one combination of pricing group values or, empty, for all.

    `added` is its place in the order of addition: the later of two entries wins where both apply.
    """

    id: UUID
    product_id: UUID
    rate: Rate
    period: Period
    entitled: bool
    group_values: Group
    added: int

    def __post_init__(self) -> None:
        if self.group_values != tuple(sorted(self.group_values, key=lambda pair: pair[0])):
            raise ValueError("group values are sorted by name")


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything about one contract that decides what its usage costs, in one unit.

    `products` are those of the rate card and `rates` all its entries, in any order; `product_order` is the card's
    order of lines and need not name every product. An invoice becomes final `grace` after its period.
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
