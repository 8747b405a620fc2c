"""`metrograph demo`: the whole product on one machine, from nothing, in one command.

Owns the demo's folder and its keys. A demo keeps its settings beside its database, so that later commands
on the same folder find its day, its keys and its stand-ins.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from app import settings as settings_module
from app.clock import Clock
from app.commands import serve as serving
from app.commands import shell
from app.demo import story
from app.demo.summary import readable, summary
from app.runtime import DATABASE, Runtime
from app.store import embedded


def demo(*, no_serve: bool, as_json: bool, scale: str, seed: int, host: str, port: int) -> None:
    """Live through the demo's months, print the summary, and serve unless told not to."""
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        listener = None if no_serve else stack.enter_context(serving.bound(host, port))
        folder = stack.enter_context(_folder())
        settings = _settings(folder)

        async def work(runtime: Runtime) -> None:
            with shell.progress() as bar:
                task = bar.add_task("living through two months", total=None, rate="")
                usage = await story.live(
                    runtime, clock_file=folder / "clock", today=Clock().now(), scale=scale, seed=seed,
                    on_day=lambda done, total: bar.update(task, completed=done, total=total),
                )  # fmt: skip
            found = await summary(runtime, usage, seconds=round(time.perf_counter() - started, 1))
            if as_json:
                shell.emit(found)
            else:
                for line in readable(found):
                    shell.say(line)
            if listener is not None:
                shell.note(f"API key: {settings.bootstrap_key}")
                shell.note(f"GraphiQL: http://{host}:{port}/graphql   Ctrl-C ends the demo")
                await serving.serve(runtime, listener, with_worker=True)

        shell.run(work, settings=settings)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """The folder of METROGRAPH_DATA_DIR, emptied of an earlier demo, or a temporary one."""
    chosen = settings_module.data_dir_from_environment()
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="metrograph-demo-", ignore_cleanup_errors=True) as name:
            Path(name).chmod(0o711)
            yield Path(name)
        return
    chosen.mkdir(parents=True, exist_ok=True)
    _empty(chosen)
    yield chosen


def _empty(folder: Path) -> None:
    """Drop the database of an earlier demo; refuse to touch one that is not a demo's."""
    cluster = embedded.start(folder)
    try:
        if cluster.has_database(DATABASE):
            if not (folder / settings_module.DEMO_FILE).exists():
                shell.fail(f"{folder} holds a database that is no demo's. Point METROGRAPH_DATA_DIR somewhere else.")
            cluster.drop_database(DATABASE)
    finally:
        cluster.stop()


def _settings(folder: Path) -> settings_module.Settings:
    """Make the demo's settings, and keep them beside its database."""
    base = shell.load_settings()
    clock_file = folder / "clock"
    story.set_clock(clock_file, Clock().now())
    key = base.bootstrap_key or f"mg_{secrets.token_urlsafe(32)}"
    secret = base.secret_key or secrets.token_urlsafe(48)
    kept = {
        "METROGRAPH_ENVIRONMENT": "sandbox",
        "METROGRAPH_CLOCK": str(clock_file),
        "METROGRAPH_BOOTSTRAP_KEY": key,
        "METROGRAPH_SECRET_KEY": secret,
    }
    file = folder / settings_module.DEMO_FILE
    file.touch(mode=0o600)
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in kept.items()), encoding="utf-8")
    return replace(
        base, environment="sandbox", database_url=None, data_dir=folder, clock_source=str(clock_file),
        bootstrap_key=key, secret_key=secret, connections_file=None, demo=True,
    )  # fmt: skip
