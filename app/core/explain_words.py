"""An explanation of a line in words: one to four short sentences that an accountant can follow with a pencil.

Owns the English. Every figure in it is exact and comes from the explanation; nothing is worked out here but the product
that the reader would check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from app.core.conversions import ConversionOperation, RoundingMethod
from app.core.explain import Explanation, has_start
from app.core.grants import GrantType
from app.core.lines import Line, LineType
from app.core.money import canonical, exact
from app.core.per_event import EventPart, PercentagePerEvent
from app.core.rates import Package, Percentage, TieredPercentage, Volume
from app.core.terms import Multiplier, Override, Overwrite, ProductVersion

_ROUNDINGS = {
    RoundingMethod.ROUND_UP: "up", RoundingMethod.ROUND_DOWN: "down", RoundingMethod.ROUND_HALF_UP: "half up",
}  # fmt: skip
_PAID = {
    LineType.USAGE: "usage", LineType.COMPOSITE: "percentages", LineType.MINIMUM: "minimums",
    LineType.CPU_CONVERSION: "converted units", LineType.SUBSCRIPTION: "fees",
}  # fmt: skip
_BOUNDS = {EventPart.MINIMUM: "raised to the minimum", EventPart.MAXIMUM: "lowered to the maximum"}
_BALANCES = {GrantType.PREPAID: "prepaid commit", GrantType.POSTPAID: "postpaid commit", GrantType.CREDIT: "credit"}


def in_words(found: Explanation, *, metric: str | None = None, balance: str | None = None) -> str:
    """The explanation as sentences. `metric` and `balance` are names, where the reader may know them."""
    match found.line.type:
        case LineType.USAGE:
            sentences = [_used(found, metric), *_price(found), _product(found.line), *_paid(found, balance)]
        case LineType.COMPOSITE:
            sentences = [_percentage(found), *_price(found), _product(found.line), *_paid(found, balance)]
        case LineType.MINIMUM:
            sentences = [_minimum(found), *_paid(found, balance)]
        case LineType.CPU_CONVERSION:
            sentences = [_conversion(found), _product(found.line), *_paid(found, balance)]
        case LineType.SUBSCRIPTION:
            sentences = [*_fee(found), *_price(found), _product(found.line)]
        case LineType.SCHEDULED:
            kind = "discount" if found.charge is not None and found.charge.is_discount else "scheduled charge"
            dated = _date(found.line.charged_at)
            sentences = [f"An instalment of a {kind}{_for(found.line)}, dated {dated}.", _product(found.line)]
        case LineType.COMMIT_PURCHASE:
            name = _balance(found, balance)
            sentences = [f"What is paid for {name}, dated {_date(found.line.charged_at)}.", _product(found.line)]
        case LineType.TRUEUP:
            sentences = list(_true_up(found, balance))
        case LineType.APPLIED:
            sentences = [_applied(found, balance)]
        case LineType.ROUNDING:  # pragma: no branch - the type checker proves that no case is missing
            sentences = [f"The exact sum of the lines is rounded half up; that makes {_money(found.line)}."]
    return " ".join(sentence for sentence in sentences if sentence)


def reversed_since(transaction_ids: Sequence[str]) -> str:
    """The sentence about outcomes of a line that were taken back after it was billed; at least one."""
    names = ", ".join(_quoted(name) for name in transaction_ids[:10])
    more = f" and {len(transaction_ids) - 10} more" if len(transaction_ids) > 10 else ""
    verb = "was" if len(transaction_ids) == 1 else "were"
    return f"Since then {names}{more} {verb} reversed: what was paid too much went back by entries of their own."


def _used(found: Explanation, metric: str | None) -> str:
    line = found.line
    assert line.quantity is not None, "usage is counted"
    counted = f"{_number(line.quantity)} × {_name(line)}{_groups(line)}"
    if line.per_event is not None and line.per_event in _BOUNDS:
        events = "event" if line.quantity == 1 else "events"
        counted = f"{_number(line.quantity)} {events} of {_name(line)}{_groups(line)}, {_BOUNDS[line.per_event]}"
    what = f"{counted}, used {_interval(line)}"
    return f"{what}{_measured(found.measured, metric)}."


def _measured(version: ProductVersion | None, metric: str | None) -> str:
    if version is None:
        return ""
    parts = [] if metric is None else [f"measured by {_quoted(metric)}"]
    if version.conversion is not None:
        is_product = version.conversion.operation is ConversionOperation.MULTIPLY
        parts.append(f"{'multiplied' if is_product else 'divided'} by {_number(version.conversion.factor)}")
    if version.rounding is not None:
        places = version.rounding.places
        to = "to whole units" if not places else f"to {places} decimal place{'' if places == 1 else 's'}"
        parts.append(f"rounded {_ROUNDINGS[version.rounding.method]} {to} over the whole statement")
    return "".join(f", {part}" for part in parts)


def _price(found: Explanation) -> Iterator[str]:
    line, rate = found.line, found.rate
    if rate is None or line.unit_price is None:
        return
    since = f", in force since {_date(rate.period.starting_at)}" if has_start(rate.period) else ""
    until = "" if rate.period.ending_before is None else f" until {_date(rate.period.ending_before)}"
    kind = "commit rate" if found.at_commit_rate else "list price"
    yield f"The {kind} is {_listed(found)}{since}{until}{_tier(found)}."
    if found.override is not None:
        yield _override(found.override, line)


def _listed(found: Explanation) -> str:
    line, rate = found.line, found.rate
    assert rate is not None
    price = line.unit_price if found.list_price is None else found.list_price
    if found.at_commit_rate or found.list_price is None:
        return f"another than this line's {_each(line)}" if found.override is not None else _each(line)
    each = f"{_number(price or Decimal(0))}"
    match rate.rate:
        case Percentage() | TieredPercentage():
            return f"{_percent(price or Decimal(0))} of the amount"
        case PercentagePerEvent():
            return _per_event(rate.rate, line.unit)
        case Package(size):
            return f"{each} {line.unit} for each begun package of {_number(size)}"
        case Volume():
            return f"{each} {line.unit} for each unit, by the tier in which the whole quantity lies"
        case _:
            return f"{each} {line.unit} each"


def _per_event(rate: PercentagePerEvent, unit: str) -> str:
    bounds = [
        f"at {word} {_number(bound)} {unit}"
        for word, bound in (("least", rate.minimum), ("most", rate.maximum))
        if bound is not None
    ]
    return f"{_percent(rate.fraction)} of the amount of each event, {' and '.join(bounds)}"


def _tier(found: Explanation) -> str:
    tier = found.line.tier
    if tier is None:
        return ""
    end = "without end" if tier.size is None else f"up to {_number(_sum(tier.starting_at, tier.size))}"
    return f", in tier {tier.level} (from {_number(tier.starting_at)} {end})"


def _override(override: Override, line: Line) -> str:
    where = " for what a balance pays" if override.is_commit_specific else ""
    match override.change:
        case Multiplier(factor):
            return f"An override of the contract{where} multiplies it by {_number(factor)}."
        case Overwrite(PercentagePerEvent() as rate):
            return f"An override of the contract{where} replaces it by {_per_event(rate, line.unit)}."
        case Overwrite():
            return f"An override of the contract{where} replaces it by {_each(line)}."
        case None:
            return f"An override of the contract{where} entitles it to the product."
        case _:
            return (
                f"An override of the contract{where} multiplies it by tiers of the quantity; here it is {_each(line)}."
            )


def _product(line: Line) -> str:
    if line.quantity is None or line.unit_price is None:
        return ""
    with exact():
        is_exact = line.quantity * line.unit_price == line.amount
    text = f"{_number(line.quantity)} × {_number(line.unit_price)} = {_money(line)}"
    if is_exact:
        return f"{text}."
    return (
        f"{_money(line)} in all; the amount is exact, and the quantity at {_number(line.unit_price)} follows from it."
    )


def _paid(found: Explanation, balance: str | None) -> Iterator[str]:
    if found.line.grant_id is None:
        return
    if found.pot is not None and found.pot.grant.type is GrantType.POSTPAID:
        yield f"It counts towards {_balance(found, balance)}."
    else:
        yield f"It is paid from {_balance(found, balance)}, which another line takes off again."


def _applied(found: Explanation, balance: str | None) -> str:
    line = found.line
    assert line.applied_to is not None, "a balance pays something"
    name, what = _balance(found, balance), f"{_PAID[line.applied_to]}{_for(line)}{_groups(line)}"
    if not line.in_total and found.pot is not None and found.pot.grant.type is GrantType.POSTPAID:
        return f"{_number(-line.amount)} {line.unit} of {what} count towards {name}; nothing is taken off."
    left = "" if found.pot is None else f" It had {_number(found.pot.available)} {line.unit} left before this invoice."
    return f"{_number(-line.amount)} {line.unit} of {what} are paid from {name}, and taken off here.{left}"


def _percentage(found: Explanation) -> str:
    line = found.line
    assert line.quantity is not None, "what a percentage is taken of is counted"
    names = ", ".join(_quoted(product.name) for product in found.base[:10])
    more = f" and {len(found.base) - 10} more" if len(found.base) > 10 else ""
    elsewhere = "" if found.elsewhere is None else ", on all contracts of the customer"
    of = f" for {names}{more}" if names else ""
    return f"{_name(line)} is a share of {_number(line.quantity)} {line.unit} charged{of} {_interval(line)}{elsewhere}."


def _minimum(found: Explanation) -> str:
    least = found.rate.minimum if found.rate is not None else None
    costs = "a minimum" if least is None else f"at least {_number(least)} {found.line.unit}"
    return f"{_name(found.line)} costs {costs} in a statement; {_money(found.line)} were missing."


def _conversion(found: Explanation) -> str:
    line = found.line
    price = line.unit_price if found.conversion is None else found.conversion
    assert price is not None, "what is converted has a price"
    return (
        f"What no balance pays in {line.converted_unit} is paid in {line.unit}: one {line.converted_unit} is "
        f"{_number(price)} {line.unit}."
    )


def _fee(found: Explanation) -> Iterator[str]:
    line = found.line
    yield f"The fee of a subscription{_for(line)}, {_interval(line)}, dated {_date(line.charged_at)}."
    plan = found.subscription
    if plan is not None and found.list_price is not None and line.unit_price != found.list_price and not found.override:
        yield f"It is for a part of its billing period ({plan.frequency.lower()}), so the price is a part of the list's."


def _true_up(found: Explanation, balance: str | None) -> Iterator[str]:
    yield f"What is missing of {_balance(found, balance)} after its access is over."
    if found.pot is not None:
        with exact():
            used = found.pot.segment.amount - found.line.amount
        yield (
            f"{_number(found.pot.segment.amount)} {found.line.unit} were committed to and {_number(used)} used, moved or "
            f"given back; {_money(found.line)} are left."
        )


def _balance(found: Explanation, name: str | None) -> str:
    if found.pot is None:
        return "a balance" if name is None else f"the balance {_quoted(name)}"
    kind, segment = found.pot.grant.type, found.pot.segment
    named = "" if name is None else f" {_quoted(name)}"
    number = f", segment {segment.number}" if len(found.pot.grant.segments) > 1 else ""
    return (
        f"the {_BALANCES[kind]}{named}{number} ({_between(segment.period.starting_at, segment.period.ending_before)})"
    )


def _name(line: Line) -> str:
    return line.product_name or "a product"


def _for(line: Line) -> str:
    return "" if line.product_name is None else f" for {line.product_name}"


def _groups(line: Line) -> str:
    pairs = dict.fromkeys((*line.pricing, *line.presentation))
    parts = [f"{key} {_quoted(value)}" if value is not None else f"without {key}" for key, value in pairs]
    return f" ({', '.join(parts)})" if parts else ""


def _interval(line: Line) -> str:
    assert line.starting_at is not None, "what was used was used at some time"
    return _between(line.starting_at, line.ending_before)


def _between(start: datetime, end: datetime | None) -> str:
    """Whole days as people name them: the last one included."""
    if end is None:
        return f"from {_date(start)}"
    if start.hour == end.hour == 0:
        return f"from {_date(start)} to {_date(end - timedelta(days=1))}"
    return f"from {_date(start)} until {_date(end)}"


def _date(instant: datetime | None) -> str:
    assert instant is not None, "what is dated has a date"
    day = f"{instant.day} {instant:%B} {instant.year}"
    return day if (instant.hour, instant.minute) == (0, 0) else f"{day} {instant:%H:%M} UTC"


def _each(line: Line) -> str:
    return f"{_number(line.unit_price or Decimal(0))} {line.unit} each"


def _money(line: Line) -> str:
    return f"{_number(line.amount)} {line.unit}"


def _percent(fraction: Decimal) -> str:
    with exact():
        return f"{_number(fraction * 100)} %"


def _sum(one: Decimal, other: Decimal) -> Decimal:
    with exact():
        return one + other


def _number(value: Decimal) -> str:
    whole, point, places = canonical(value).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{places}"


def _quoted(name: str) -> str:
    return f"“{name}”"
