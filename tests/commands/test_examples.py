"""The examples of outcome-based pricing: applied, fed and billed as their pages say, they come to what was worked out by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor, system
from app.clock import Clock, parse_instant
from app.commands.applying import carried_out
from app.commands.catalog_file import read
from app.commands.files import ingest_files, mapping_for
from app.graphql.execution import Gateway, Operation
from app.invoices.reversal_rating import misgiven
from app.invoices.run import run_due
from app.main import create_gateway
from app.runtime import Runtime
from app.settings import Settings
from app.store.engine import Store
from tests.api import accounts
from tests.api.books import assert_sound

ROOT = Path(__file__).resolve().parents[2] / "examples/outcome"
EXAMPLES = sorted(path for path in ROOT.iterdir() if path.is_dir())
NOW = parse_instant("2026-03-02T12:00:00Z")
ACTOR = system("examples")
INVOICES = """{ invoices(first: 100, orderBy: {field: ISSUED_AT, direction: ASC}) { nodes {
  customer { externalId } servicePeriod { startingAt } total { amount } unratedUsage { quantity }
  lines { nodes { type productName quantity unitPrice amount { amount } } } } } }"""


@pytest.fixture
async def runtime(store: Store) -> AsyncIterator[Runtime]:
    connections = accounts.connections(NOW)
    yield Runtime(Settings(environment="sandbox"), store, Clock(NOW.isoformat()), connections)
    await connections.close()


async def run(gateway: Gateway, document: str) -> dict[str, Any]:
    async def authenticate(session: AsyncSession, now: object) -> Actor:
        return ACTOR

    result = await gateway.run(Operation(document), authenticate, request_id="examples")
    assert not result.errors, result.errors
    assert result.data is not None
    return result.data


async def run_files(gateway: Gateway, name: str) -> int:
    """Run the documents of this name; how many there are."""
    files = [folder / name for folder in EXAMPLES if (folder / name).exists()]
    for file in files:
        [payload] = (await run(gateway, file.read_text())).values()
        assert payload["userErrors"] == [], file
    return len(files)


def said(invoice: dict[str, Any]) -> dict[str, Any]:
    return {
        "month": invoice["servicePeriod"]["startingAt"][:7],
        "total": invoice["total"]["amount"],
        "unrated": [item["quantity"] for item in invoice["unratedUsage"]],
        "lines": [
            {
                "type": line["type"],
                "product": line["productName"],
                "quantity": line["quantity"],
                "unitPrice": line["unitPrice"],
                "amount": line["amount"]["amount"],
            }
            for line in invoice["lines"]["nodes"]
        ],
    }


async def test_every_example_comes_to_its_invoices(runtime: Runtime) -> None:
    gateway = create_gateway(runtime.settings, runtime.store, runtime.clock, providers=runtime.connections)
    entries = read([folder / name for folder in EXAMPLES for name in ("catalog.yaml", "contract.yaml")])
    assert {step.action for step in await carried_out(gateway, entries, keep=True)} == {"create"}
    events = [folder / "events.jsonl" for folder in EXAMPLES]
    mapping = mapping_for(events, [], [], "UTC")
    assert await ingest_files(runtime, events, mapping, allow_historical=True, as_json=False) is None
    assert await run_files(gateway, "void.graphql") == 1
    await run_due(runtime.store, actor=ACTOR, as_of=parse_instant("2026-02-02T00:00:00Z"), now=NOW)
    assert await run_files(gateway, "reversal.graphql") == 2
    await run_due(runtime.store, actor=ACTOR, as_of=NOW, now=NOW)
    found: dict[str, list[dict[str, Any]]] = {}
    for invoice in (await run(gateway, INVOICES))["invoices"]["nodes"]:
        found.setdefault(invoice["customer"]["externalId"], []).append(said(invoice))
    for folder in EXAMPLES:
        [contract] = [entry for entry in read([folder / "contract.yaml"]) if entry.section == "customers"]
        assert found.pop(contract.key) == json.loads((folder / "invoices.json").read_text()), folder.name
    assert found == {}
    assert {step.action for step in await carried_out(gateway, entries, keep=False)} == {"none"}
    await assert_sound(runtime.store, NOW)
    async with runtime.store.transaction() as session:
        assert await misgiven(session) == (2, [])


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_a_page_names_every_file_of_its_folder(folder: Path) -> None:
    page = (folder / "README.md").read_text()
    named = {Path(word).name for word in page.split() if word.startswith(f"examples/outcome/{folder.name}/")}
    assert named == {file.name for file in folder.iterdir()} - {"README.md", "invoices.json"}
    assert len(page.splitlines()) <= 40, "one screen"
