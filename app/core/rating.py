"""The rating loop: terms, hourly usage and balances of one statement, to exact lines and draws.

Owns the order of the steps of semantics 6.3. Each step has a module of its own; totals and rounding are left to
`invoice`. The same function serves drafts, previews, alerts and finalization, so a draft shows what the final invoice
will say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.core.drawdown import Draw, Payable, Purse, line_order
from app.core.grants import Pot, burn_order
from app.core.lines import Line, merged
from app.core.period import Period
from app.core.quantities import Usage, UsageKey
from app.core.statement_charges import Statement
from app.core.statement_lines import last_hour, lines_of
from app.core.terms import Terms


@dataclass(frozen=True, slots=True)
class Unrated:
    """Usage that no rate prices. It is not billed, and is shown so that somebody adds the rate (semantics 2.4)."""

    key: UsageKey
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Rating:
    """What a statement says: lines in the order of display, what it takes from balances, usage that has no price."""

    lines: tuple[Line, ...]
    unrated: tuple[Unrated, ...]
    draws: tuple[Draw, ...] = ()


def rate_statement(
    terms: Terms, period: Period, usage: Usage, *, pots: Sequence[Pot] = (), fees: Sequence[Line] = ()
) -> Rating:
    """The lines of one statement period of a contract.

    `pots` are all segments of balances that may pay for the contract, in any order, with what may be drawn from each;
    `fees` are the subscription lines of the statement, which balances may pay as well.

    *Shapes*: a line for each product, group, phase, tier and balance; lines that a balance pays are followed by one that
    takes the amount off. Sorted by the card's product order, product name, product id, pricing values, presentation
    values, start, position. Lines of no quantity are left out. The period lies in the contract, the hours in the
    period, in any order; every product with usage is among the terms' products.
    """
    assert terms.period.intersect(period) == period, "a statement lies inside its contract"
    purse = Purse(burn_order(pots, terms.products), terms)
    statement = Statement(terms, period, usage, segments=[period for pot in pots for period in pot.periods], fees=fees)
    payables = statement.settled(purse.draw)
    unrated = tuple(Unrated(key, quantity) for key, quantity in statement.unrated)
    return Rating(lines=merged(lines_of(terms, payables, at=last_hour(period))), unrated=unrated, draws=purse.draws())


def rate_fees(terms: Terms, fees: Sequence[Line], *, pots: Sequence[Pot] = ()) -> Rating:
    """The subscription fees of a scheduled invoice, and what balances pay of them; in the order of display."""
    products = {product.id: product for product in terms.products}
    payables = [Payable.of_fee(fee, products) for fee in fees]
    payables.sort(key=line_order)
    purse = Purse(burn_order(pots, terms.products), terms)
    purse.draw(payables)
    at = max((payable.instant for payable in payables), default=terms.period.starting_at)
    return Rating(lines=tuple(lines_of(terms, payables, at=at)), unrated=(), draws=purse.draws())
