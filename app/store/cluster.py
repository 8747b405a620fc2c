"""A running private PostgreSQL as its users see it: addresses, databases, and leaving.

Owns what can be asked of it while it runs. How it is found, started and taken over is left to `embedded.py`.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

SUPERUSER = "metrograph"


@dataclass(slots=True)
class Cluster:
    """A running private server. `url(database)` is a libpq URL; `stop()` leaves, and stops it if we were the last."""

    data_dir: Path
    socket_dir: Path
    password: str
    _users: int
    _watchdog: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        """A `postgresql://` URL of one database of this server."""
        return f"postgresql://{SUPERUSER}:{self.password}@/{quote(database)}?host={quote(str(self.socket_dir))}"

    def stop(self) -> None:
        """Leave the server; the last one out ends it, and this call returns when it has ended."""
        if self._users >= 0:
            os.close(self._users)
            self._users = -1
            self._watchdog.communicate(b"goodbye", timeout=60)

    def has_database(self, name: str) -> bool:
        """Whether a database of that name exists."""
        with self._admin() as connection:
            return connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is not None

    def create_database(self, name: str, *, template: str = "template1") -> None:
        """Create a database, copied from a template to which nobody may be connected."""
        with self._admin() as connection:
            # Copying files takes half the time of copying through the log; older servers know no other way.
            strategy = sql.SQL("strategy file_copy" if connection.info.server_version >= 150_000 else "")
            connection.execute(
                sql.SQL("create database {} template {} {}").format(
                    sql.Identifier(name), sql.Identifier(template), strategy
                )
            )

    def rename_database(self, name: str, new_name: str) -> None:
        """Give a database to which nobody is connected another name."""
        with self._admin() as connection:
            connection.execute(
                sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(new_name))
            )

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, ending whoever is connected to it."""
        with self._admin() as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url("postgres"), autocommit=True)
