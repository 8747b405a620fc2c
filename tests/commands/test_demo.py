"""The demo: the whole product on one machine, and nothing left to do afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.demo.company import LINES, OUTCOMES
from app.runtime import DATABASE
from app.store import embedded, throwaway
from tests.commands.conftest import metrograph
from tests.commands.faults import missed_faults

SCALE = "medium" if os.environ.get("METROGRAPH_STRESS") else "small"
PROVIDERS = {"stripe", "aws_marketplace", "azure_marketplace"}
SHAPE = {
    "provider", "contract", "customer", "invoice", "status", "total", "currency", "acknowledged", "effectiveAt",
    "servicePeriodEnd",
}  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that the server's account can reach."""
    made = throwaway.folder("mg-demo-")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def make_database(folder: Path) -> None:
    cluster = embedded.start(folder, durable=False)
    cluster.create_database(DATABASE)
    with psycopg.connect(cluster.url(DATABASE)) as connection:
        connection.execute("create table of_before (n int)")
    cluster.stop()


def ask(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    cluster = embedded.start(folder, durable=False)
    try:
        with psycopg.connect(cluster.url(DATABASE)) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[call-overload]
    finally:
        cluster.stop()


@pytest.mark.stress
def test_the_demo_delivers_everything_once_and_then_nothing_is_left_to_do(folder: Path) -> None:
    make_database(folder)
    (folder / "demo.toml").write_text('METROGRAPH_ENVIRONMENT = "sandbox"\n')
    env = {"METROGRAPH_DATA_DIR": str(folder)}
    demo = metrograph("demo", "--no-serve", "--json", "--scale", SCALE, env=env)
    assert demo.code == 0, demo.err
    summary = demo.document
    assert set(summary) >= {"customers", "contracts", "events", "invoices", "deliveries", "seconds"}
    assert summary["customers"] > 0
    assert summary["contracts"] > summary["customers"]
    assert summary["events"]["accepted"] > 0
    assert summary["events"]["conflicts"] == 0
    assert summary["invoices"]["finalized"] == len(summary["deliveries"])
    assert summary["invoices"]["void"] == 0
    for delivery in summary["deliveries"]:
        assert set(delivery) >= SHAPE
        assert delivery["status"] == "delivered"
        assert delivery["acknowledged"] == delivery["total"]
        is_stripe = delivery["provider"] == "stripe"
        assert (delivery["effectiveAt"] is not None) == is_stripe
        if is_stripe:
            end = datetime.fromisoformat(delivery["servicePeriodEnd"])
            assert datetime.fromisoformat(delivery["effectiveAt"]) == end - timedelta(seconds=1)
    assert {delivery["provider"] for delivery in summary["deliveries"]} == PROVIDERS
    clouds: dict[str, set[str]] = {}
    for delivery in summary["deliveries"]:
        clouds.setdefault(delivery["customer"], set()).add(delivery["provider"])
    assert PROVIDERS - {"stripe"} in clouds.values(), "one customer buys through two clouds"

    outcomes = {line.name for line in LINES if line.event_type in OUTCOMES}
    billed = ask(folder, "select distinct l.product_name from invoice_lines l where l.type = 'usage' and l.amount > 0")
    assert outcomes <= {name for (name,) in billed}, "each of the models of examples/outcome is billed"
    assert ask(folder, "select count(*) > 0, bool_and(reason = 'fraud chargeback') from outcome_reversals") == [
        (True, True)
    ]
    assert ask(folder, "select to_regclass('of_before')") == [(None,)], "an earlier demo is replaced"
    calls = ask(folder, "select count(*), max(id) from sandbox.calls")
    again = metrograph("sync", "all", "--json", env=env)
    assert again.code == 0
    assert again.document == {"opened": 0, "attempted": 0, "slotsSent": 0, "delivered": 0, "failed": 0}
    assert ask(folder, "select count(*), max(id) from sandbox.calls") == calls
    books = metrograph("check", "--json", env=env)
    assert (books.code, books.document["ok"]) == (0, True), books.out
    doctor = metrograph("doctor", "--json", env=env)
    assert (doctor.code, doctor.document["ok"]) == (0, True), doctor.out

    proof = metrograph("recompute", "--all", "--json", env=env)
    total = summary["invoices"]["finalized"]
    counts = {"recomputed": total, "same": total, "different": 0, "notRecomputable": 0}
    assert (proof.code, proof.document) == (0, {"ok": True, **counts, "invoices": []})
    assert asyncio.run(missed_faults(folder)) == [], "each planted fault is found, and nothing else"


def test_a_database_that_is_no_demos_is_refused(folder: Path) -> None:
    make_database(folder)
    refused = metrograph("demo", "--no-serve", env={"METROGRAPH_DATA_DIR": str(folder)})
    assert (refused.code, refused.out) == (1, "")
    assert "Point METROGRAPH_DATA_DIR somewhere else" in refused.err
    assert ask(folder, "select count(*) from of_before") == [(0,)]
