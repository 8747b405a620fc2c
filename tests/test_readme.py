"""Every block of the README and of docs/ does what it says: run, parsed, or compared with what really comes out."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app import cli
from app.clock import Clock
from app.commands.applying import carried_out
from app.commands.catalog_file import entries_of
from app.delivery.registry import connect
from app.main import create_gateway
from app.settings import Settings
from app.store import throwaway
from app.store.engine import Store
from tests.commands.conftest import metrograph

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")))
ADDRESS = "http://127.0.0.1:8000"
KEY = "key-of-the-readme-test-0123456789"
LISTENING = "text/event-stream"


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text.splitlines()[0][:50]}"


def blocks() -> list[Block]:
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        Block(page, language, text)
        for page in PAGES
        for language, text in fence.findall((ROOT / page).read_text(encoding="utf-8"))
    ]


BLOCKS = blocks()
SHELL = [block for block in BLOCKS if block.language == "sh"]


@dataclass(frozen=True)
class Served:
    """A demo that answers."""

    address: str
    printed: str
    env: dict[str, str]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """`make demo`, on a free port and with a key that is known."""
    folder = throwaway.folder("mg-readme-")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"METROGRAPH_DATA_DIR": str(folder), "METROGRAPH_BOOTSTRAP_KEY": KEY}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("METROGRAPH_", "DATABASE_URL"))}
    with (folder / "printed").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "demo", "--port", str(port)],
            cwd=ROOT,
            env={**kept, "PYTHONPATH": str(ROOT), **env},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    with httpx.Client() as http:
        for _ in range(1_200):
            assert process.poll() is None, (folder / "printed").read_text()
            try:
                if http.get(f"{address}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
    yield Served(address, (folder / "printed").read_text(), env)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=40) == 0, "Ctrl-C ends a demo in order"
    shutil.rmtree(folder, ignore_errors=True)


def test_every_block_has_a_test() -> None:
    """A block of a new kind needs a way to be checked; then it is added here."""
    assert {block.language for block in BLOCKS} == {"sh", "text", "json", "toml", "yaml"}
    programs = {line.split()[0] for block in SHELL for line in commands(block)}
    assert programs == {"git", "make", "curl", ".venv/bin/metrograph", "docker"}


def commands(block: Block) -> list[str]:
    """The commands of a block, continued lines and quotes joined."""
    found: list[str] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if found and found[-1].count("'") % 2:
            found[-1] += f"\n{line}"
        elif line.strip():
            found.append(line)
    return found


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for named in re.findall(r"(?:^|`|&& )make ([a-z]+)", text, re.MULTILINE):
            assert named in targets, f"{page}: make {named}"
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=env).stdout
    assert {line.split()[0] for line in said.splitlines()} == targets


def test_every_command_and_option_that_is_named_exists() -> None:
    """Each command is asked for its help, once; every option that a page writes beside it stands there."""
    table = re.findall(r"^\| `metrograph ([^`]+)`", (ROOT / "docs/commands.md").read_text(), re.MULTILINE)
    assert len(table) > 10
    helps: dict[str, str] = {}
    groups = "|".join(str(group.name) for group in cli.app.registered_groups)
    for usage in table:
        words = re.match(rf"(?:{groups}) \w+|\w+", usage)
        assert words is not None
        if words[0] not in helps:
            asked = CliRunner().invoke(cli.app, [*words[0].split(), "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
            assert asked.exit_code == 0, usage
            helps[words[0]] = asked.output
        for option in re.findall(r"--[a-z-]+", usage):
            assert option in helps[words[0]], f"{words[0]} has no {option}"
    for block in SHELL:
        for line in commands(block):
            for words in re.findall(rf"metrograph (?:-\S+ )*((?:{groups}) \w+|[a-z]+)", line):
                assert words in helps or words.split()[0] in ("metrograph", "serve", "worker"), line


@pytest.mark.parametrize("block", [b for b in SHELL if "curl" in b.text and LISTENING not in b.text], ids=str)
def test_curl_blocks_answer(served: Served, block: Block) -> None:
    done = subprocess.run(**as_written(block, served), capture_output=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    position = BLOCKS.index(block)
    if position + 1 < len(BLOCKS) and BLOCKS[position + 1].language == "json":
        assert done.stdout == BLOCKS[position + 1].text.strip(), "the README shows the exact answer"
    else:
        assert "errors" not in answer, answer
        [nodes] = [found["nodes"] for found in answer["data"].values()]
        assert nodes


@pytest.mark.parametrize("block", [b for b in SHELL if LISTENING in b.text], ids=str)
def test_curl_blocks_listen(served: Served, block: Block) -> None:
    """A stream has no end: it begins with a comment, and then says nothing until something changes."""
    with subprocess.Popen(**as_written(block, served), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listening:
        assert listening.stdout is not None
        ends = threading.Timer(30, listening.kill)
        ends.start()
        assert listening.stdout.readline() == ":\n"
        ends.cancel()
        listening.terminate()


def as_written(block: Block, served: Served) -> dict[str, Any]:
    """How a block is run: as it stands, at the address of the demo."""
    if shutil.which("curl") is None:
        pytest.fail("curl is needed to run the README as written")
    script = block.text.replace(ADDRESS, served.address)
    assert script != block.text
    # The shell becomes its last command, so that it is the one to be ended.
    return {"args": ["bash", "-euc", f"exec {script}" if LISTENING in script else script],
            "env": {**os.environ, "KEY": KEY}, "text": True}  # fmt: skip


def test_the_printed_demo_has_the_shape_that_is_shown(served: Served) -> None:
    shown = next(block.text for block in BLOCKS if block.language == "text" and "customers" in block.text)
    assert shape(served.printed) == shape(shown)


def shape(printed: str) -> list[str]:
    """Without the amounts and days of the day, and without what a server says later."""
    lines = [line.replace(KEY, "mg_…") for line in printed.splitlines() if not line.startswith(("{", "Metrograph "))]
    return [re.sub(r" +", " ", re.sub(r"[\d.,:TZ-]*\d[\d.,:TZ-]*", "0", line)).strip() for line in lines]


def test_files_go_in_as_shown(served: Served, tmp_path: Path) -> None:
    line = next(line for block in SHELL for line in commands(block) if "metrograph ingest" in line)
    words = shlex.split(line)
    assert words[:3] == [".venv/bin/metrograph", "ingest", "usage.csv"]
    file = tmp_path / "usage.csv"
    file.write_text(f"TIME,inputTokens\n{datetime.now(UTC):%Y-%m-%d %H}:00:00.0000000,1200\n")
    found = metrograph("ingest", file, *words[3:], "--json", env=served.env)
    assert (found.code, found.document) == (0, {"accepted": 1, "duplicates": 0, "conflicts": []})


def test_a_key_that_is_made_beside_a_running_server_works_at_once(served: Served) -> None:
    made = metrograph("keys", "create", "--name", "viewer", "--scope", "VIEWER", "--json", env=served.env)
    headers = {"Authorization": f"Bearer {made.document['secret']}"}
    body = {"query": "{ customers(first: 1) { nodes { name } } }"}
    answer = httpx.post(f"{served.address}/graphql", json=body, headers=headers).json()
    assert answer["data"]["customers"]["nodes"], answer


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"], ids=str)
async def test_connections_load_with_secrets_of_their_names(block: Block, tmp_path: Path) -> None:
    text = block.text.replace("/run/secrets", str(tmp_path))
    for name in re.findall(rf"{re.escape(str(tmp_path))}/([\w.]+)", text):
        (tmp_path / name).write_text("secret\n")
    environ = dict.fromkeys(re.findall(r"env:(\w+)", text), "whsec_" + "c2VjcmV0" * 4)
    accounts = connect(tomllib.loads(text)["connections"], environ=environ, now=lambda: datetime.now(UTC))
    assert len(accounts.all()) == 6
    await accounts.close()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yaml"], ids=str)
async def test_catalog_files_are_carried_out(block: Block, store: Store) -> None:
    gateway = create_gateway(Settings(environment="sandbox"), store, Clock("2026-11-02T12:00:00Z"))
    steps = await carried_out(gateway, list(entries_of(block.text, "example.yaml")), keep=False)
    assert {step.action for step in steps} == {"create"}


def test_links_lead_somewhere() -> None:
    for page in (*PAGES, "app/README.md", "connectors/README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
