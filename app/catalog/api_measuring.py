"""How the measuring of products is shown and sent: conversions, roundings and scheduled versions.

Owns their GraphQL types and inputs, and the way to core values; a value that the core refuses becomes an error.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import strawberry

from app.catalog.api_composites import CompositeInput
from app.checks import Path
from app.core import conversions, terms
from app.errors import ErrorCode, InvalidInput
from app.graphql.values import described_enum

ConversionOperation = described_enum(
    conversions.ConversionOperation,
    description="What is done to a measured quantity before it is priced.",
    sentences={
        conversions.ConversionOperation.MULTIPLY: "It is multiplied by the factor.",
        conversions.ConversionOperation.DIVIDE: "It is divided by the factor, to 12 decimal places.",
    },
)
RoundingMethod = described_enum(
    conversions.RoundingMethod,
    name="QuantityRoundingMethod",
    description="Where a quantity between two steps goes; a negative one mirrors a positive one.",
    sentences={
        conversions.RoundingMethod.ROUND_UP: "Away from zero.",
        conversions.RoundingMethod.ROUND_DOWN: "Towards zero.",
        conversions.RoundingMethod.ROUND_HALF_UP: "To the nearest step; from halfway, away from zero.",
    },
)


SqlBreakdownGranularity = described_enum(
    terms.SqlGranularity,
    name="SqlBreakdownGranularity",
    description="How the quantity of an SQL metric is spread over a statement.",
    sentences={
        terms.SqlGranularity.HOUR: "By what each hour changes, so that prices and balances are those of the hour.",
        terms.SqlGranularity.SERVICE_PERIOD: "Whole in the statement's last hour, at the prices of that hour.",
    },
)


@strawberry.type(description="Turns what is measured into what is priced, such as megabytes into gigabytes.")
class QuantityConversion:
    operation: ConversionOperation = strawberry.field(description="What is done.")  # type: ignore[valid-type]
    factor: Decimal = strawberry.field(description="By which number, above 0.")


@strawberry.type(description="Rounds the quantity of a statement; hours carry the differences of what is rounded.")
class QuantityRounding:
    method: RoundingMethod = strawberry.field(description="Where it goes.")  # type: ignore[valid-type]
    decimal_places: int = strawberry.field(description="To how many decimal places.")


@strawberry.input(description="Turns what is measured into what is priced, such as megabytes into gigabytes.")
class QuantityConversionInput:
    operation: ConversionOperation = strawberry.field(description="What to do.")  # type: ignore[valid-type]
    factor: Decimal = strawberry.field(description="By which number, above 0.")


@strawberry.input(description="Rounds the quantity of a statement, never that of an event.")
class QuantityRoundingInput:
    method: RoundingMethod = strawberry.field(description="Where it goes.")  # type: ignore[valid-type]
    decimal_places: int = strawberry.field(description="To how many decimal places, 0 to 12.")


@strawberry.input(description="A change of a product; what is left out stays as it is then.")
class ProductVersionInput:
    starting_at: datetime = strawberry.field(
        description="From when on, a full hour; in the past it reaches drafts, never final invoices."
    )
    name: str | None = strawberry.field(
        default=None, description="Its name from then on, as lines that begin then show it; 1 to 200 characters."
    )
    tags: list[str] | None = strawberry.field(
        default=None, description="All its labels from then on, at most 50; they decide overrides and composites."
    )
    metric_id: strawberry.ID | None = strawberry.field(
        default=None, description="The metric from then on; the quantity goes on from where the other one was."
    )
    quantity_conversion: QuantityConversionInput | None = strawberry.field(
        default=None, description="The conversion from then on."
    )
    quantity_rounding: QuantityRoundingInput | None = strawberry.field(
        default=None, description="The rounding from then on."
    )
    pricing_group_key: list[str] | None = strawberry.field(
        default=None,
        description="Properties whose values decide the price from then on; empty: none. Tiers and rounding of other "
        "values begin anew. The metric must offer them with the presentation group key in one group key.",
    )
    presentation_group_key: list[str] | None = strawberry.field(
        default=None, description="Properties by which lines are split from then on; empty: none."
    )
    sql_breakdown_granularity: SqlBreakdownGranularity | None = strawberry.field(  # type: ignore[valid-type]
        default=None,
        description="How an SQL metric is spread, for whole statements: what holds in the last hour counts.",
    )
    composite: CompositeInput | None = strawberry.field(
        default=None, description="What a composite product is a percentage of from then on, whole."
    )


def conversion_shown(conversion: conversions.Conversion | None) -> QuantityConversion | None:
    """A conversion as the API shows it."""
    return None if conversion is None else QuantityConversion(operation=conversion.operation, factor=conversion.factor)


def rounding_shown(rounding: conversions.Rounding | None) -> QuantityRounding | None:
    """A rounding as the API shows it."""
    return None if rounding is None else QuantityRounding(method=rounding.method, decimal_places=rounding.places)


def conversion_of(found: QuantityConversionInput | None, *, path: Path) -> conversions.Conversion | None:
    """The conversion as the core reads it."""
    if found is None:
        return None
    try:
        return conversions.Conversion(found.operation, found.factor)
    except ValueError as error:
        raise InvalidInput(ErrorCode.INVALID, f"The conversion is not acceptable: {error}.", path=path) from error


def rounding_of(found: QuantityRoundingInput | None, *, path: Path) -> conversions.Rounding | None:
    """The rounding as the core reads it."""
    if found is None:
        return None
    try:
        return conversions.Rounding(found.method, found.decimal_places)
    except ValueError as error:
        raise InvalidInput(ErrorCode.INVALID, f"The rounding is not acceptable: {error}.", path=path) from error
