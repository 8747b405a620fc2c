"""`metrograph ingest`: usage files in, with a progress bar; the same command again finds only duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.actor import system
from app.commands.shell import Exit, emit, fail, note, progress, say
from app.commands.usage_files import RowMapping, count, pairs, read
from app.errors import BillingError
from app.runtime import Runtime
from app.usage.checking import BatchRefused
from app.usage.incoming import MAX_EVENTS, IncomingEvent
from app.usage.service import ingest

ACTOR = system("metrograph ingest", kind="command")


def mapping_from(columns: list[str], constants: list[str], zone: str) -> RowMapping:
    """The options as a mapping; ends with a usage error that names what is wrong."""
    try:
        return RowMapping(pairs(columns, option="--map"), pairs(constants, option="--set"), ZoneInfo(zone))
    except BillingError as error:
        fail(error.message, Exit.USAGE)
    except (ZoneInfoNotFoundError, ValueError):
        fail(f"--zone {zone!r} is not a time zone; write UTC or Europe/Berlin.", Exit.USAGE)


async def ingest_files(
    runtime: Runtime, files: list[Path], mapping: RowMapping, *, allow_historical: bool, as_json: bool
) -> Exit | None:
    """Read every file in batches; a refused batch stops with its rows named, what came before it is stored."""
    accepted, duplicates = 0, 0
    conflicts: list[dict[str, Any]] = []
    total = sum(count(file) for file in files)
    with progress() as bar:
        task = bar.add_task("ingest", total=total, rate="")
        for file in files:
            offset = 0
            for batch in _batches(read(file, mapping)):
                try:
                    async with runtime.store.transaction() as session:
                        result = await ingest(
                            session, batch, actor=ACTOR, now=runtime.clock.now(), source="file",
                            allow_historical=allow_historical,
                        )  # fmt: skip
                except BatchRefused as refused:
                    for problem in refused.problems[:20]:
                        note(f"{file.name}, event {offset + problem.index + 1}: {problem.code}: {problem.message}")
                    fail(f"Nothing of this batch was stored. Before it: {accepted} accepted, {duplicates} duplicates.")
                accepted, duplicates = accepted + result.accepted, duplicates + result.duplicates
                conflicts += [
                    {"index": offset + item.index, "transactionId": item.transaction_id, "message": item.message}
                    for item in result.conflicts
                ]
                offset += len(batch)
                speed = bar.tasks[0].speed or 0
                bar.update(task, advance=len(batch), rate=f"{speed:,.0f}/s")
    if as_json:
        emit({"accepted": accepted, "duplicates": duplicates, "conflicts": conflicts})
    else:
        say(f"{accepted} accepted, {duplicates} duplicates, {len(conflicts)} conflicts")
        for conflict in conflicts[:20]:
            note(str(conflict["message"]))
    return Exit.DONE_WITH_FAILURES if conflicts else None


def _batches(events: Iterable[IncomingEvent]) -> Iterator[list[IncomingEvent]]:
    iterator = iter(events)
    while batch := list(islice(iterator, MAX_EVENTS)):
        yield batch
