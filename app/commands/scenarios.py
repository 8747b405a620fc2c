"""`metrograph scenario run`: scenario files through the real services, on throwaway databases, some at a time."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import uuid
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from app.commands.logs import configure_logs
from app.commands.shell import Exit, fail, note, say
from app.scenario.runner import Verdict, run_file
from app.store import embedded, migrate, throwaway

TEMPLATE = "scenario_template"
AT_ONCE = 4
WORTH_A_PROCESS = 8
"""Files from which on another process, which takes seconds to start, saves time."""


async def run(paths: list[Path], *, strict: bool, keep: bool, pending: Path | None) -> Exit:
    """Run every file; prints a difference for each failure and closes with the counts.

    With `pending` the listed files are expected to fail: one that passes, or that is missing, fails the run, so that
    the list only shrinks.
    """
    configure_logs("error")
    files = sorted({file for path in paths for file in (path.glob("*.json") if path.is_dir() else [path])})
    if not files:
        fail("No scenario files there.", Exit.USAGE)
    return _report(await asyncio.to_thread(_run_all, files, strict=strict, keep=keep), pending)


def _run_all(files: list[Path], *, strict: bool, keep: bool) -> list[Verdict]:
    """The verdicts, in the order of the files; some at once, each on a process, when there are many."""
    at_once = min(os.cpu_count() or 1, AT_ONCE) if len(files) >= WORTH_A_PROCESS else 1
    folder = throwaway.folder("metrograph-scenarios-")
    cluster = embedded.start(folder, durable=False)
    try:
        cluster.create_database(TEMPLATE)
        migrate.upgrade(cluster.url(TEMPLATE))
        with _processes(at_once) as processes, ThreadPoolExecutor(at_once) as threads:

            def one(file: Path) -> Verdict:
                return _run_one(cluster, file, processes, strict=strict, keep=keep)

            return list(threads.map(one, files))
    finally:
        if not keep:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)


def _processes(at_once: int) -> Executor:
    """Where files run: processes of their own, or for one at a time a thread of this one."""
    if at_once == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(at_once, mp_context=multiprocessing.get_context("spawn"))


def _run_one(cluster: embedded.Cluster, file: Path, processes: Executor, *, strict: bool, keep: bool) -> Verdict:
    name = f"s_{uuid.uuid4().hex}"
    cluster.create_database(name, template=TEMPLATE)
    verdict = processes.submit(_verdict, file, cluster.url(name), strict).result()
    if keep and not verdict.passed:
        note(f"{file.name}: kept at {cluster.url(name)}")
    else:
        cluster.drop_database(name)
    return verdict


def _verdict(file: Path, url: str, strict: bool) -> Verdict:
    configure_logs("error")
    return asyncio.run(run_file(file, url, strict=strict))


def _report(verdicts: list[Verdict], pending: Path | None) -> Exit:
    listed = set[str]()
    if pending is not None:
        lines = (line.strip() for line in pending.read_text(encoding="utf-8").splitlines())
        listed = {line for line in lines if line and not line.startswith("#")}
    wrong = 0
    for verdict in verdicts:
        name = verdict.file.stem
        if not verdict.passed and name not in listed:
            wrong += 1
            say(f"FAILED {name}")
            for problem in verdict.problems[:10]:
                say(f"  {problem}")
        elif verdict.passed and name in listed:
            wrong += 1
            say(f"FAILED {name}: it passes now; take it off the pending list")
    for name in sorted(listed - {verdict.file.stem for verdict in verdicts}):
        wrong += 1
        say(f"FAILED {name}: on the pending list, but there is no such file")
    waiting = sum(1 for verdict in verdicts if not verdict.passed and verdict.file.stem in listed)
    if waiting:
        say(f"{waiting} pending (listed, and failing as listed)")
    say(f"{sum(verdict.passed and verdict.file.stem not in listed for verdict in verdicts)} passed, {wrong} failed")
    return Exit.FAILED if wrong else Exit.DONE
