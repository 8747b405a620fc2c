"""The billing run by hand: preview, finalize, deliver, verify the books; each again finds nothing left to do."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import builders
from tests.api.conftest import Api
from tests.commands.conftest import Deployment


@pytest.fixture
async def seller(api: Api, deployment: Deployment, tmp_path: Path) -> dict[str, Any]:
    """Three calls of Alder's in October 2026, billed through Stripe; it is the second of November."""
    deployment.now = "2026-11-02T12:00:00Z"
    card = await builders.rate_card(api, rates=[builders.rate((await builders.product(api))["id"], "0.335")])
    alder = await builders.customer(api, name="Alder", externalId="alder")
    configuration = await builders.configuration(api, alder["id"])
    contract = await builders.contract(
        api, alder["id"], card["id"], starting_at="2026-10-01T00:00:00Z", billingConfigurationId=configuration["id"]
    )
    file = tmp_path / "usage.jsonl"
    file.write_text(
        "".join(
            json.dumps({"transactionId": str(n), "timestamp": f"2026-10-1{n}T00:00:00Z", "properties": {"n": n}}) + "\n"
            for n in (1, 2, 4)
        )
    )
    constants = ("--set", "customerId=alder", "--set", "eventType=call")
    found = await asyncio.to_thread(deployment.run, "ingest", file, *constants, "--json")
    assert found.document["accepted"] == 3, found.err
    return contract


def test_a_month_from_preview_to_delivery(deployment: Deployment, seller: dict[str, Any]) -> None:
    preview = deployment.run("invoices", "preview", "--json")
    october, november = preview.document["drafts"]
    assert (october["total"], october["currency"], october["isDue"]) == ("2.345", "USD", True)
    assert (november["total"], november["isDue"]) == ("0", False)
    assert october["contract"] == seller["id"]

    planned = deployment.run("invoices", "finalize", "--dry-run", "--json").document
    [would_be] = planned.pop("invoices")
    assert planned == {"dueContracts": [seller["id"]], "totals": {"USD": "2.35"}, "failures": 0}
    assert (would_be["invoice"], would_be["total"], would_be["type"]) == (october["invoice"], "2.35", "USAGE")
    assert deployment.run("invoices", "finalize", "--dry-run").out.splitlines()[-1] == "1 would be final 2.35 USD"
    finalized = deployment.run("invoices", "finalize", "--json").document
    [job] = finalized.pop("jobs")
    assert job.startswith("job_")
    assert finalized == {"finalized": 1, "totals": {"USD": "2.35"}, "failures": 0}
    assert deployment.run("invoices", "finalize").out.startswith("0 finalized")

    assert deployment.run("sync", "--dry-run", "--json").document == {"invoices": 1, "meteredConfigurations": 0}
    assert deployment.run("sync", "aws", "--json").document["delivered"] == 0
    sent = deployment.run("sync", "all", "--json")
    assert sent.code == 0
    assert {name: sent.document[name] for name in ("opened", "delivered", "failed")} == {
        "opened": 0,
        "delivered": 1,
        "failed": 0,  # the sweep for AWS opened it, and left it to Stripe's
    }
    calls = stripe_calls(deployment)
    assert calls > 0
    assert deployment.run("sync", "all", "--json").document["delivered"] == 0
    assert stripe_calls(deployment) == calls, "a second sync calls nobody"

    compared = deployment.run("reconcile", "--period", "2026-11", "--json")
    assert compared.code == 0, compared.out
    accounts = {item["connection"]: item for item in compared.document["accounts"]}
    assert (accounts["stripe-sandbox"]["ours"], accounts["stripe-sandbox"]["discrepancies"]) == ({"USD": "2.35"}, [])
    assert "no read" in accounts["aws-sandbox"]["problem"]
    tamper(deployment, "update deliveries set total = total + 1")
    compared = deployment.run("reconcile", "--provider", "stripe", "--period", "2026-11-02")
    assert compared.code == 1
    assert "AMOUNT" in compared.out
    tamper(deployment, "update deliveries set total = total - 1")

    checked = deployment.run("check", "--json")
    assert (checked.code, checked.document["ok"]) == (0, True)
    tamper(deployment, "update invoice_lines set amount = amount + 1 where type = 'usage'")
    checked = deployment.run("check", "--json")
    assert (checked.code, checked.document["ok"]) == (1, False)
    broken = {item["rule"]: item["broken"] for item in checked.document["checks"] if item["broken"]}
    assert broken["the lines of every invoice add up to its total"] == 1
    assert broken["every invoice still has the content that was hashed"] == 1
    assert "BROKEN  the lines of every invoice" in deployment.run("check").out


def test_outside_a_sandbox_endpoints_hear_of_it_too(deployment: Deployment, seller: dict[str, Any]) -> None:
    """A sandbox, and the process that runs these tests, have much loaded that a command by itself has not."""
    metrograph = Path(sys.executable).with_name("metrograph")
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": deployment.database_url}
    ended = subprocess.run([metrograph, "invoices", "finalize", "--json"], env=env, capture_output=True, check=True)
    finalized = json.loads(ended.stdout)["finalized"]
    assert finalized >= 1
    with psycopg.connect(deployment.database_url) as connection:
        told = connection.execute("select count(*) from notices where type = 'invoice.finalized'").fetchone()
    assert told == (finalized,)


def test_an_instant_that_is_none_is_wrong_use(deployment: Deployment) -> None:
    for instant in ("yesterday", "2026-11-02", "2026-11-02T12:00:00"):
        found = deployment.run("invoices", "preview", "--as-of", instant)
        assert (found.code, found.out) == (2, "")


def stripe_calls(deployment: Deployment) -> int:
    with psycopg.connect(deployment.database_url) as connection:
        return connection.execute("select count(*) from sandbox.calls").fetchall()[0][0]


def tamper(deployment: Deployment, change: str) -> None:
    """Do what only a database administrator can."""
    with psycopg.connect(deployment.database_url) as connection:
        connection.execute("alter table invoice_lines disable trigger user")
        connection.execute(change)  # type: ignore[call-overload]


def test_an_account_is_paused_and_resumed(deployment: Deployment) -> None:
    listed = deployment.run("connections", "list", "--json").document["connections"]
    names = [item["name"] for item in listed]
    assert names == sorted(names)
    assert {item["pausedSince"] for item in listed} == {None}
    name = names[0]
    [paused] = deployment.run("connections", "pause", name, "--reason", "audit", "--json").document["connections"]
    assert (paused["name"], paused["pausedSince"], paused["pauseReason"]) == (name, deployment.now, "audit")
    again = deployment.run("connections", "pause", name, "--reason", "audit")
    assert (again.code, "ILLEGAL_TRANSITION" in again.err, "resume it first" in again.err) == (1, True, True)
    assert f"paused since {deployment.now}: audit; 0 on the way" in deployment.run("connections", "list").out
    resumed = deployment.run("connections", "resume", name)
    assert (resumed.code, " runs; " in resumed.out) == (0, True)
    assert "NOT_FOUND" in deployment.run("connections", "resume", "nowhere").err
    with psycopg.connect(deployment.database_url) as connection:
        found = connection.execute(
            "select action from audit_entries where actor_kind = 'command' order by id"
        ).fetchall()
    assert [action for (action,) in found] == ["provider_account.pause", "provider_account.resume"]
