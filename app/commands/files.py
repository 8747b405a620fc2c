"""`metrograph ingest`: usage files in, with a progress bar; the same command again finds only duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.actor import system
from app.commands.shell import Exit, emit, fail, note, progress, say
from app.commands.usage_files import Located, RowMapping, check_header, count, pairs, read
from app.errors import BillingError, ErrorCode, InvalidInput
from app.runtime import Runtime
from app.usage.checking import BatchRefused
from app.usage.incoming import MAX_EVENTS
from app.usage.service import ingest

ACTOR = system("metrograph ingest", kind="command")


def mapping_for(files: list[Path], columns: list[str], constants: list[str], zone: str) -> RowMapping:
    """The options as a mapping that fits every file; ends with a usage error that names what is wrong."""
    try:
        in_zone = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fail(f"--zone {zone!r} is not a time zone; write UTC or Europe/Berlin.", Exit.USAGE)
    try:
        mapping = RowMapping(pairs(columns, option="--map"), pairs(constants, option="--set"), in_zone)
        for file in files:
            check_header(file, mapping)
    except BillingError as error:
        fail(error.message, Exit.USAGE)
    return mapping


@dataclass(slots=True)
class Tally:
    """What became of the events so far."""

    accepted: int = 0
    duplicates: int = 0
    conflicts: list[dict[str, Any]] = field(default_factory=list)


async def ingest_files(
    runtime: Runtime, files: list[Path], mapping: RowMapping, *, allow_historical: bool, as_json: bool
) -> Exit | None:
    """Read every file in batches; a refused batch stops with its rows named, what came before it is stored."""
    tally = Tally()
    with progress() as bar:
        task = bar.add_task("ingest", total=sum(count(file) for file in files), rate="")
        for file in files:
            try:
                for batch in _batches(read(file, mapping)):
                    await _ingest(runtime, file, batch, tally, allow_historical=allow_historical)
                    bar.update(task, advance=len(batch), rate=f"{bar.tasks[0].speed or 0:,.0f}/s")
            except InvalidInput as error:
                if not isinstance(error, BatchRefused):
                    note(f"{file.name}, {error.message}")
                fail(
                    "Nothing of this batch was stored. "
                    f"Before it: {tally.accepted} accepted, {tally.duplicates} duplicates."
                )
    if as_json:
        emit({"accepted": tally.accepted, "duplicates": tally.duplicates, "conflicts": tally.conflicts})
    else:
        say(f"{tally.accepted} accepted, {tally.duplicates} duplicates, {len(tally.conflicts)} conflicts")
        for conflict in tally.conflicts[:20]:
            note(f"{conflict['file']}, line {conflict['line']}: {conflict['message']}")
    return Exit.DONE_WITH_FAILURES if tally.conflicts else None


async def _ingest(runtime: Runtime, file: Path, batch: list[Located], tally: Tally, *, allow_historical: bool) -> None:
    """One batch in one transaction; the rows of a refused one are named by their lines."""
    events = [located.event for located in batch]
    try:
        async with runtime.store.transaction() as session:
            found = await ingest(
                session, events, actor=ACTOR, now=runtime.clock.now(), source="file", allow_historical=allow_historical
            )
    except BatchRefused as refused:
        for problem in refused.problems[:20]:
            note(f"{file.name}, line {batch[problem.index].line}: {problem.code}: {problem.message}")
        if any(problem.code is ErrorCode.EVENT_TOO_OLD for problem in refused.problems):
            note("Older events are taken in with --allow-historical.")
        raise
    tally.accepted += found.accepted
    tally.duplicates += found.duplicates
    tally.conflicts += [
        {
            "file": file.name,
            "line": batch[conflict.index].line,
            "transactionId": conflict.transaction_id,
            "message": conflict.message,
        }
        for conflict in found.conflicts
    ]


def _batches(events: Iterable[Located]) -> Iterator[list[Located]]:
    iterator = iter(events)
    while batch := list(islice(iterator, MAX_EVENTS)):
        yield batch
