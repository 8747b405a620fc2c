"""Prices that another package works out: what a rater must give, so that it can be billed like any other price.

Owns the rate's value and the checks of what comes back. Finding raters and telling whose fault a refusal is are left to the
catalog: here the function has been passed in.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any, cast

from app.core.money import ONE, ZERO, bounded, exact

MAX_STEPS = 1_000
_CONTEXT = decimal.Context(
    prec=50,
    rounding=decimal.ROUND_HALF_UP,
    traps=[decimal.FloatOperation, decimal.InvalidOperation, decimal.Overflow, decimal.DivisionByZero],
)

Step = tuple[Decimal, Decimal]
"""How many of the next units have one price, above 0, and that price, 0 or more."""

Rater = Callable[[Decimal, Decimal, Mapping[str, Any]], Iterable[Step]]
"""Position from, position to, parameters -> the steps between them, in order. It depends on nothing else."""


class RaterFailed(Exception):
    """A rater raised, or gave what cannot be billed; says which and why."""


@dataclass(frozen=True, slots=True)
class Custom:
    """A price of the rater of this name. `parameters` are its own, as the canonical text of a JSON object.

    `release` says which rater it was: a distribution and its version. `factor` is what a multiplier makes of every
    price. `steps` is the rater with these parameters, from one position to a higher one; without it nothing is priced.
    """

    rater: str
    parameters: str
    release: str = ""
    factor: Decimal = ONE
    steps: Callable[[Decimal, Decimal], Sequence[Step]] | None = field(default=None, compare=False, repr=False)


def checked_steps(rater: Rater, low: Decimal, high: Decimal, parameters: Mapping[str, Any]) -> list[Step]:
    """The steps from one position to a higher one. `RaterFailed` for what is no price.

    The amount up to the end must be the amount up to the start and that of the steps: a statement is cut at prices of
    others, at balances and at the windows of breakdowns, and no cut may move money.
    """
    assert low < high, "a rater prices some units"
    found = _called(rater, low, high, parameters)
    if low > ZERO:
        whole, before = (_amount(_called(rater, ZERO, end, parameters)) for end in (high, low))
        with exact():
            if whole - before != _amount(found):
                raise RaterFailed(
                    f"from 0 to {high} costs {whole}, which is not {before} (to {low}) and {_amount(found)} (from there)"
                )
    return found


def _called(rater: Rater, low: Decimal, high: Decimal, parameters: Mapping[str, Any]) -> list[Step]:
    try:
        with decimal.localcontext(_CONTEXT):
            # One more than allowed tells an endless answer from a long one.
            answer = list[object](islice(rater(low, high, parameters), MAX_STEPS + 1))
    except (Exception, SystemExit) as error:
        raise RaterFailed(f"it raised {type(error).__name__} for {low} to {high}") from error
    if len(answer) > MAX_STEPS:
        raise RaterFailed(f"it gives more than {MAX_STEPS} steps for {low} to {high}")
    steps = _joined(_step(item) for item in answer)
    with exact():
        if sum((quantity for quantity, _ in steps), ZERO) != high - low:
            raise RaterFailed(f"its steps do not make up the {high - low} units from {low} to {high}")
    prices = [price for _, price in steps]
    if len(set(prices)) < len(prices):
        raise RaterFailed(f"a price comes back after another one between {low} and {high}")
    return steps


def _step(item: object) -> Step:
    parts = cast("tuple[object, ...]", item) if isinstance(item, tuple) else ()
    if len(parts) != 2 or not all(isinstance(part, Decimal) for part in parts):
        raise RaterFailed("a step is a pair of Decimals, a quantity and its unit price")
    try:
        quantity, price = (bounded(part) for part in cast("Step", parts))
    except ValueError as error:
        raise RaterFailed(str(error)) from error
    if quantity <= ZERO or price < ZERO:
        raise RaterFailed(f"a step is of more than 0 units at 0 or more, not {quantity} at {price}")
    return quantity, price


def _joined(steps: Iterable[Step]) -> list[Step]:
    """Neighbours of one price as one."""
    found: list[Step] = []
    with exact():
        for quantity, price in steps:
            if found and found[-1][1] == price:
                quantity += found.pop()[0]
            found.append((quantity, price))
    assert all(one[1] != other[1] for one, other in pairwise(found)), "neighbours differ"
    return found


def _amount(steps: Iterable[Step]) -> Decimal:
    with exact():
        return sum((quantity * price for quantity, price in steps), ZERO)
