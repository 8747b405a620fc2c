"""Runs scenario files: each on a database of its own, step by step, compared as it goes.

Owns the course of one file and its verdict. A file that cannot be understood, and one whose run breaks, count as
failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from app.clock import parse_instant
from app.scenario.breakdowns import windows_that_do_not_add_up
from app.scenario.comparing import differences
from app.scenario.founding import found
from app.scenario.histories import histories_that_mislead
from app.scenario.marketplace import scenario_connections
from app.scenario.reading import NotUnderstood, read
from app.scenario.steps import advance, carry_out
from app.scenario.stream import Stream
from app.scenario.world import World
from app.store.engine import Store


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one file ended: what differed, or why it could not be run. Empty means passed."""

    file: Path
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.problems


async def run_file(file: Path, database_url: str, *, strict: bool) -> Verdict:
    """Run one scenario on a fresh, migrated database."""
    try:
        scenario = read(file)
    except NotUnderstood as error:
        return Verdict(file, [f"not understood: {error}"])
    store = await Store(database_url, max_connections=4).open()
    try:
        world = World(store, scenario_connections())
        first = parse_instant(scenario["steps"][0]["at"])
        await found(world, scenario, now=first)
        stream, previous = Stream(scenario.get("events", [])), None
        problems: list[str] = []
        for number, step in enumerate(scenario["steps"]):
            at = parse_instant(step["at"])
            await advance(world, stream, previous=previous, at=at)
            result = await carry_out(world, step, number=number, at=at)
            path = f"step {number} ({step['action']} at {step['at']})"
            problems += differences(result, step.get("expect", result), strict=strict, path=path)
            previous = at
        if previous is not None:
            problems += await windows_that_do_not_add_up(world, at=previous)
        problems += await histories_that_mislead(world)
        return Verdict(file, problems)
    except Exception as error:
        # Whatever breaks is this file's failure, told with its type; the other files still run.
        return Verdict(file, [f"broke: {type(error).__name__}: {error}"])
    finally:
        await store.close()
