"""What is done to a measured quantity before it is priced: conversion and rounding.

Owns their values, their arithmetic and their JSON form. When which of them applies is left to `quantities`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.core.money import canonical, divide, exact, parse_decimal, round_down, round_half_up, round_up


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


def converted(quantity: Decimal, conversion: Conversion | None) -> Decimal:
    """A measured quantity as it is priced; a division keeps 12 places."""
    if conversion is None:
        return quantity
    match conversion.operation:
        case ConversionOperation.MULTIPLY:
            with exact():
                return quantity * conversion.factor
        case ConversionOperation.DIVIDE:  # pragma: no branch - the type checker proves that no case is missing
            return divide(quantity, conversion.factor)


def rounded(quantity: Decimal, rounding: Rounding | None) -> Decimal:
    """A quantity after its rounding."""
    if rounding is None:
        return quantity
    match rounding.method:
        case RoundingMethod.ROUND_UP:
            return round_up(quantity, places=rounding.places)
        case RoundingMethod.ROUND_DOWN:
            return round_down(quantity, places=rounding.places)
        case RoundingMethod.ROUND_HALF_UP:  # pragma: no branch - as above
            return round_half_up(quantity, places=rounding.places)


def conversion_to_json(conversion: Conversion) -> dict[str, object]:
    """The stored form of a conversion; decimals are canonical text."""
    return {"operation": conversion.operation, "factor": canonical(conversion.factor)}


def conversion_from_json(form: Mapping[str, object]) -> Conversion:
    """The conversion of a stored form. ValueError for one that is none."""
    return Conversion(ConversionOperation(form["operation"]), parse_decimal(str(form["factor"])))


def rounding_to_json(rounding: Rounding) -> dict[str, object]:
    """The stored form of a quantity's rounding."""
    return {"method": rounding.method, "places": rounding.places}


def rounding_from_json(form: Mapping[str, object]) -> Rounding:
    """The rounding of a stored form. ValueError for one that is none."""
    return Rounding(RoundingMethod(form["method"]), int(str(form["places"])))
