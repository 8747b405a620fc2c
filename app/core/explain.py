"""Why a line is what it is: the dated price, the override, the balance, and how the quantity was measured.

Owns the way from a line back to the terms and balances from which it was rated. It reads nothing but those, so the answer
is the same for a draft and, from what was frozen, for an old invoice. Words for it are in `explain_words`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from app.core.composite import includes
from app.core.elsewhere import Elsewhere
from app.core.fees import ScheduledCharge, Subscription
from app.core.grants import Pot
from app.core.lines import Line, LineType
from app.core.list_prices import list_unit_price
from app.core.period import HOUR, Period
from app.core.quantities import versions_in
from app.core.terms import Override, Product, ProductVersion, RateEntry, RateTarget, Terms

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def has_start(period: Period) -> bool:
    """Whether a price or override began at some time; those without a start may come with the first instant of 1970."""
    return period.starting_at > _FIRST


@dataclass(frozen=True, slots=True)
class Explanation:
    """What made a line; parts that a line of its type does not have are None.

    `product` is as it was when the line begins, `measured` how its usage was measured then. `rate` is the dated price on
    the list, `at_commit_rate` tells that a balance paid at that price's commit rate. `pot` is the segment that pays the
    line, that is bought with it, or of which it bills what is missing, with what could be drawn from it; None where that
    was not kept. `base` are the products of which a composite line is a percentage, by name. `conversion` is what one of
    the converted unit was worth.
    """

    line: Line
    product: Product | None = None
    measured: ProductVersion | None = None
    rate: RateEntry | None = None
    list_price: Decimal | None = None
    at_commit_rate: bool = False
    override: Override | None = None
    pot: Pot | None = None
    subscription: Subscription | None = None
    charge: ScheduledCharge | None = None
    base: tuple[Product, ...] = ()
    elsewhere: Elsewhere | None = None
    conversion: Decimal | None = None


def explain(line: Line, terms: Terms, pots: Sequence[Pot] = ()) -> Explanation:
    """What made a line of an invoice that was rated from these terms and balances."""
    at = line.starting_at or line.charged_at
    product = next((one for one in terms.products if one.id == line.product_id), None)
    override = next((one for one in terms.overrides if one.id == line.override_id), None)
    pot = next(
        (one for one in pots if one.grant.id == line.grant_id and one.segment.number == (line.segment or 0)), None
    )
    rate = next((one for one in terms.rates if one.id == line.rate_id), None)
    is_composite = LineType.COMPOSITE in (line.type, line.applied_to)
    then = product if product is None or at is None else product.at(at)
    return Explanation(
        line,
        product=then,
        measured=_measured(product, line),
        rate=rate,
        list_price=list_unit_price(line, terms),
        at_commit_rate=_at_commit_rate(line, rate, override, pot),
        override=override,
        pot=pot,
        subscription=next((one for one in terms.subscriptions if one.id == line.subscription_id), None),
        charge=next((one for one in terms.scheduled_charges if one.id == (line.charge_id or line.grant_id)), None),
        base=_base(then, terms, line) if is_composite and then is not None else (),
        elsewhere=next((one for one in terms.elsewhere if one.product_id == line.product_id), None),
        conversion=dict(terms.conversions).get(line.converted_unit or ""),
    )


def _measured(product: Product | None, line: Line) -> ProductVersion | None:
    if product is None or line.starting_at is None or LineType.USAGE not in (line.type, line.applied_to):
        return None
    found = versions_in(product, Period(line.starting_at, line.starting_at + HOUR))
    return found[0] if found else None


def _at_commit_rate(line: Line, rate: RateEntry | None, override: Override | None, pot: Pot | None) -> bool:
    """Whether the price is the commit rate, as it is or after an override that changes commit rates."""
    if line.type is not LineType.USAGE or pot is None or rate is None or rate.commit_rate is None:
        return False
    if override is not None and override.target is not RateTarget.COMMIT_RATE:
        return False
    return pot.grant.rate_type is RateTarget.COMMIT_RATE


def _base(composite: Product, terms: Terms, line: Line) -> tuple[Product, ...]:
    """The products that counted for a composite one when the line began, by name."""
    assert composite.composite is not None, "a composite product says what it is a percentage of"
    assert line.starting_at is not None, "a percentage is taken of some time"
    then = (one.at(line.starting_at) for one in terms.products)
    return tuple(sorted((one for one in then if includes(composite, one)), key=lambda one: (one.name, one.id)))
