"""Exact decimals: how they are read, written, divided, rounded and shared.

Owns the decimal context, the closed grammar of numbers and the units in which amounts are counted. Which amounts are
rounded, and when, is left to `invoice`. One module does all of it, so that no other has to think about precision.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.core.currencies import MINOR_DIGITS

ZERO = Decimal(0)
ONE = Decimal(1)

MAX_DIGITS = 38
DIVISION_PLACES = 12

# A product of two numbers of the grammar has at most 76 digits before and 76 after the point, so 200 digits hold any
# sum of fewer than 10^40 of them. Nothing is ever cut silently: what does not fit raises.
_PRECISION = 200
_TRAPS = [
    decimal.Inexact,
    decimal.FloatOperation,
    decimal.InvalidOperation,
    decimal.Overflow,
    decimal.DivisionByZero,
]
# Entering works on a copy, so this one never changes.
_EXACT = decimal.Context(prec=_PRECISION, traps=_TRAPS)
_ROUNDING_TRAPS = [trap for trap in _TRAPS if trap is not decimal.Inexact]

_DECIMAL = re.compile(r"-?[0-9]{1,60}(?:\.[0-9]{1,60})?")
_ACCEPTED = (
    f"write an optional minus, digits and an optional fraction such as -12.50, with at most {MAX_DIGITS} digits that "
    f"count and {MAX_DIGITS} decimal places"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """What an amount is counted in: a currency, or a pricing unit of the seller. `places` is its smallest part."""

    code: str
    places: int
    is_fiat: bool


@dataclass(frozen=True, slots=True)
class MoneyOf:
    """What makes a quantity money: its currency, or the property that names it. Exactly one is given."""

    currency: str | None = None
    currency_property: str | None = None

    def __post_init__(self) -> None:
        if (self.currency is None) is (self.currency_property is None):
            raise ValueError("money has a currency or a property that names it, not both")


def exact() -> AbstractContextManager[decimal.Context]:
    """Arithmetic in which a result that would lose a digit raises `decimal.Inexact` instead.

    Mixing with float raises `decimal.FloatOperation`. Division is not for this context; use `divide`.
    """
    return decimal.localcontext(_EXACT)


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """The quotient, rounded half up (ties away from zero) at 12 places: the one division of the engine.

    ZeroDivisionError for a denominator of zero.
    """
    # Integers, because rounding a rounded quotient could turn a number just below a tie into one above it.
    quotient = Fraction(numerator) / Fraction(denominator)
    scaled = abs(quotient) * 10**DIVISION_PLACES
    rounded = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    with exact():
        return Decimal(rounded if quotient >= 0 else -rounded).scaleb(-DIVISION_PLACES)


def parse_decimal(text: str) -> Decimal:
    """The number that a decimal string names: ASCII, optional minus, digits, optional fraction; -0 is 0.

    ValueError for everything else (exponents, blanks, underscores, other scripts' digits, NaN, too many digits) and
    says what is accepted. Trailing zeros are dropped, so equal numbers are equal in every respect.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text[:60]!r} is not a decimal number; {_ACCEPTED}")
    return bounded(Decimal(text))


def bounded(value: Decimal) -> Decimal:
    """`value` in plain form (no exponent above zero, no trailing zeros, no -0) if the grammar has room for it.

    ValueError for what is not finite, or has too many digits before, after or around the point.
    """
    if not value.is_finite() or value.adjusted() >= MAX_DIGITS or len(value.as_tuple().digits) > _PRECISION:
        raise ValueError(f"{str(value)[:60]!r} is not a number of acceptable size; {_ACCEPTED}")
    _, digits, exponent = value.as_tuple()
    if value and len(digits) <= MAX_DIGITS and (exponent == 0 or (-MAX_DIGITS <= int(exponent) < 0 and digits[-1])):
        return value  # plain and shortest already, as nearly every number of an event is
    with exact():
        shortest = value.normalize()
        exponent = shortest.as_tuple().exponent
        assert isinstance(exponent, int), "a finite number has an exponent"
        if len(shortest.as_tuple().digits) > MAX_DIGITS or exponent < -MAX_DIGITS:
            raise ValueError(f"{str(value)[:60]!r} has too many digits; {_ACCEPTED}")
        return ZERO if shortest == 0 else shortest.quantize(ONE) if exponent > 0 else shortest


def canonical(value: Decimal) -> str:
    """The one text of a number: no exponent, no trailing zeros, no minus on zero."""
    assert value.is_finite(), "only finite numbers have a text"
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def fiat(code: str) -> Unit:
    """The unit of an ISO 4217 currency code, with its minor digits. ValueError for a code that is not current."""
    places = MINOR_DIGITS.get(code)
    if places is None:
        raise ValueError(f"{code[:20]!r} is not a current ISO 4217 currency code such as USD, EUR or JPY")
    return Unit(code=code, places=places, is_fiat=True)


def round_half_up(amount: Decimal, *, places: int) -> Decimal:
    """`amount` at so many decimal places; ties go away from zero, for negative amounts too."""
    return _quantize(amount, places=places, rounding=decimal.ROUND_HALF_UP)


def round_up(amount: Decimal, *, places: int) -> Decimal:
    """The next number of so many places that is not nearer to zero."""
    return _quantize(amount, places=places, rounding=decimal.ROUND_UP)


def round_down(amount: Decimal, *, places: int) -> Decimal:
    """The next number of so many places that is not further from zero."""
    return _quantize(amount, places=places, rounding=decimal.ROUND_DOWN)


def round_total(amount: Decimal, unit: Unit) -> Decimal:
    """The total of an invoice at the smallest part of its unit; called once for each invoice, at finalization."""
    return round_half_up(amount, places=unit.places)


def floor_to(amount: Decimal, *, places: int) -> Decimal:
    """The largest number of so many places that is not above `amount`; for marketplaces, which take whole cents."""
    return _quantize(amount, places=places, rounding=decimal.ROUND_FLOOR)


def ceil_to(amount: Decimal, *, places: int) -> Decimal:
    """The smallest number of so many places that is not below `amount`."""
    return _quantize(amount, places=places, rounding=decimal.ROUND_CEILING)


def allocate(total: Decimal, weights: Sequence[Decimal], *, places: int) -> tuple[Decimal, ...]:
    """Share `total` over `weights` by largest remainder; the shares have so many places and add up to `total`.

    When `total` is the rounded sum of the weights, each share is its weight rounded down or up, so it lies within one
    smallest part of it, whatever the signs. Otherwise the difference is spread in proportion to the weights' sizes,
    which for weights of one sign is the usual proportional share. Ties go to the earlier position.
    ValueError when `total` has more places, or when there is something to share and nobody to take it.
    """
    goal = Fraction(total) * 10**places
    if goal.denominator != 1:
        raise ValueError(f"{canonical(total)} has more than {places} decimal places and cannot be shared exactly")
    if not weights:
        if goal != 0:
            raise ValueError(f"{canonical(total)} cannot be shared over nothing")
        return ()
    # A negative total is shared as its opposite, so that the credit of an invoice mirrors it share by share.
    sign = -1 if next((number for number in (total, *weights) if number), ONE) < 0 else 1
    parts = _largest_remainders(sign * int(goal), [sign * Fraction(weight) * 10**places for weight in weights])
    with exact():
        shares = tuple(Decimal(sign * part).scaleb(-places) for part in parts)
        assert sum(shares, ZERO) == total, "shares add up to what was shared"
    return shares


def _largest_remainders(goal: int, weights: list[Fraction]) -> list[int]:
    shares = _exact_shares(goal, weights)
    parts = [share.numerator // share.denominator for share in shares]
    missing = goal - sum(parts)
    assert 0 <= missing <= len(parts), "rounding down loses less than one part for each share"
    for i in sorted(range(len(parts)), key=lambda i: (parts[i] - shares[i], i))[:missing]:
        parts[i] += 1
    return parts


def _exact_shares(goal: int, weights: list[Fraction]) -> list[Fraction]:
    """What each weight would get if parts could be split, in smallest parts."""
    missing = goal - sum(weight.numerator // weight.denominator for weight in weights)
    if 0 <= missing <= sum(weight.denominator != 1 for weight in weights):
        return weights
    sizes = [abs(weight) for weight in weights]
    if not any(sizes):
        sizes = [Fraction(1)] * len(weights)
    difference, whole = goal - sum(weights), sum(sizes)
    return [weight + difference * size / whole for weight, size in zip(weights, sizes, strict=True)]


def _quantize(amount: Decimal, *, places: int, rounding: str) -> Decimal:
    context = decimal.Context(prec=_PRECISION, traps=_ROUNDING_TRAPS)
    rounded = amount.quantize(context.scaleb(ONE, -places), rounding=rounding, context=context)
    return context.add(rounded, ZERO)  # -0.00 becomes 0.00
