"""The report of a reconciliation: one account and period, both sides summed, every difference.

Owns the value; how it comes about is in `reconciling.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from app.core import reconciliation as core
from app.core.period import Period
from app.delivery.registry import Connection
from connectors.base import NOT_SUPPORTED, Terminal, Transient


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The comparison of one account and period.

    `problem` says why the provider's side was not read whole, and what was not read is not called missing; `is_unread`: it
    can be read and did not answer now. `ours` and `theirs` are sums by currency, of what is live; `compared` counts our
    references, `foreign` objects there that carry none of ours.
    """

    connection: str
    provider: str
    period: Period
    compared: int = 0
    foreign: int = 0
    problem: str | None = None
    is_unread: bool = False
    ours: Mapping[str | None, Decimal] = field(default_factory=dict[str | None, Decimal])
    theirs: Mapping[str | None, Decimal] = field(default_factory=dict[str | None, Decimal])
    discrepancies: Sequence[core.Discrepancy] = ()


def report(
    connection: Connection,
    period: Period,
    ours: Sequence[core.Ours],
    theirs: Sequence[core.Theirs],
    found: Sequence[core.Discrepancy],
    *,
    failure: Transient | Terminal | None = None,
) -> Reconciliation:
    """Sums of both sides beside what was found to differ, and the failure that kept some of theirs from being read."""
    is_unread = failure is not None and not (isinstance(failure, Terminal) and failure.code == NOT_SUPPORTED)
    there = [item for item in ours if item.expected is core.Expected.THERE]
    live = [item for item in theirs if not item.is_gone and item.reference is not None]
    return Reconciliation(
        connection.name,
        connection.provider,
        period,
        compared=len(ours),
        foreign=sum(item.reference is None for item in theirs),
        problem=None if failure is None else failure.message,
        is_unread=is_unread,
        ours=core.totals((item.currency, item.amount) for item in there),
        theirs=core.totals((item.currency, item.amount) for item in live),
        discrepancies=found,
    )


def beside(usage: Reconciliation, requests: Reconciliation) -> Reconciliation:
    """One report of an account that is metered and asked for payments as well; each part says what of it could not be read."""
    parts = (usage, requests)
    problems = [item.problem for item in parts if item.problem is not None]
    return replace(
        usage,
        compared=usage.compared + requests.compared,
        foreign=usage.foreign + requests.foreign,
        problem=" ".join(f"{text.removesuffix('.')}." for text in problems) or None,
        is_unread=usage.is_unread or requests.is_unread,
        ours=core.totals(pair for item in parts for pair in item.ours.items()),
        theirs=core.totals(pair for item in parts for pair in item.theirs.items()),
        discrepancies=[*usage.discrepancies, *requests.discrepancies],
    )
