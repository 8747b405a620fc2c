"""`make mutate`: plant small faults in the pricing core, and ask which of them no test of the core notices.

A fault that changes nothing is named in `explained.toml` with the reason; every other survivor fails the run, and so does
an explanation that explains nothing. Files and lines to leave alone stand in `pyproject.toml`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

MUTMUT = Path(sys.executable).parent / "mutmut"
EXPLAINED = Path(__file__).parent / "explained.toml"
NUMBER = re.compile(r"__mutmut_\d+$")


def main() -> int:
    """Run all mutants, or those that are named, and report; 1 when a survivor has no explanation."""
    environ = os.environ | {"HYPOTHESIS_PROFILE": "mutation"}
    subprocess.run([MUTMUT, "run", *sys.argv[1:]], env=environ, check=True)
    survivors = _survivors()
    explained = {(item["function"], item["line"].strip()) for item in tomllib.loads(EXPLAINED.read_text())["mutant"]}
    open_ones = [one for one in survivors if one not in explained]
    for function, line in open_ones:
        print(f"no test notices, in {function}:\n    {line}")
    idle = [] if sys.argv[1:] else sorted(explained - set(survivors))
    for function, line in idle:
        print(f"explained, and not there any more, in {function}:\n    {line}")
    print(f"{len(survivors)} survivors, {len(open_ones)} without explanation")
    return 1 if open_ones or idle else 0


def _survivors() -> list[tuple[str, str]]:
    """Function and changed line of each mutant that no test killed, tests that were not run included."""
    listed = subprocess.run([MUTMUT, "results"], capture_output=True, text=True, check=True).stdout
    found: list[tuple[str, str]] = []
    for row in listed.splitlines():
        name, _, state = row.strip().partition(": ")
        # What runs for ever is noticed too: a test would not end.
        if state in ("survived", "no tests", "suspicious"):
            found.append((NUMBER.sub("", name), _changed(name)))
    return found


def _changed(name: str) -> str:
    """What the fault makes of the line; several lines are joined, and a line that it takes out stands with a minus."""
    shown = subprocess.run([MUTMUT, "show", name], capture_output=True, text=True, check=True).stdout
    body = shown.splitlines()
    new = [line[1:].strip() for line in body if line.startswith("+") and not line.startswith("+++")]
    old = [line.strip() for line in body if line.startswith("-") and not line.startswith("---")]
    return " ".join(new or old)


sys.exit(main())
