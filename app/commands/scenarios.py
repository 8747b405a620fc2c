"""`metrograph scenario run`: scenario files through the real services, on throwaway databases."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from pathlib import Path

from app.commands.shell import Exit, configure_logs, fail, note, say
from app.scenario.runner import Verdict, run_file
from app.store import embedded, migrate

TEMPLATE = "scenario_template"


async def run(paths: list[Path], *, strict: bool, keep: bool, pending: Path | None) -> Exit:
    """Run every file; prints a difference for each failure and closes with the counts.

    With `pending` the listed files are expected to fail: one that passes, or that is missing, fails the run, so that
    the list only shrinks.
    """
    configure_logs("error")
    files = sorted({file for path in paths for file in (path.glob("*.json") if path.is_dir() else [path])})
    if not files:
        fail("No scenario files there.", Exit.USAGE)
    folder = await asyncio.to_thread(_folder)
    cluster = await asyncio.to_thread(embedded.start, folder, durable=False)
    try:
        cluster.create_database(TEMPLATE)
        await asyncio.to_thread(migrate.upgrade, cluster.url(TEMPLATE))
        verdicts = [await _run_one(cluster, file, strict=strict, keep=keep) for file in files]
    finally:
        if not keep:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)
    return _report(verdicts, pending)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="metrograph-scenarios-"))
    folder.chmod(0o711)  # root's server runs under another account, which must pass through
    return folder


async def _run_one(cluster: embedded.Cluster, file: Path, *, strict: bool, keep: bool) -> Verdict:
    name = f"s_{uuid.uuid4().hex}"
    cluster.create_database(name, template=TEMPLATE)
    verdict = await run_file(file, cluster.url(name), strict=strict)
    if keep and not verdict.passed:
        note(f"{file.name}: kept at {cluster.url(name)}")
    else:
        cluster.drop_database(name)
    return verdict


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
