"""`make bench`: what the machine could do, what we do, and the ratio of the two, taken in one run.

Absolute figures on a shared machine drift by half; only the ratios are worth comparing. Everything runs against
loopback on a private PostgreSQL with its durability on, and ends by itself.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from app.memory import settle_memory
from app.store import embedded, migrate
from benchmarks import balances, drafts, finalizing, ingest, notices, outcomes, rating


def main() -> None:
    """Run every benchmark; `--json` prints one document."""
    settle_memory()  # As everything that opens a deployment does.
    folder = Path(tempfile.mkdtemp(prefix="metrograph-bench-"))
    folder.chmod(0o711)
    cluster = embedded.start(folder)
    try:
        for name in ("ceiling", "gateway", "drafts", "outcomes", "balances", "finalizing", "copying", "notices"):
            cluster.create_database(name)
        for name in ("gateway", "drafts", "outcomes", "balances", "finalizing", "copying", "notices"):
            migrate.upgrade(cluster.url(name))
        results = {
            "rating": rating.measure(),
            "drafts": asyncio.run(drafts.measure(cluster.url("drafts"))),
            "outcomes": asyncio.run(outcomes.measure(cluster.url("outcomes"))),
            "balances": asyncio.run(balances.measure(cluster.url("balances"))),
            "finalizing": asyncio.run(finalizing.measure(cluster.url("finalizing"), cluster.url("copying"))),
            "notices": asyncio.run(notices.measure(cluster.url("notices"))),
            "ingest": asyncio.run(ingest.measure(cluster.url("ceiling"), cluster.url("gateway"))),
        }
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if "--json" in sys.argv:
        print(json.dumps(results, indent=2))
        return
    for name, figures in results.items():
        print(name)
        for label, value in figures.items():
            print(f"  {label:68} {value:>14,.2f}")


main()
