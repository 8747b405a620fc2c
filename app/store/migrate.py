"""Applies the migrations, one process at a time.

Owns the way from an empty or older database to the current schema. All revisions run in one transaction, so that a
kill half way leaves the old schema; an advisory lock lets several servers start at once.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.store.engine import libpq_url

LOCK = 7_305_441_102
FOLDER = Path(__file__).parent / "migrations"


def upgrade(url: str) -> list[str]:
    """Bring a database to the newest revision; returns the revisions that were applied, oldest first."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(libpq_url(url)), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:n)"), {"n": LOCK})
            before = _applied(connection)
            command.upgrade(_config(connection), "head")
            return [revision for revision in reversed(_revisions()) if revision not in before]
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether a database has every revision of this release."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(libpq_url(url)), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return set(_revisions()) == _applied(connection)
    finally:
        engine.dispose()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def _revisions() -> list[str]:
    """All revisions of this release, newest first."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def _applied(connection: Connection) -> set[str]:
    exists = connection.execute(text("select to_regclass('alembic_version') is not null")).scalar_one()
    if not exists:
        return set()
    current = connection.execute(text("select version_num from alembic_version")).scalar_one_or_none()
    revisions = _revisions()
    return set(revisions[revisions.index(current) :]) if current in revisions else set()
