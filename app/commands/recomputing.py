"""`metrograph recompute`: final invoices rated again from their frozen inputs, compared to the byte.

Owns the choice of invoices and the report; the proof is in `app/invoices/recomputing.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import select

from app.commands.shell import Exit, emit, fail, progress, say
from app.errors import InvalidInput
from app.invoices.content_differences import Difference
from app.invoices.recomputing import PAGE, Outcome, Recomputed, page_after, recompute
from app.invoices.tables import Invoice
from app.runtime import Runtime
from app.store.ids import from_text, to_text

MAX_TOLD = 1_000
"""How many invoices that are not the same are named; all are counted."""


def chosen(names: Sequence[str], *, every: bool) -> list[UUID] | None:
    """The invoices that are named, each once; None for all. Ends with a usage error when it is neither or both."""
    if every == bool(names):
        fail("Name invoices, such as inv_0199…, or give --all.", Exit.USAGE)
    try:
        return None if every else list(dict.fromkeys(from_text("invoice", name) for name in names))
    except InvalidInput as error:
        fail(error.message, Exit.USAGE)


async def recompute_invoices(runtime: Runtime, identifiers: list[UUID] | None, *, as_json: bool) -> Exit | None:
    """Recompute and compare. A difference is exit code 1, one that cannot be computed exit code 3."""
    counts, told = Counter[Outcome](), list[Recomputed]()
    total = len(identifiers) if identifiers is not None else await _how_many(runtime)
    with progress() as bar:
        task = bar.add_task("recompute", total=total, rate="")
        async for page in _all(runtime) if identifiers is None else _pages(identifiers):
            async with runtime.store.transaction() as session:
                found = await recompute(session, page)
            counts.update(item.outcome for item in found)
            told += [item for item in found if item.outcome is not Outcome.SAME][: MAX_TOLD - len(told)]
            bar.update(task, advance=len(page), rate=f"{counts[Outcome.DIFFERENT]} different")
    _report(counts, told, as_json=as_json)
    if counts[Outcome.DIFFERENT]:
        return Exit.FAILED
    return Exit.DONE_WITH_FAILURES if counts[Outcome.NOT_RECOMPUTABLE] else None


async def _how_many(runtime: Runtime) -> int:
    async with runtime.store.transaction() as session:
        return (await session.execute(select(func.count()).select_from(Invoice))).scalar_one()


async def _all(runtime: Runtime) -> AsyncIterator[Sequence[UUID]]:
    last: UUID | None = None
    while True:
        async with runtime.store.transaction() as session:
            page = await page_after(session, last)
        if not page:
            return
        yield page
        last = page[-1]


async def _pages(identifiers: Sequence[UUID]) -> AsyncIterator[Sequence[UUID]]:
    for first in range(0, len(identifiers), PAGE):
        yield identifiers[first : first + PAGE]


def _report(counts: Counter[Outcome], told: Sequence[Recomputed], *, as_json: bool) -> None:
    same, different, unable = (counts[one] for one in (Outcome.SAME, Outcome.DIFFERENT, Outcome.NOT_RECOMPUTABLE))
    if as_json:
        emit(
            {
                "ok": not different, "recomputed": same + different, "same": same, "different": different,
                "notRecomputable": unable, "invoices": [_form(item) for item in told],
            }
        )  # fmt: skip
        return
    for item in told:
        say(f"{item.outcome} {to_text('invoice', item.invoice_id)}{f': {item.reason}' if item.reason else ''}")
        for one in item.differences:
            place = "" if one.line is None else f"line {one.line} "
            say(f"  {place}{one.part}: stored {_text(one.stored)}, computed {_text(one.computed)}")
    left = different + unable - len(told)
    if left:
        say(f"… and {left} more that are not the same")
    say(f"{same} same, {different} different, {unable} not recomputable")


def _form(item: Recomputed) -> dict[str, object]:
    return {
        "invoice": to_text("invoice", item.invoice_id),
        "outcome": item.outcome,
        "reason": item.reason,
        "differences": [_difference(one) for one in item.differences],
    }


def _difference(one: Difference) -> dict[str, object]:
    return {"line": one.line, "part": one.part, "stored": one.stored, "computed": one.computed}


def _text(value: object) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
