"""How fast all processes together call an account: turns are handed out by the database.

Owns the shared turns; a connector that spaces its calls (`connectors.pace.Paced`) is given them when a deployment opens.
Every process would else keep a pace of its own, and ten workers would call ten times as fast as the provider allows.
"""

from __future__ import annotations

import asyncio

import psycopg
from psycopg_pool import PoolTimeout

from app.delivery.registry import Connections
from app.store.engine import Store
from connectors.pace import Pace, Paced

# Durations alone come from the database's clock; nothing that is stored for people does.
TURN = """
insert into connection_paces as p (connection, next_at) values (%(name)s, clock_timestamp() + %(step)s * interval '1 s')
on conflict (connection) do update
set next_at = greatest(p.next_at, clock_timestamp()) + %(step)s * interval '1 s'
returning extract(epoch from p.next_at - clock_timestamp())::float8 - %(step)s
"""


class SharedPace:
    """Turns `per_second` apart at most, for whoever calls the account. Without the database each process paces itself."""

    def __init__(self, store: Store, name: str, per_second: int) -> None:
        self._store, self._name, self._step = store, name, 1 / per_second
        self._own = Pace(per_second)

    async def turn(self) -> None:
        """Wait for a turn; it is taken when it is asked for, so nobody can take it twice."""
        try:
            async with self._store.pool.connection() as connection:
                found = await connection.execute(TURN, {"name": self._name, "step": self._step})
                row = await found.fetchone()
        except (psycopg.Error, PoolTimeout):
            await self._own.turn()
            return
        assert row is not None, "a turn is always given"
        await asyncio.sleep(max(0.0, row[0]))


def share_paces(store: Store, connections: Connections) -> None:
    """Give every connector that spaces its calls turns that all processes share."""
    for item in connections.all():
        if isinstance(item.connector, Paced):
            item.connector.use_turns(SharedPace(store, item.name, item.connector.calls_per_second))
