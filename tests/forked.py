"""What the parent of forked processes imports once, and what a `metrograph` process does that was forked from it.

Nothing here may start a thread, open a connection or read a setting on import: every process inherits it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy.orm import configure_mappers

import app.commands
from app.cli import main
from app.delivery.registry import installed_connectors

# Commands import what they need when they run, and the mappers and SDKs take seconds.
for module in pkgutil.iter_modules(app.commands.__path__):
    importlib.import_module(f"app.commands.{module.name}")
configure_mappers()
for point in installed_connectors().values():
    point.load()

STREAMS = ("in", "out", "err")
"""Files of a process's folder that are its standard streams."""


def run_command(arguments: Sequence[str], env: Mapping[str, str], cwd: str, folder: str) -> None:
    """Be `metrograph` with these arguments: in this folder, with this environment alone, and with these streams."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    time.tzset()
    for place, name in enumerate(STREAMS):
        file = os.open(Path(folder) / name, os.O_RDWR | os.O_APPEND)
        os.dup2(file, place)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (open(place, mode, encoding="utf-8") for place, mode in enumerate("rww"))  # noqa: SIM115 - they live as long as the process
    sys.argv = ["metrograph", *arguments]
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Everything is closed; tearing a large process down takes longer than the command.
