"""SIGKILL at random while several processes share one billing run: no invoice is missing, doubled or half written.

Four `metrograph invoices finalize` work on one run. At random points of its progress one of them, any, is killed and
another one started in its place. What is put together of several statements is killed at the worst points by name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from app.commands.checking import RULES
from app.invoices.books import changed_invoices
from app.store.engine import Store
from benchmarks.book import NOW, card_of, many_contracts

CONTRACTS, KILLS = (2_000, 20) if os.environ.get("METROGRAPH_STRESS") else (200, 2)
WORKERS, PRODUCTS, SEED = 4, 3, 5
SIZE = 4
"""Contracts of a family."""
LONGEST = 540
"""Seconds without any progress after which the test gives up."""
ROOT = Path(__file__).resolve().parents[2]


def worker(url: str, *, failpoint: str = "") -> subprocess.Popen[bytes]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("METROGRAPH_", "DATABASE"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "invoices", "finalize"],
        env=environment
        | {"DATABASE_URL": url, "METROGRAPH_ENVIRONMENT": "sandbox", "METROGRAPH_CLOCK": NOW.isoformat()}
        | {"METROGRAPH_FAILPOINT": failpoint},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def run_with_kills(url: str, random: Random) -> int:
    """The run to its end; returns how many were killed before theirs."""
    thresholds = sorted(random.sample(range(1, CONTRACTS), KILLS))
    workers = [worker(url) for _ in range(WORKERS)]
    done, last_progress = 0, time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        while any(process.poll() is None for process in workers):
            before, [done] = done, connection.execute("select count(*) from invoices").fetchall()[0]
            last_progress = time.monotonic() if done > before else last_progress
            assert time.monotonic() - last_progress < LONGEST, f"nothing happens after {done} invoices"
            running = [process for process in workers if process.poll() is None]
            if thresholds and done >= thresholds[0] and running:
                thresholds.pop(0)
                victim = random.choice(running)
                victim.send_signal(signal.SIGKILL)
                victim.wait(timeout=20)
                workers.append(worker(url))
            time.sleep(random.uniform(0.01, 0.05))
    assert thresholds == [], "every kill came before the end"
    codes = [process.returncode for process in workers]
    assert codes.count(0) == WORKERS, codes
    return codes.count(-signal.SIGKILL)


@pytest.mark.stress
async def test_no_invoice_is_missing_doubled_or_half_written(store: Store) -> None:
    card = await card_of(store, products=PRODUCTS)
    contracts = await many_contracts(store, card, contracts=CONTRACTS, products=PRODUCTS, credit_for_every=5)
    assert run_with_kills(store.url, Random(SEED)) == KILLS
    async with store.transaction() as session:
        found = await session.execute(text("select contract_id, number from invoices order by number"))
        rows = found.all()
        assert [row.number for row in rows] == list(range(1, CONTRACTS + 1)), "numbers without gaps"
        assert sorted(row.contract_id for row in rows) == sorted(contracts), "each contract once"
        whole = await session.execute(
            text(
                "select count(*) from invoices i join invoice_inputs n on n.invoice_id = i.id "
                "join billing_run_invoices r on r.invoice_id = i.id where (select count(*) from invoice_lines l "
                "where l.invoice_id = i.id and l.type = 'usage') >= :products and "
                "(select count(*) from audit_entries a where a.object_id = i.id) = 1"
            ),
            {"products": PRODUCTS},
        )
        assert whole.scalar_one() == CONTRACTS, "with lines, inputs, audit entry and their run"
        broken = [name for name, (_, query) in RULES.items() if (await session.execute(text(query))).scalar_one()]
        assert broken == []
        assert await changed_invoices(session) == (CONTRACTS, [])
        runs = await session.execute(
            text(
                "select count(distinct run_id), count(*), count(done_at), count(failure_code) from billing_run_contracts"
            )
        )
        assert tuple(runs.one()) == (1, CONTRACTS, CONTRACTS, 0), "one run, and its record is true"


async def families(store: Store, contracts: list[UUID]) -> None:
    """Make every fourth contract the parent of the three behind it, whose statements go out with its own."""
    parents = {contract: contracts[place - place % SIZE] for place, contract in enumerate(contracts)}
    async with store.transaction() as session:
        for contract, parent in parents.items():
            change = (
                "update contracts set consolidation = 'CONCATENATE' where id = :id"
                if contract == parent
                else "update contracts set parent_id = :parent, payer = 'PARENT', usage_statements = 'CONSOLIDATE' where id = :id"
            )
            await session.execute(text(change), {"id": contract, "parent": parent})


async def test_what_is_put_together_survives_a_kill_while_it_is_made(store: Store) -> None:
    """The last statement of a family and the whole come in one transaction, so a kill between them leaves neither."""
    card = await card_of(store, products=2)
    contracts = await many_contracts(store, card, contracts=3 * SIZE, products=2)
    await families(store, contracts)
    found = text("select type, count(*), sum(total) from invoices group by type order by type")
    for failpoint in ("invoices.consolidating", "invoices.consolidated"):
        assert worker(store.url, failpoint=failpoint).wait(timeout=120) == -signal.SIGKILL
        async with store.transaction() as session:
            assert [row[:2] for row in await session.execute(found)] == [("USAGE", 3 * SIZE - 3)]
    workers = [worker(store.url) for _ in range(2)]
    assert [process.wait(timeout=120) for process in workers] == [0, 0]
    async with store.transaction() as session:
        usage, whole = (await session.execute(found)).all()
        assert (usage[:2], whole[:2]) == (("USAGE", 3 * SIZE), ("USAGE_CONSOLIDATED", 3))
        assert whole.sum == usage.sum
        numbers = await session.execute(text("select number from invoices order by number"))
        assert list(numbers.scalars()) == list(range(1, 3 * SIZE + 4)), "numbers without gaps"
        parts = text(
            "select count(*), count(distinct invoice_id), count(distinct consolidated_id) from invoice_constituents"
        )
        assert tuple((await session.execute(parts)).one()) == (3 * SIZE, 3 * SIZE, 3), "each statement in one whole"
        broken = [name for name, (_, query) in RULES.items() if (await session.execute(text(query))).scalar_one()]
        assert broken == []
        assert await changed_invoices(session) == (3 * SIZE + 3, [])
