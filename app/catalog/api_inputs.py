"""What callers send to make metrics and products.

Owns the GraphQL inputs and their way to core values; a value that the core refuses becomes an error with its path.
"""

from __future__ import annotations

from collections.abc import Sequence

import strawberry

from app.catalog.api_composites import CompositeInput
from app.catalog.api_measuring import QuantityConversionInput, QuantityRoundingInput, SqlBreakdownGranularity
from app.catalog.api_types import Aggregation, ProductType
from app.catalog.outcomes import NewOutcome
from app.core.terms import MoneyOf, PropertyFilter, SqlGranularity
from app.core.terms import ProductType as CoreProductType
from app.errors import ErrorCode, InvalidInput
from app.graphql.scalars import CurrencyCode
from app.graphql.values import KeyValueInput

SAFE_TO_REPEAT = "Makes the create safe to repeat: a second use is refused and names the first object."


@strawberry.input(description="A condition on one property of an event; every given part must hold.")
class PropertyFilterInput:
    property: str = strawberry.field(description="Name of the property.")
    exists: bool | None = strawberry.field(default=None, description="Whether it must be there; null leaves it open.")
    in_: list[str] | None = strawberry.field(default=None, name="in", description="Values of which it must have one.")
    not_in: list[str] | None = strawberry.field(default=None, description="Values of which it must have none.")


@strawberry.input(one_of=True, description="What makes the quantity of a metric money: give exactly one.")
class MeasuredMoneyInput:
    currency: CurrencyCode | None = strawberry.field(
        default=strawberry.UNSET, description="Every value is of this currency."
    )
    currency_property: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The property that names the currency of a value; a product prices by it, and money of another "
        "currency than the card's is reported as unrated.",
    )


@strawberry.input(description="What SESSION_COUNT counts.")
class SessionInput:
    key: list[str] = strawberry.field(
        description="The properties that together tell participants apart; an event that lacks one opens no session."
    )
    window: str = strawberry.field(
        default="PT24H",
        description="How long a session lasts from its first event, as ISO 8601 writes it: PT1M to P31D.",
    )


@strawberry.input(description="What COUNT_LATEST counts.")
class LatestStateInput:
    entity_property: str = strawberry.field(description="The property that names a case.")
    state_property: str = strawberry.field(description="The property that holds its state.")
    counted_states: list[str] = strawberry.field(description="The states that count, at least one.")


@strawberry.input(description="A new billable metric. Its definition never changes.")
class BillableMetricCreateInput:
    name: str = strawberry.field(description="What people call it, 1 to 200 characters.")
    aggregation: Aggregation | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="How events become a quantity; needed unless sql is given, which implies SQL."
    )
    sql: str | None = strawberry.field(
        default=None,
        description="A query instead of all the rest but the name: SELECT … FROM events with event_type, timestamp and "
        "properties.<name>, WHERE, GROUP BY and sub-queries in FROM. The column value, or else the first, is the "
        "quantity; by the others usage can be split. It is read and checked, never run as it stands; at most 10,000 "
        "characters.",
    )
    aggregation_key: str | None = strawberry.field(
        default=None,
        description="The property that is read; needed for SUM, MAX, UNIQUE and LATEST, and none for all others.",
    )
    event_types: list[str] | None = strawberry.field(default=None, description="Event types that count; default: all.")
    event_types_not_in: list[str] | None = strawberry.field(
        default=None, description="Event types that do not count; default: none."
    )
    filters: list[PropertyFilterInput] = strawberry.field(
        default_factory=list, description="Conditions on properties; an event must meet all of them."
    )
    group_keys: list[list[str]] = strawberry.field(
        default_factory=list,
        description="Compound keys, each a list of properties, by which its usage may be split. "
        "A product that uses several properties needs one key that holds them all.",
    )
    money: MeasuredMoneyInput | None = strawberry.field(
        default=None,
        description="What makes its quantity money, of which a price can be a percentage; default: it is none.",
    )
    session: SessionInput | None = strawberry.field(
        default=None, description="Needed for SESSION_COUNT, and for no other."
    )
    latest_state: LatestStateInput | None = strawberry.field(
        default=None, description="Needed for COUNT_LATEST, and for no other."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )
    uniqueness_key: str | None = strawberry.field(default=None, description=SAFE_TO_REPEAT)


@strawberry.input(description="A new product.")
class ProductCreateInput:
    name: str = strawberry.field(description="Its name, as invoices show it, 1 to 200 characters.")
    type: ProductType = strawberry.field(  # type: ignore[valid-type]
        default=CoreProductType.USAGE, description="What it is."
    )
    metric_id: strawberry.ID | None = strawberry.field(
        default=None, description="The metric that measures it; needed for USAGE."
    )
    composite: CompositeInput | None = strawberry.field(
        default=None, description="What it is a percentage of; needed for COMPOSITE."
    )
    pricing_group_key: list[str] = strawberry.field(
        default_factory=list, description="Properties whose combination of values decides the price."
    )
    presentation_group_key: list[str] = strawberry.field(
        default_factory=list,
        description="Properties by which lines are split; quantities and tiers are counted for each value.",
    )
    tags: list[str] = strawberry.field(default_factory=list, description="Labels, at most 50.")
    quantity_conversion: QuantityConversionInput | None = strawberry.field(
        default=None, description="How its quantity is converted before it is priced; default: not at all."
    )
    quantity_rounding: QuantityRoundingInput | None = strawberry.field(
        default=None, description="How the quantity of a statement is rounded; default: not at all."
    )
    sql_breakdown_granularity: SqlBreakdownGranularity = strawberry.field(  # type: ignore[valid-type]
        default=SqlGranularity.HOUR, description="How the quantity of an SQL metric is spread over a statement."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )
    uniqueness_key: str | None = strawberry.field(default=None, description=SAFE_TO_REPEAT)


def money_of(found: MeasuredMoneyInput | None) -> MoneyOf | None:
    """What makes a metric's quantity money, as the core reads it."""
    if found is None:
        return None
    return MoneyOf(found.currency or None, found.currency_property or None)


def outcome_of(session: SessionInput | None, latest: LatestStateInput | None) -> NewOutcome | None:
    """What a metric counts, as the catalogue reads it. Error: INVALID for both."""
    if session is not None and latest is not None:
        raise InvalidInput(ErrorCode.INVALID, "Give session or latestState, not both.", path=("input", "latestState"))
    if session is not None:
        return NewOutcome(keys=tuple(session.key), window=session.window)
    if latest is None:
        return None
    return NewOutcome(entity=latest.entity_property, state=latest.state_property, counted=tuple(latest.counted_states))


def property_filters(inputs: Sequence[PropertyFilterInput]) -> list[PropertyFilter]:
    """The conditions as the core reads them; an empty list would match nothing and is refused."""
    for index, found in enumerate(inputs):
        for name, values in (("in", found.in_), ("notIn", found.not_in)):
            if values is not None and not values:
                raise InvalidInput(
                    ErrorCode.INVALID,
                    f"{name} is empty and would match nothing; leave it out instead.",
                    path=("input", "filters", str(index), name),
                )
    return [
        PropertyFilter(found.property, found.exists, tuple(found.in_ or ()), tuple(found.not_in or ()))
        for found in inputs
    ]
