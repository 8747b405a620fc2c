"""SIGKILL at random while several processes share one billing run: no invoice is missing, doubled or half written.

Four `metrograph invoices finalize` work on one run. At random points of its progress one of them, any, is killed and
another one started in its place.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import psycopg
import pytest
from sqlalchemy import text

from app.commands.checking import RULES
from app.invoices.books import changed_invoices
from app.store.engine import Store
from benchmarks.book import NOW, card_of, many_contracts

CONTRACTS, KILLS = (2_000, 20) if os.environ.get("METROGRAPH_STRESS") else (200, 2)
WORKERS, PRODUCTS, SEED = 4, 3, 5
LONGEST = 540
"""Seconds without any progress after which the test gives up."""
ROOT = Path(__file__).resolve().parents[2]


def worker(url: str) -> subprocess.Popen[bytes]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("METROGRAPH_", "DATABASE"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "invoices", "finalize"],
        env=environment
        | {"DATABASE_URL": url, "METROGRAPH_ENVIRONMENT": "sandbox", "METROGRAPH_CLOCK": NOW.isoformat()},
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
