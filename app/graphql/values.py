"""Small values that every slice's API shares: money, intervals, key-value pairs, described enums.

Owns their GraphQL shape only; what they mean is settled in `app.core`. Amounts are exact decimals in the major unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, TypeVar

import strawberry
from babel.core import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal

from app.core.currencies import MINOR_DIGITS
from app.core.money import canonical, exact, round_half_up
from app.core.period import Frequency
from app.core.terms import Group
from app.errors import ErrorCode, InvalidInput
from app.graphql.scalars import CurrencyCode

E = TypeVar("E", bound=type[Enum])


@strawberry.type(description="An exact amount of one currency or pricing unit, in its major unit (12.50 USD).")
class Money:
    amount: Decimal = strawberry.field(description="The exact amount, in the major unit.")
    currency: CurrencyCode = strawberry.field(description="Currency or pricing unit of the amount.")

    @strawberry.field(
        description="The amount for people to read; currencies are rounded half up to their usual digits."
    )
    def formatted(
        self,
        locale: Annotated[str, strawberry.argument(description="Locale such as en-US or de-DE.")] = "en-US",
    ) -> str:
        try:
            known = Locale.parse(locale[:20], sep="-" if "-" in locale else "_")
        except (UnknownLocaleError, ValueError, TypeError) as error:
            raise InvalidInput(
                ErrorCode.INVALID, f"{locale[:20]!r} is not a known locale; write one such as en-US.", path=("locale",)
            ) from error
        # Formatting puts amounts into their digits, for which 28 of them, the usual precision, may be too few.
        with exact():
            if self.currency not in MINOR_DIGITS:
                return f"{format_decimal(self.amount, locale=known, decimal_quantization=False)} {self.currency}"
            digits = MINOR_DIGITS[self.currency]
            # The locale's data has its own opinion of digits: none for the Serbian dinar, of which ISO 4217 has hundredths.
            form = copy(known.currency_formats["standard"])
            form.frac_prec = (digits, digits)
            shown = round_half_up(self.amount, places=digits)
            return format_currency(shown, self.currency, format=form, locale=known, currency_digits=False)

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> Money:
        """`Money.of(row.total, row.currency)`."""
        return cls(amount=amount, currency=CurrencyCode(currency))

    def __str__(self) -> str:
        return f"{canonical(self.amount)} {self.currency}"


@strawberry.input(description="An amount of one currency or pricing unit, in its major unit.")
class MoneyInput:
    amount: Decimal = strawberry.field(description='The exact amount, as a string such as "12.50" or an Int.')
    currency: CurrencyCode = strawberry.field(description="Currency or pricing unit of the amount.")


@strawberry.type(description="A half-open interval of time: it includes its start and excludes its end.")
class Interval:
    starting_at: datetime = strawberry.field(description="First instant of the interval.")
    ending_before: datetime | None = strawberry.field(
        default=None, description="First instant after the interval; null when it has no end."
    )


@strawberry.input(description="A half-open interval of time: it includes its start and excludes its end.")
class IntervalInput:
    starting_at: datetime = strawberry.field(description="First instant of the interval.")
    ending_before: datetime | None = strawberry.field(
        default=None, description="First instant after the interval; null when it has no end."
    )


@strawberry.type(description="A key with its value.")
class KeyValue:
    key: str = strawberry.field(description="The key.")
    value: str = strawberry.field(description="Its value.")


@strawberry.input(description="A key with its value.")
class KeyValueInput:
    key: str = strawberry.field(description="The key.")
    value: str = strawberry.field(description="Its value.")


class Direction(Enum):
    """Which way a list is sorted."""

    ASC = "ASC"
    DESC = "DESC"


@strawberry.input(description="Instants of a half-open range.")
class DateTimeFilter:
    gte: datetime | None = strawberry.field(default=None, description="At this instant or later.")
    lt: datetime | None = strawberry.field(default=None, description="Before this instant.")


def key_values(pairs: Mapping[str, str]) -> list[KeyValue]:
    """A mapping as sorted pairs, so that answers are stable."""
    return [KeyValue(key=key, value=pairs[key]) for key in sorted(pairs)]


def group_of(pairs: Sequence[KeyValueInput], *, path: tuple[str, ...]) -> Group:
    """Group values as the core reads them, by key; INVALID for a property that is named twice."""
    values = {pair.key: pair.value for pair in pairs}
    if len(values) < len(pairs):
        raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} names a property twice.", path=path)
    return tuple(sorted(values.items()))


def described_enum(enum: E, *, description: str, sentences: Mapping[Any, str], name: str | None = None) -> E:
    """Make an existing Enum a GraphQL enum in which every value is described; a missing sentence is a KeyError."""
    made = strawberry.enum(enum, name=name or enum.__name__, description=description)
    for value in made.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = sentences[enum[value.name]]
    return made


OrderDirection = described_enum(
    Direction,
    name="OrderDirection",
    description="Which way a list is sorted.",
    sentences={Direction.ASC: "Smallest or earliest first.", Direction.DESC: "Largest or latest first."},
)
Cadence = described_enum(
    Frequency,
    name="Cadence",
    description="How often something recurs, in calendar terms.",
    sentences={
        Frequency.WEEKLY: "Every seven days.",
        Frequency.MONTHLY: "Every month.",
        Frequency.QUARTERLY: "Every three months.",
        Frequency.SEMI_ANNUAL: "Every six months; only charges by schedule take it.",
        Frequency.ANNUAL: "Every year.",
    },
)
