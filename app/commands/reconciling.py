"""`metrograph reconcile`: our books beside the providers', account by account, with every difference and what to do.

Owns the period and the report; the comparison is in `app/delivery/reconciling.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.clock import parse_instant
from app.commands.billing import PROVIDERS
from app.commands.shell import Exit, emit, fail, progress, say
from app.core.money import canonical
from app.core.period import Period
from app.core.reconciliation import REMEDIES, Discrepancy
from app.delivery.reconciliation import Reconciliation
from app.delivery.reconciling import reconcile
from app.runtime import Runtime

USUALLY = timedelta(days=31)
LONGEST = timedelta(days=366)
SHOWN = 100
"""Differences of an account that people are shown; JSON has them all."""


def period_of(text: str | None, *, now: datetime) -> Period:
    """`2026-10`, a day or two instants with `..` between them; without a text the last 31 days. Ends the command else."""
    if text is None:
        return Period(now - USUALLY, now)
    try:
        if month := re.fullmatch(r"(\d{4})-(\d{2})", text):
            start = datetime(int(month[1]), int(month[2]), 1, tzinfo=UTC)
            return Period(start, (start + timedelta(days=32)).replace(day=1))
        first, _, last = text.partition("..")
        start = _instant(first)
        found = Period(start, _instant(last) if last else start + timedelta(days=1))
    except ValueError:
        fail(f"--period {text[:60]!r}: write a month (2026-10), a day (2026-10-31) or FROM..UNTIL.", Exit.USAGE)
    assert found.ending_before is not None
    if not timedelta(0) < found.ending_before - found.starting_at <= LONGEST:
        fail(f"--period {text[:60]!r}: it must not end before it begins, and spans 366 days at most.", Exit.USAGE)
    return found


def _instant(text: str) -> datetime:
    return parse_instant(f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text)


async def reconcile_accounts(runtime: Runtime, *, target: str, period: str | None, as_json: bool) -> Exit | None:
    """Compare every account, or those of one provider. A difference is exit code 1, an unread provider exit code 3."""
    chosen, wanted = period_of(period, now=runtime.clock.now()), PROVIDERS[target]
    accounts = [item for item in runtime.connections.all() if wanted is None or item.provider in wanted]
    found: list[Reconciliation] = []
    with progress() as bar:
        task = bar.add_task("reconcile", total=len(accounts), rate="")
        for account in accounts:
            found.append(await reconcile(runtime.store, account, chosen, clock=runtime.clock.now))
            bar.update(task, advance=1, rate=account.name)
    if as_json:
        emit({"accounts": [_shown(item) for item in found]})
    else:
        for item in found:
            _tell(item)
    if any(item.discrepancies for item in found):
        return Exit.FAILED
    return Exit.DONE_WITH_FAILURES if any(item.is_unread for item in found) else None


def _shown(item: Reconciliation) -> dict[str, Any]:
    end = item.period.ending_before
    return {
        "connection": item.connection,
        "provider": item.provider,
        "startingAt": item.period.starting_at.isoformat(),
        "endingBefore": None if end is None else end.isoformat(),
        "compared": item.compared,
        "foreign": item.foreign,
        "problem": item.problem,
        "isUnread": item.is_unread,
        "ours": _sums(item.ours),
        "theirs": _sums(item.theirs),
        "discrepancies": [_difference(one) for one in item.discrepancies],
    }


def _sums(sums: Mapping[str | None, Decimal]) -> dict[str, str]:
    return {currency or "units": canonical(amount) for currency, amount in sums.items()}


def _difference(one: Discrepancy) -> dict[str, Any]:
    return {
        "reason": one.reason,
        "reference": one.reference,
        "providerReferences": list(one.provider_references),
        "ours": None if one.ours is None else canonical(one.ours),
        "theirs": None if one.theirs is None else canonical(one.theirs),
        "difference": canonical(one.difference),
        "currency": one.currency,
        "remedy": REMEDIES[one.reason],
    }


def _tell(item: Reconciliation) -> None:
    sides = [", ".join(f"{amount} {name}" for name, amount in _sums(side).items()) or "nothing"
             for side in (item.ours, item.theirs)]  # fmt: skip
    end = item.period.ending_before
    until = "" if end is None else f" until {end:%Y-%m-%d %H:%M}"
    say(f"{item.connection} ({item.provider}), {item.period.starting_at:%Y-%m-%d %H:%M}{until}")
    say(f"  ours {sides[0]}; theirs {sides[1] if item.problem is None else 'not read'}; {item.foreign} not ours")
    if item.problem is not None:
        say(f"  {'cannot be read now: ' if item.is_unread else ''}{item.problem}")
    for one in item.discrepancies[:SHOWN]:
        amounts = f"{one.ours if one.ours is not None else '-'} / {one.theirs if one.theirs is not None else '-'}"
        say(f"  {one.reason}  {one.reference}  {amounts} {one.currency or 'units'}  {REMEDIES[one.reason]}")
    if len(item.discrepancies) > SHOWN:
        say(f"  and {len(item.discrepancies) - SHOWN} more; --json shows all")
