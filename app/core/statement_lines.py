"""From settled charges to the lines of an invoice.

Owns what is one line and what is several: what a balance pays stands apart, followed by the line that takes it off. The
order is that of display; in which order balances pay is settled before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from app.core.charging import Charge
from app.core.drawdown import Conversion, Cover, Payable
from app.core.grants import SegmentKey
from app.core.lines import Line, LineTier, LineType
from app.core.money import ZERO, exact
from app.core.period import HOUR, Period
from app.core.quantities import UsageKey
from app.core.rates import Slice
from app.core.terms import ProductType, Terms

DisplayOrder = Mapping[UUID, tuple[int, str, UUID]]


def display_order(terms: Terms, *, at: datetime) -> DisplayOrder:
    """Products as on the card; those that its order does not name follow by the name that they have at an instant."""
    places = {product_id: place for place, product_id in enumerate(terms.product_order)}
    return {one.id: (places.get(one.id, len(places)), one.at(at).name, one.id) for one in terms.products}


def last_hour(period: Period) -> datetime:
    """The hour in which a statement ends: what holds then is what holds at its end."""
    assert period.ending_before is not None, "a statement has an end"
    return period.ending_before - HOUR


def key_order(key: UsageKey, order: DisplayOrder) -> tuple[object, ...]:
    """Where usage is shown: by product, then by its group values."""
    # None sorts before every text, and is not the same as an empty one.
    if not key.pricing and not key.presentation:
        return (*order[key.product_id], [], [])
    groups = (key.pricing, key.presentation)
    values = [[(name, value is not None, value or "") for name, value in group] for group in groups]
    return (*order[key.product_id], *values)


def lines_of(terms: Terms, payables: Iterable[Payable], *, at: datetime) -> list[Line]:
    """The lines of all payables: products in display order, then conversions by unit; by time, then by position.

    A product that was renamed has one place, by the name that it has at the instant.
    """
    order = display_order(terms, at=at)
    placed = sorted(((_place(payable, order), payable) for payable in payables), key=itemgetter(0))
    lines: list[Line] = []
    with exact():
        for _, group in groupby(placed, key=lambda item: item[0][:-1]):
            together = [payable for _, payable in group]
            if any(payable.covers for payable in together):
                lines.extend(_covered_lines(together, terms.unit.code))
            for payable in together:
                line = _open_line(payable, terms.unit.code)
                if line is not None:
                    lines.append(line)
    return lines


def _place(payable: Payable, order: DisplayOrder) -> tuple[object, ...]:
    """What is one phase of one key comes together; the last part orders it inside."""
    item = payable.item
    match item:
        case Charge():
            key = key_order(item.key, order)
            priced = item.priced
            inside = (priced.level or 0, item.entry.id, priced.unit_price, priced.before, priced.part or "")
            return (0, key, item.unit, item.is_minimum, item.phase.starting_at, inside)
        case Line():
            assert item.product_id is not None, "a fee is for a product"
            return (
                0,
                key_order(UsageKey(item.product_id), order),
                item.unit,
                False,
                payable.instant,
                (0, item.product_id),
            )
        case Conversion():  # pragma: no branch - the type checker proves that no case is missing
            return (1, item.converted_unit, payable.instant, ())


def _covered_lines(payables: Sequence[Payable], currency: str) -> Iterator[Line]:
    """What balances pay, equal neighbours as one; after the lines of each balance what is taken off again, by tier."""
    paid: dict[SegmentKey, dict[Line, Line]] = {}
    taken: dict[SegmentKey, dict[Line, Line]] = {}
    for payable in payables:
        for cover in payable.covers:
            if not isinstance(payable.item, Line):
                _add(paid.setdefault(cover.pot, {}), _line(payable, cover.priced, currency, cover))
            _add(taken.setdefault(cover.pot, {}), _applied_line(payable, cover, currency))
    for pot, applied in taken.items():
        yield from paid.get(pot, {}).values()
        yield from applied.values()


def _add(lines: dict[Line, Line], line: Line) -> None:
    """Add a line to one that says the same, if there is one."""
    nothing = line._replace(quantity=None, amount=ZERO)
    first = lines.get(nothing)
    if first is not None:
        quantity = None if line.quantity is None else (first.quantity or ZERO) + line.quantity
        line = first._replace(quantity=quantity, amount=first.amount + line.amount)
    lines[nothing] = line


def _open_line(payable: Payable, currency: str) -> Line | None:
    """What no balance pays, if anything; of a fee always the whole, because its quantity is never split."""
    if isinstance(payable.item, Line):
        return payable.item
    rest = payable.priced
    if payable.covers:
        rest = rest._replace(quantity=payable.quantity_left, amount=payable.amount_left)
    return _line(payable, rest, currency) if rest.quantity else None


def _line(payable: Payable, part: Slice, currency: str, cover: Cover | None = None) -> Line:
    """A part of a charge or conversion, as a balance pays it or as nobody does."""
    item = payable.item
    assert not isinstance(item, Line), "a fee is a line already"
    is_charge = isinstance(item, Charge)
    # Every field at once: copies of such wide values are what rating would spend most of its time on.
    return Line(
        type=_type(item) if is_charge else LineType.CPU_CONVERSION,
        product_id=item.product.id if is_charge else None,
        product_name=item.product.name if is_charge else None,
        unit=item.unit,
        quantity=part.quantity,
        unit_price=part.unit_price,
        amount=part.amount,
        starting_at=item.phase.starting_at,
        ending_before=item.phase.ending_before,
        pricing=item.key.pricing if is_charge else (),
        presentation=item.key.presentation if is_charge else (),
        tier=_tier(part),
        rate_id=item.entry.id if is_charge else None,
        override_id=cover.override_id if cover is not None else item.override_id if is_charge else None,
        in_total=item.unit == currency,
        grant_id=None if cover is None else cover.pot.grant_id,
        segment=None if cover is None else cover.pot.number,
        converted_unit=None if is_charge else item.converted_unit,
        per_event=part.part,
    )


def _applied_line(payable: Payable, cover: Cover, currency: str) -> Line:
    item = payable.item
    line = item if isinstance(item, Line) else _line(payable, cover.priced, currency)
    return line._replace(
        type=LineType.APPLIED,
        applied_to=line.type,
        quantity=None,
        unit_price=None,
        amount=-cover.priced.amount,
        rate_id=None,
        override_id=None,
        grant_id=cover.pot.grant_id,
        segment=cover.pot.number,
        # The usage is paid as it happens; that it counts towards a postpaid commit takes nothing off.
        in_total=line.in_total and not cover.is_postpaid,
    )


def _type(charge: Charge) -> LineType:
    if charge.is_minimum:
        return LineType.MINIMUM
    return LineType.COMPOSITE if charge.product.type is ProductType.COMPOSITE else LineType.USAGE


def _tier(part: Slice) -> LineTier | None:
    if part.level is None:
        return None
    assert part.tier_starting_at is not None, "a tier begins somewhere"
    return LineTier(part.level, part.tier_starting_at, part.tier_size)
