"""What every command does the same way: open the deployment, print for people or machines, end with a code.

Owns exit codes and the two output streams: data goes to stdout, progress and notes to stderr.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app import settings as settings_module
from app.commands.logs import configure_logs
from app.errors import BillingError
from app.runtime import Runtime, opened
from app.settings import BadSettings, Settings
from app.store.binaries import NoPostgres

NOTES = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes of every command (docs/commands.md)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DONE_WITH_FAILURES = 3


def fail(message: str, code: Exit = Exit.FAILED) -> NoReturn:
    """Say why on stderr, and end."""
    NOTES.print(message, style="red", markup=False)
    raise typer.Exit(int(code))


def emit(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def say(line: str = "") -> None:
    """One line of data on stdout."""
    sys.stdout.write(line + "\n")


def say_line(document: Mapping[str, object], line: str, *, as_json: bool) -> None:
    """One line of data at once, for who waits for it: a document on one line, or words."""
    say(json.dumps(document, ensure_ascii=False, default=str) if as_json else line)
    sys.stdout.flush()


def note(line: str) -> None:
    """One line for the person at the screen, on stderr."""
    NOTES.print(line, markup=False)


def load_settings() -> Settings:
    """The checked settings; every problem is printed at once."""
    try:
        found = settings_module.load()
    except BadSettings as error:
        fail(str(error), Exit.USAGE)
    configure_logs(found.log_level)
    return found


def run(work: Callable[[Runtime], Awaitable[Exit | None]], *, settings: Settings | None = None, **options: Any) -> None:
    """Open the deployment, do the work, close it, and end with its code."""
    chosen = settings or load_settings()

    async def main() -> Exit | None:
        async with opened(chosen, **options) as runtime:
            return await work(runtime)

    try:
        code = asyncio.run(main())
    except (BadSettings, NoPostgres) as error:
        fail(str(error), Exit.USAGE)
    except BillingError as error:
        fail(f"{error.code}: {error.message}")
    except KeyboardInterrupt:
        fail("Interrupted. Everything so far is stored; the same command goes on from here.")
    if code:
        raise typer.Exit(int(code))


def progress() -> Progress:
    """A bar with count, time and rest; silent when stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=NOTES, disable=not NOTES.is_terminal,
    )  # fmt: skip
