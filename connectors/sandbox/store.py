"""The stand-ins' memory: schema `sandbox` in a PostgreSQL database.

Owns the tables, the pool and the log of calls. Leaves what the rows mean to the provider modules. State lives in a
database so that it outlives a killed worker, and also a killed sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeAlias

from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = AsyncConnection[Row]
Clock: TypeAlias = Callable[[], datetime]

# Any number will do, as long as nothing else in the database locks on it.
_SCHEMA_LOCK = 7_215_033_001
_SCHEMA = """
create schema if not exists sandbox;
create table if not exists sandbox.calls (
    id bigserial primary key, provider text not null, operation text not null, path text not null,
    state text not null, status int, fault text, at timestamptz not null);
create table if not exists sandbox.faults (
    id bigserial primary key, provider text not null, match text not null, kind text not null,
    skip int not null, times int, seconds numeric not null, seen int not null default 0);
create table if not exists sandbox.stripe_invoices (
    seq bigserial primary key, id text unique not null, customer text not null, body jsonb not null);
create table if not exists sandbox.stripe_keys (
    key text primary key, request text not null, status int not null, body jsonb not null, at timestamptz not null);
create table if not exists sandbox.stripe_credit_notes (
    seq bigserial primary key, id text unique not null, invoice text not null, body jsonb not null);
create table if not exists sandbox.stripe_events (
    seq bigserial primary key, id text unique not null, kind text not null, created bigint not null, body jsonb not null);
create table if not exists sandbox.slots (
    provider text not null, slot text not null, customer text not null, dimension text not null,
    hour timestamptz not null, quantity numeric not null, sends int not null default 1, body jsonb not null,
    primary key (provider, slot));
create table if not exists sandbox.subscriptions (id text primary key, body jsonb not null);
create table if not exists sandbox.operations (id text primary key, subscription text not null, body jsonb not null);
create table if not exists sandbox.agreements (
    customer text primary key, ended_at timestamptz, entitlements jsonb not null);
create table if not exists sandbox.payment_requests (
    seq bigserial primary key, id text unique not null, agreement text not null, term text not null, amount numeric not null,
    body jsonb not null);
create table if not exists sandbox.payment_tokens (token text primary key, content text not null, id text not null);
create table if not exists sandbox.payment_terms (
    agreement text not null, term text not null, most numeric not null, primary key (agreement, term));
create table if not exists sandbox.signing_keys (seq bigserial primary key, kid text unique not null, pem text not null);
create table if not exists sandbox.messages (
    seq bigserial unique, channel text not null, id text not null, body bytea not null,
    sends int not null default 1, at timestamptz not null, primary key (channel, id));
"""
PARTS = {
    "calls": ("calls",),
    "faults": ("faults",),
    "keys": ("stripe_keys", "payment_tokens"),
    "effects": (
        "stripe_invoices",
        "stripe_events",
        "stripe_credit_notes",
        "slots",
        "stripe_keys",
        "subscriptions",
        "operations",
        "agreements",
        "payment_requests",
        "payment_tokens",
        "payment_terms",
        "messages",
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call."""

    kind: str
    seconds: float


class SandboxStore:
    """Opens itself at first use, so that the app also works mounted inside another one, without a lifespan."""

    def __init__(self, dsn: str, clock: Clock) -> None:
        self.clock = clock
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn, min_size=1, max_size=6, open=False, kwargs={"row_factory": dict_row}
        )
        self._opening = asyncio.Lock()
        self._is_open = False

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """One transaction; commits when the block ends well."""
        async with self._opening:
            if not self._is_open:
                await self._pool.open()
                async with self._pool.connection() as connection:
                    await connection.execute("select pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
                    await connection.execute(_SCHEMA)
                self._is_open = True
        async with self._pool.connection() as connection:
            yield connection

    async def close(self) -> None:
        """Return the connections."""
        if self._is_open:
            await self._pool.close()

    async def begin_call(self, provider: str, operation: str, path: str) -> tuple[int, Fault | None]:
        """Log the call and take the fault that is due for it; both are committed before anything else happens."""
        async with self.transaction() as connection:
            cursor = await connection.execute(
                "update sandbox.faults set seen = seen + 1 where provider = %s and position(match in %s) > 0"
                " returning id, kind, skip, times, seconds, seen",
                [provider, f"{operation} {path}"],
            )
            matching = sorted(await cursor.fetchall(), key=lambda row: row["id"])
            due = [row for row in matching if _is_due(row["seen"], skip=row["skip"], times=row["times"])]
            fault = Fault(due[0]["kind"], float(due[0]["seconds"])) if due else None
            cursor = await connection.execute(
                "insert into sandbox.calls (provider, operation, path, state, fault, at)"
                " values (%s, %s, %s, 'running', %s, %s) returning id",
                [provider, operation, path, fault.kind if fault else None, self.clock()],
            )
            row = await cursor.fetchone()
        assert row is not None, "an insert returns its row"
        return row["id"], fault

    async def count(self, provider: str, operation: str, path: str) -> None:
        """Log a call that meets no faults."""
        call, _ = await self.begin_call(provider, operation, path)
        await self.mark_call(call, "done", 200)

    async def mark_call(self, call: int, state: str, status: int | None = None) -> None:
        """Commit where a call stands, so that a test can watch for it."""
        async with self.transaction() as connection:
            await connection.execute(
                "update sandbox.calls set state = %s, status = %s where id = %s", [state, status, call]
            )

    async def rows(self, query: LiteralString, parameters: Sequence[object] = ()) -> list[Row]:
        """Read rows in a transaction of their own."""
        async with self.transaction() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()

    async def reset(self, parts: Sequence[str]) -> None:
        """Forget the named parts."""
        tables = sorted({table for part in parts for table in PARTS[part]})
        async with self.transaction() as connection:
            for table in tables:
                await connection.execute(sql.SQL("truncate {}").format(sql.Identifier("sandbox", table)))


def _is_due(seen: int, *, skip: int, times: int | None) -> bool:
    return seen > skip and (times is None or seen <= skip + times)
