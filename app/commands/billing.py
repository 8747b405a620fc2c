"""`metrograph invoices preview` and `metrograph sync`: open statements, and the deliveries now and by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from app.commands.shell import Exit, emit, note, say
from app.contracts.tables import Contract
from app.core.money import canonical
from app.delivery import sync
from app.delivery.metering import metered_configurations
from app.delivery.service import due_deliveries, open_deliveries
from app.invoices.balances import Books
from app.invoices.open import open_statements
from app.runtime import Runtime
from app.store.ids import to_text

PROVIDERS = {
    "all": None,
    "stripe": frozenset({"stripe"}),
    "aws": frozenset({"aws_marketplace"}),
    "azure": frozenset({"azure_marketplace"}),
    "gcp": frozenset({"gcp_marketplace"}),
    "custom": frozenset({"custom", "custom_metering"}),
    "manual": frozenset({"manual"}),
}
"""Short names of the command line -> providers; None means every one."""


async def preview(runtime: Runtime, *, as_of: datetime | None, as_json: bool) -> None:
    """Print what every open statement would say at an instant."""
    now = as_of or runtime.clock.now()
    rows: list[dict[str, Any]] = []
    async with runtime.store.transaction() as session:
        contracts = (await session.execute(select(Contract).order_by(Contract.id))).scalars().all()  # type: ignore[arg-type]
        books = Books(session, now=now)
        for statement in await open_statements(session, contracts, now=now):
            rated = await books.rate(statement)
            if rated.is_nothing:
                continue
            end = statement.period.ending_before
            rows.append(
                {
                    "invoice": to_text("invoice", statement.id),
                    "contract": to_text("contract", statement.contract.id),
                    "startingAt": statement.period.starting_at.isoformat(),
                    "endingBefore": None if end is None else end.isoformat(),
                    "dueAt": statement.due_at.isoformat(),
                    "isDue": statement.due_at <= now,
                    "total": canonical(rated.draft.subtotal),
                    "currency": rated.draft.unit.code,
                }
            )
    if as_json:
        emit({"drafts": rows})
        return
    for row in rows:
        state = "due" if row["isDue"] else f"due {row['dueAt'][:16]}"
        end = "" if row["endingBefore"] is None else f"…{row['endingBefore'][:10]}"
        say(f"{row['invoice']}  {row['startingAt'][:10]}{end:11}  {row['total']} {row['currency']}  {state}")


async def synchronize(runtime: Runtime, *, target: str, dry_run: bool, as_json: bool) -> Exit | None:
    """Make every due delivery now."""
    providers = PROVIDERS[target]
    place = sync.Target(runtime.store, runtime.connections, runtime.clock.now, providers, on_step=note)
    if dry_run:
        found = await _due(runtime, place)
        emit(found) if as_json else say(str(found))
        return None
    done = await sync.sweep(place, at_once=True)
    failed = await _open_failures(runtime)
    found = {
        "opened": done.opened, "attempted": done.attempted, "slotsSent": done.slots_sent, "delivered": done.delivered,
        "failed": failed,
    }  # fmt: skip
    emit(found) if as_json else say(", ".join(f"{value} {name}" for name, value in found.items()))
    return Exit.DONE_WITH_FAILURES if failed else None


async def _due(runtime: Runtime, place: sync.Target) -> dict[str, int]:
    async with runtime.store.transaction() as session:
        # Opened as a real run would, to count them, and taken back.
        await open_deliveries(session, runtime.connections, now=runtime.clock.now())
        due = await due_deliveries(session, now=runtime.clock.now(), at_once=True)
        metered = await metered_configurations(session, runtime.connections)
        found = {
            "invoices": sum(place.wants(item.provider) for item in due),
            "meteredConfigurations": sum(place.wants(item.provider) for item in metered),
        }
        await session.rollback()
    return found


async def _open_failures(runtime: Runtime) -> int:
    async with runtime.store.transaction() as session:
        found = await session.execute(
            text("select count(*) from deliveries where status in ('FAILED', 'NEEDS_ATTENTION')")
        )
        return int(found.scalar_one())
