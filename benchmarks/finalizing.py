"""What the billing run costs beside a plain COPY of the rows that it writes, and that its cost per invoice stays flat.

A process for each core finalizes, as with the command and the workers of a deployment, and one alone beside that. The
finding of what is due is part of it, the start of processes is not. The COPY writes the same rows in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from statistics import median
from typing import Any, LiteralString, cast
from uuid import UUID

from psycopg import AsyncConnection, sql
from sqlalchemy import text

from app.commands.run_processes import RunProcesses, cores
from app.invoices.due import due_contracts
from app.invoices.next_due import look_ahead
from app.invoices.run import run_due
from app.store.engine import Store, raw_connection
from benchmarks.book import ACTOR, NOW, card_of, many_contracts

PRODUCTS = 10
SMALL, LARGE = 1_000, 10_000
TIMES = 5
"""Runs of the small size, and COPYs of their rows in between: the machine drifts, so medians are compared."""
MADE = "(select invoice_id from billing_run_invoices where run_id = {run})"
WRITTEN = {
    "invoices": f"id in {MADE}",
    "invoice_lines": f"invoice_id in {MADE}",
    "invoice_inputs": f"invoice_id in {MADE}",
    "audit_entries": f"object_id in {MADE}",
    "billing_run_contracts": "run_id = {run}",
    "billing_run_invoices": "run_id = {run}",
    "lifetime_billings": f"customer_id in (select customer_id from invoices where id in {MADE})",
    "notices": f"subject_id in {MADE}",
}
"""Which rows of which table a run writes."""
NAMED = ("customers", "metrics", "products", "product_versions", "rate_cards", "rates", "contracts", "billing_runs")
"""Tables with the rows that those name, in an order in which they can be written."""


async def measure(url: str, other_url: str) -> dict[str, float]:
    """Runs over 1,000 contracts, the COPY of their rows, and a run over 10,000 more."""
    store, other = await Store(url).open(), await Store(other_url).open()
    others = RunProcesses(url, at_most=cores() - 1)
    await others.start(cores() - 1)
    try:
        card_id = await card_of(store, products=PRODUCTS)

        async def run(contracts: int, name: str, others: RunProcesses | None) -> tuple[float, UUID]:
            made = await many_contracts(store, card_id, contracts=contracts, products=PRODUCTS, name=name)
            return await _run(store, made, others)

        await run(SMALL, "w", others)  # What a process does once, such as compiling its statements, is done.
        small, alone, copied, bare = (list[float]() for _ in range(4))
        for turn in range(TIMES):
            seconds, run_id = await run(SMALL, f"s{turn}", others)
            small.append(seconds)
            rows = await _written(store, other, run_id)
            copied.append(await _copy(other, rows))
            bare.append(await _copy(other, {f"copy_of_{table}": content for table, content in rows.items()}))
            alone.append((await run(SMALL, f"a{turn}", None))[0])
        large, _ = await run(LARGE, "l", others)
        idle = await _idle(store)
        each, plain = median(small) / SMALL, median(copied) / SMALL
        return {
            f"finalizing {SMALL:,} contracts x {PRODUCTS} lines, invoices per second": 1 / each,
            "COPY of the same rows, invoices per second": 1 / plain,
            f"COPY / finalizing by {cores()} processes in time, goal at least 0.25": plain / each,
            "COPY / finalizing by one process": median(copied) / median(alone),
            "COPY into tables without keys, checks and triggers / finalizing": median(bare) / median(small),
            f"one invoice of {SMALL:,} contracts, ms": each * 1000,
            f"one invoice of {LARGE:,} contracts, ms": large / LARGE * 1000,
            f"cost per invoice, {LARGE:,} contracts / {SMALL:,}, goal about 1": large / LARGE / each,
            f"finding that nothing is due of {(1 + 2 * TIMES) * SMALL + LARGE:,} contracts, ms": idle * 1000,
        }
    finally:
        await others.aclose()
        await store.close()
        await other.close()


async def _run(store: Store, contracts: Sequence[UUID], others: RunProcesses | None) -> tuple[float, UUID]:
    """The seconds of a run, and its id.

    What an hour leaves behind was done before: whom nothing is due of is known, and what was loaded at once is vacuumed,
    which would otherwise begin in the middle of a run and take a core of it.
    """
    await look_ahead(store, now=NOW)
    async with await AsyncConnection.connect(store.url, autocommit=True) as connection:
        await connection.execute("vacuum analyze")
    started = time.perf_counter()
    report = await run_due(store, actor=ACTOR, as_of=NOW, now=NOW, others=others)
    seconds = time.perf_counter() - started
    assert (report.finalized, report.failed) == (len(contracts), 0), report.failures
    [run_id] = report.runs
    return seconds, run_id


async def _written(store: Store, other: Store, run_id: UUID) -> dict[str, bytes]:
    """Every row that the run wrote, by table, to be written again into the tables of another deployment, and into bare ones.

    The other one has the rows that these name, and the same keys, checks and triggers. Bare tables have the indexes alone:
    what the machine could do at best.
    """
    for table in NAMED:
        async with other.transaction() as session:
            await session.execute(text(f"create temporary table brought (like {table}) on commit drop"))
            await _copy_rows(await raw_connection(session), "brought", await _rows_of(store, table, "true", run_id))
            await session.execute(text(f"insert into {table} select * from brought on conflict do nothing"))
    async with other.transaction() as session:
        for table in WRITTEN:
            await session.execute(text(f"create table if not exists copy_of_{table} (like {table} including all)"))
    return {table: await _rows_of(store, table, condition, run_id) for table, condition in WRITTEN.items()}


async def _rows_of(store: Store, table: str, condition: str, run_id: UUID) -> bytes:
    buffer = BytesIO()
    query = sql.SQL("copy (select * from {} where {}) to stdout (format binary)").format(
        sql.Identifier(table), sql.SQL(cast("LiteralString", condition)).format(run=sql.Literal(run_id))
    )
    async with store.pool.connection() as connection, connection.cursor().copy(query) as copy:
        async for block in copy:
            buffer.write(block)
    return buffer.getvalue()


async def _copy(store: Store, contents: Mapping[str, bytes]) -> float:
    """The seconds that it takes to write tables in one transaction."""
    async with store.pool.connection() as connection:
        started = time.perf_counter()
        for table, rows in contents.items():
            await _copy_rows(connection, table, rows)
        await connection.commit()
        return time.perf_counter() - started


async def _copy_rows(connection: AsyncConnection[Any], table: str, rows: bytes) -> None:
    query = sql.SQL("copy {} from stdin (format binary)").format(sql.Identifier(table))
    async with connection.cursor().copy(query) as copy:
        await copy.write(rows)


async def _idle(store: Store) -> float:
    """What an hourly run costs when everything is final and nothing has changed."""
    await look_ahead(store, now=NOW)
    async with store.transaction() as session:
        await session.execute(text("analyze due_customers"))
        started = time.perf_counter()
        assert await due_contracts(session, as_of=NOW) == []
        return time.perf_counter() - started
