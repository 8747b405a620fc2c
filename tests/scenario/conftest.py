"""Small scenarios of our own, run like the golden ones: through the services, on a database of their own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.scenario.runner import run_file

Run = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    """Runs one scenario, strictly, and gives what differed. One customer `acme`, and what the test names."""

    async def run_one(**parts: Any) -> list[str]:
        file = tmp_path / "scenario.json"
        file.write_text(json.dumps({"name": "own", "customers": [{"id": "acme"}], **parts}))
        return (await run_file(file, database_url, strict=True)).problems

    return run_one
