"""Fees and charges that fall due at an instant: one kind of value, whatever they come from.

Owns what a due item is, which items a contract owes and has not been billed, and their order on an invoice. Amounts
are left to `subscriptions` and `scheduled`, invoices to `placement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from app.core.fees import Collection, FeePlacement, ItemKey, ItemKind, ScheduledCharge
from app.core.lines import Line, LineType
from app.core.money import ONE, exact
from app.core.period import SINCE_EVER, Period
from app.core.rates import Flat
from app.core.scheduled import scheduled_items
from app.core.statement_lines import display_order
from app.core.subscriptions import subscription_lines
from app.core.terms import RateEntry, Terms


class Joins(Enum):
    """Which usage statement an item goes on, if there is one; ALONE shares no invoice with anything."""

    NONE = auto()
    ALONE = auto()
    ENDING_THAT_DAY = auto()
    AROUND = auto()


@dataclass(frozen=True, slots=True)
class DueItem:
    """A line that falls due at its `charged_at`, and the statement that it joins."""

    line: Line
    joins: Joins

    @property
    def at(self) -> datetime:
        """When it falls due."""
        assert self.line.charged_at is not None, "an item has a date"
        return self.line.charged_at

    @property
    def key(self) -> ItemKey:
        """What makes it itself."""
        return key_of(self.line)


def key_of(line: Line) -> ItemKey:
    """The identity of the fee or charge that a line bills."""
    if line.type is LineType.SUBSCRIPTION:
        assert line.subscription_id is not None, "a fee is one of a subscription"
        assert line.starting_at is not None, "a fee pays for some time"
        return ItemKey(ItemKind.SUBSCRIPTION, line.subscription_id, line.starting_at, line.ordinal)
    if line.type is LineType.COMMIT_PURCHASE:
        assert line.grant_id is not None, "a purchase is one of a commit"
        assert line.charged_at is not None, "a purchase has a date"
        return ItemKey(ItemKind.PURCHASE, line.grant_id, line.charged_at, line.ordinal)
    assert line.type is LineType.SCHEDULED, "only fees, charges and purchases are billed as items"
    assert line.charge_id is not None, "an instalment is one of a charge"
    assert line.charged_at is not None, "an instalment has a date"
    return ItemKey(ItemKind.SCHEDULED, line.charge_id, line.charged_at, line.ordinal)


def items_due(terms: Terms, *, until: datetime) -> tuple[DueItem, ...]:
    """The fees and charges of a contract that fall due by an instant and are on no final invoice; in order of time.

    What would fall due when the contract is over is not owed: a contract that is ended early takes its later charges
    with it.
    """
    billed = {item.key for item in terms.billed}
    found = [*_charges(terms), *_fees(terms, until=until)]
    owed = (item for item in found if item.at <= until and item.key not in billed)
    return tuple(sorted(owed, key=lambda item: (item.at, item.key)))


def with_every_fee(terms: Terms) -> Terms:
    """Terms under which every fee falls due that may, whatever the card says: one that has no price yet may get one.

    Each subscription has a price at all times; amounts mean nothing.
    """
    always = Period(SINCE_EVER)
    rates = [
        RateEntry(
            item.id, item.product_id, Flat(ONE), always, entitled=True, group_values=(), added=place,
            billing_frequency=item.frequency,
        )
        for place, item in enumerate(terms.subscriptions)
    ]  # fmt: skip
    return replace(terms, rates=tuple(rates), overrides=())


def item_lines(items: Iterable[DueItem], terms: Terms) -> tuple[Line, ...]:
    """The lines of items as an invoice shows them: by the card's order of products, then by date."""
    found = list(items)
    if not found:
        return ()
    order = display_order(terms, at=max(item.at for item in found))

    def place(item: DueItem) -> tuple[object, ...]:
        # A purchase need not be sold as a product; it comes last then.
        product_id = item.line.product_id
        return (product_id is None, *(() if product_id is None else order[product_id]), item.at, item.key)

    return tuple(item.line for item in sorted(found, key=place))


def fees_and_charges(lines: Iterable[Line]) -> tuple[list[Line], list[Line]]:
    """The fees of subscriptions, which balances may pay, and the scheduled charges and purchases among some lines."""
    found = list(lines)
    fees = [line for line in found if line.type is LineType.SUBSCRIPTION]
    return fees, [line for line in found if line.type in (LineType.SCHEDULED, LineType.COMMIT_PURCHASE)]


def _fees(terms: Terms, *, until: datetime) -> Iterator[DueItem]:
    for subscription in terms.subscriptions:
        joins = Joins.ENDING_THAT_DAY if subscription.collection is Collection.ADVANCE else Joins.AROUND
        if subscription.placement is FeePlacement.ON_SCHEDULED_INVOICE:
            joins = Joins.NONE
        for line in subscription_lines(subscription, terms, begun_by=until):
            yield DueItem(line, joins)


def _charges(terms: Terms) -> Iterator[DueItem]:
    shared = Joins.ENDING_THAT_DAY if terms.consolidate else Joins.NONE
    for charge in terms.scheduled_charges:
        joins = Joins.ALONE if charge.stands_alone else shared
        for line in _charge_lines(charge, terms):
            assert line.charged_at is not None, "an instalment has a date"
            if terms.period.ending_before is None or line.charged_at < terms.period.ending_before:
                yield DueItem(line, joins)


def _charge_lines(charge: ScheduledCharge, terms: Terms) -> Iterator[Line]:
    product = next((product for product in terms.products if product.id == charge.product_id), None)
    before: dict[datetime, int] = {}
    for item in scheduled_items(charge):
        ordinal = before[item.at] = before.get(item.at, -1) + 1
        with exact():
            amount = item.unit_price * item.quantity
        yield Line(
            type=LineType.COMMIT_PURCHASE if charge.is_purchase else LineType.SCHEDULED,
            product_id=charge.product_id,
            product_name=None if product is None else product.at(item.at).name,
            unit=charge.unit.code,
            quantity=item.quantity,
            unit_price=item.unit_price,
            amount=amount,
            starting_at=None,
            ending_before=None,
            charge_id=None if charge.is_purchase else charge.id,
            grant_id=charge.id if charge.is_purchase else None,
            charged_at=item.at,
            ordinal=ordinal,
        )
