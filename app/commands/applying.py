"""`metrograph apply`: catalog files are compared with what stands, the plan is shown, and carried out when it is confirmed.

Owns the two passes and the printing. The plan is the work itself, taken back; so it refuses what the work would refuse.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor, system
from app.commands.catalog_apply import Applying, Step
from app.commands.catalog_file import CatalogError, Entry, read
from app.commands.shell import Exit, emit, fail, note, say
from app.graphql.execution import Gateway
from app.main import create_gateway
from app.runtime import Runtime

SIGNS = {"create": "+", "change": "~"}


class _Undo(Exception):
    """Takes the transaction back."""


def entries_of(paths: Sequence[Path]) -> list[Entry]:
    """The entries of the files; ends with a usage error that names file and line."""
    try:
        return read(paths)
    except (CatalogError, OSError, UnicodeDecodeError) as error:
        fail(str(error), Exit.USAGE)


async def apply(runtime: Runtime, entries: Sequence[Entry], *, is_confirmed: bool, as_json: bool) -> Exit | None:
    """Plan, ask, and carry out; a second time there is nothing to do."""
    gateway = create_gateway(runtime.settings, runtime.store, runtime.clock, providers=runtime.connections)
    try:
        plan = await carried_out(gateway, entries, keep=False)
        changes = [step for step in plan if step.action != "none"]
        if not as_json:
            _print(plan)
        is_agreed = bool(changes) and (is_confirmed or _asked(as_json))
        if is_agreed:
            # Whoever changed something in between is not overwritten by a plan that nobody saw.
            await carried_out(gateway, entries, keep=True, expected=plan)
    except CatalogError as error:
        fail(str(error))
    if as_json:
        steps = [
            {"action": step.action, "section": step.entry.section, "key": step.entry.key, "changes": step.changes}
            for step in plan
        ]
        emit({"applied": is_agreed, "steps": steps})
    elif is_agreed:
        note("Done.")
    if changes and not is_agreed:
        note("Nothing was changed; --yes carries it out.")
        return Exit.FAILED
    return None


async def carried_out(
    gateway: Gateway, entries: Sequence[Entry], *, keep: bool, expected: Sequence[Step] | None = None
) -> list[Step]:
    """Every step in one transaction, which is taken back unless it is to be kept. Error: CatalogError, nothing is kept."""
    steps: list[Step] = []

    async def authenticate(session: AsyncSession, now: datetime) -> Actor:
        return system("metrograph apply", kind="command")

    try:
        async with gateway.open(authenticate, request_id="command") as context:
            applying = Applying(gateway, context)
            for entry in entries:
                steps.append(await applying.step(entry))
            if expected is not None and steps != list(expected):
                raise CatalogError("Something changed since the plan was made; look at it again.")
            if not keep:
                raise _Undo
    except _Undo:
        pass
    return steps


def _print(plan: Sequence[Step]) -> None:
    for step in plan:
        if step.action in SIGNS:
            name = step.entry.definition.get("name", "")
            say(f"{SIGNS[step.action]} {step.entry.section} {step.entry.key}" + (f" ({name})" if name else ""))
            for change in step.changes:
                say(f"    {change}")
    count = {action: sum(step.action == action for step in plan) for action in ("create", "change", "none")}
    say(f"{count['create']} to make, {count['change']} to change, {count['none']} unchanged")


def _asked(as_json: bool) -> bool:
    return not as_json and sys.stdin.isatty() and typer.confirm("Carry this out?", err=True)
