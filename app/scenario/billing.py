"""The steps of a scenario that make invoices, void them and make them again.

Owns how each is carried out through the services; errors are left to `steps.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from app.clock import parse_instant
from app.invoices import ending, run
from app.invoices.regenerating import regenerate_invoice
from app.invoices.voiding import void_invoice
from app.scenario.finding import invoice_of
from app.scenario.histories import changing
from app.scenario.reading import NotUnderstood
from app.scenario.stream import ACTOR
from app.scenario.world import Json, World


async def _finalize(world: World, step: Json, _number: int, at: datetime) -> Any:
    as_of = parse_instant(step["as_of"]) if "as_of" in step else at
    report = await run.run_due(world.store, actor=ACTOR, as_of=as_of, now=at)
    if report.failures:
        raise NotUnderstood(f"finalization failed: {report.failures}")
    return {"ok": True}


async def _void(world: World, step: Json, _number: int, at: datetime) -> Any:
    async with world.store.transaction() as session:
        identifier = await invoice_of(session, world, step["invoice"], now=at)
        await void_invoice(session, identifier, reason="scenario", now=at)
    return {"ok": True}


async def _regenerate(world: World, step: Json, _number: int, at: datetime) -> Any:
    async with world.store.transaction() as session:
        await regenerate_invoice(session, await invoice_of(session, world, step["invoice"], now=at), now=at)
    return {"ok": True}


async def _end(world: World, step: Json, _number: int, at: datetime) -> Any:
    async with changing(world, "contract.update_end_date", at=at) as session:
        await ending.update_end_date(
            session,
            world.contracts[step["contract"]],
            parse_instant(step["ending_before"]) if "ending_before" in step else None,
            allow_ending_before_invoice=step.get("allow_ending_before_finalized_invoice", True),
        )
    return {"ok": True}


async def _archive_contract(world: World, step: Json, _number: int, at: datetime) -> Any:
    async with changing(world, "contract.archive", at=at) as session:
        await ending.archive(session, world.contracts[step["contract"]], void_invoices=step["void_invoices"], now=at)
    return {"ok": True}


BILLING: dict[str, Callable[[World, Json, int, datetime], Awaitable[Any]]] = {
    "finalize": _finalize,
    "void": _void,
    "regenerate": _regenerate,
    "end": _end,
    "archive_contract": _archive_contract,
}
