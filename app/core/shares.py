"""What balances paid of a statement, handed on to the parts of its charges.

Owns the sharing out. A charge of the statement and its parts are told to belong together by what they are and by the
phase that holds them, so that the parts may be of any length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from app.core.charging import Charge
from app.core.drawdown import Conversion, Cover, Payable, Purse
from app.core.grants import Pot, burn_order
from app.core.lines import Line
from app.core.money import ZERO, exact
from app.core.period import Period
from app.core.quantities import Usage
from app.core.statement_charges import Statement
from app.core.statement_lines import last_hour, lines_of
from app.core.terms import Terms


def cut_lines(
    terms: Terms,
    period: Period,
    usage: Usage,
    *,
    pots: Sequence[Pot],
    fees: Sequence[Line],
    cuts: Sequence[datetime],
) -> list[Line]:
    """The lines of a statement cut at some instants, with the share of each balance in every part; none merged.

    Balances pay the charges as the invoice has them; inside a charge the first units in time are the covered ones
    (golden decision 22).
    """
    segments = [period for pot in pots for period in pot.periods]
    whole = Statement(terms, period, usage, segments=segments, fees=fees)
    payables = whole.settled(Purse(burn_order(pots, terms.products), terms).draw)
    shares = Shares(payables, whole.phase_starts)
    parts = Statement(terms, period, usage, segments=segments, fees=fees, cuts=cuts).settled(shares.settle)
    return lines_of(terms, parts, at=last_hour(period))


class Shares:
    """The covers of a statement's payables, to be shared out over payables that are parts of them in time."""

    def __init__(self, payables: Iterable[Payable], phases: Iterable[datetime]) -> None:
        """`payables` are settled, and whole: cut only where a phase of the statement begins, at one of `phases`."""
        self._covers = {_identity(item, item.instant): item.covers for item in payables if item.covers}
        self._phases = sorted(phases)

    def settle(self, parts: Sequence[Payable]) -> None:
        """Give each part its share. `parts` hold every part of a payable, or none."""
        together: dict[object, list[Payable]] = {}
        for part in sorted(parts, key=lambda part: part.instant):
            together.setdefault(_identity(part, self._phase_of(part)), []).append(part)
        for identity, found in together.items():
            for cover in self._covers.get(identity, ()):
                for part, share in zip(found, _shared(cover, [part.priced.quantity for part in found]), strict=True):
                    if share.priced.quantity or share.priced.amount:
                        part.covers.append(share)

    def _phase_of(self, part: Payable) -> datetime:
        if isinstance(part.item, Line):
            return part.instant
        return self._phases[bisect_right(self._phases, part.instant) - 1]


def _identity(payable: Payable, phase: datetime) -> object:
    """What a charge and its parts have in common."""
    item, priced = payable.item, payable.priced
    match item:
        case Charge():
            tier = (priced.level, priced.tier_starting_at, priced.unit_price, priced.part)
            return (item.key, item.unit, item.entry.id, item.override_id, item.is_minimum, tier, phase)
        case Conversion():
            return (item.converted_unit, phase)
        case Line():  # pragma: no branch - the type checker proves that no case is missing
            return item


def _shared(cover: Cover, quantities: Sequence[Decimal]) -> Iterator[Cover]:
    """The share of each part, in order of time; the last that moves carries what division left (golden decision 23)."""
    with exact():
        shares: list[Decimal] = []
        position = so_far = ZERO
        for quantity in quantities:
            position += quantity
            reached = min(max(position, cover.start), cover.end) - cover.start
            shares.append(reached - so_far)
            so_far = reached
        amounts = [share * cover.priced.unit_price for share in shares]
        last = max((place for place, share in enumerate(shares) if share), default=len(shares) - 1)
        amounts[last] += cover.priced.amount - sum(amounts, ZERO)
        for share, amount in zip(shares, amounts, strict=True):
            yield replace(cover, priced=cover.priced._replace(quantity=share, amount=amount))
