"""Migrations: whole or not at all, by one process at a time, and exactly what the models say."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import NullPool, create_engine
from sqlmodel import SQLModel

from app.store import embedded, migrate

ROOT = Path(__file__).resolve().parents[2]
UPGRADE = [sys.executable, "-c", "import sys; from app.store import migrate; migrate.upgrade(sys.argv[1])"]
GATE = 4242
DECIDES_WHAT_IS_DUE = {
    *("contracts", "contract_transitions", "scheduled_charges", "subscriptions", "quantity_updates", "seat_changes"),
    *("grants", "grant_segments", "transfers", "invoices", "invoice_voids", "invoice_regenerations"),
    "moved_issue_dates",
}
DECIDES_NO_DUE_DATE = {
    # Prices and what is measured decide amounts only; a fee is looked for whether it has a price or not.
    *("overrides", "usage_filters", "rates", "rate_card_aliases"),
    # What they make are rows of grants.
    *("recurring_grants", "contract_thresholds", "threshold_touches"),
    # Content of invoices, which come with the invoice; deliveries, which come after it; records of what was done.
    *("invoice_lines", "invoice_inputs", "deliveries", "metering_slots", "contract_edits"),
    *("carried_metrics", "carried_outcomes"),
    *("reversed_statements", "reversal_entries", "outcome_reversals"),
    *("billing_run_contracts", "billing_run_invoices", "lifetime_billings", "invoice_constituents"),
    # What is watched and told follows what is due, and changes nothing of it.
    "alerts",
    # Where an invoice goes, and who may see it.
    *("billing_configurations", "billing_configuration_updates", "ingest_aliases", "api_keys"),
    "marketplace_subscriptions",
}
"""A new table that leads to a contract joins one of the two: then a billing run may count on its bounds."""
APPEND_ONLY = (
    *("rates", "invoices", "invoice_lines", "invoice_inputs"),
    *("delivery_attempts", "delivery_receipts", "metering_receipts", "audit_entries"),
    *("transfers", "invoice_voids", "invoice_regenerations", "contract_edits", "external_invoice_states"),
    *("invoice_constituents", "carried_metrics", "carried_outcomes", "voided_events", "alert_transitions"),
    *("outcome_reversals", "reversed_statements", "reversal_entries"),
)


@pytest.fixture
def empty_url(cluster: embedded.Cluster) -> Iterator[str]:
    """A database without any table."""
    name = f"e_{uuid.uuid4().hex}"
    cluster.create_database(name)
    yield cluster.url(name)
    cluster.drop_database(name)


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    return {name for (name,) in found}


def test_from_nothing_to_the_newest_and_a_second_run_does_nothing(empty_url: str) -> None:
    assert not migrate.is_current(empty_url)
    applied = migrate.upgrade(empty_url)
    assert applied[0] == "0001"
    assert len(set(applied)) == len(applied)
    assert migrate.is_current(empty_url)
    assert migrate.upgrade(empty_url) == []
    assert set(APPEND_ONLY) < tables(empty_url)


def test_two_at_once_apply_each_revision_once(empty_url: str) -> None:
    with ThreadPoolExecutor() as both:
        done = list(both.map(migrate.upgrade, [empty_url, empty_url]))
    assert sorted(done, key=len)[0] == []
    assert migrate.is_current(empty_url)


@pytest.mark.parametrize("table", ["procrastinate_jobs", "invoices", "audit_entries"])
def test_a_kill_half_way_leaves_the_old_schema(empty_url: str, table: str) -> None:
    """The database itself holds the upgrade at a table's creation; there the process is killed."""
    with psycopg.connect(empty_url, autocommit=True) as gate:
        gate.execute("select pg_advisory_lock(%s)", [GATE])
        gate.execute(
            sql.SQL(
                "create function wait_at() returns event_trigger language plpgsql as $$ begin "
                "if to_regclass({table}) is not null then perform pg_advisory_xact_lock({gate}); end if; end $$"
            ).format(table=sql.Literal(table), gate=sql.Literal(GATE))
        )
        gate.execute("create event trigger wait_at on ddl_command_end execute function wait_at()")
        with subprocess.Popen([*UPGRADE, empty_url], cwd=ROOT) as upgrade:
            waits = "select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted"
            while gate.execute(waits, [GATE]).fetchone() == (0,):
                assert upgrade.poll() is None, "the upgrade ended before it was held"
            upgrade.kill()
        gate.execute("select pg_advisory_unlock(%s)", [GATE])
        gate.execute("set lock_timeout = '10s'; drop event trigger wait_at; drop function wait_at")
        gate.execute("select pg_advisory_lock(%s)", [migrate.LOCK])  # the killed one's backend has ended by now
    assert tables(empty_url) == set()
    assert migrate.upgrade(empty_url) != []
    assert migrate.is_current(empty_url)


def test_models_and_migrations_say_the_same(database_url: str) -> None:
    for slice_tables in sorted((ROOT / "app").glob("*/tables.py")):
        import_module(f"app.{slice_tables.parent.name}.tables")
    raw = (
        "procrastinate_",
        "component_versions",
        "alembic_version",
        "event_ids",
        "events",
        "bucket_",
        "carried_",
        "voided_events",
    )

    def include(name: str | None, kind: str, _parents: object) -> bool:
        return not (kind == "table" and name is not None and name.startswith(raw))

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        options = {"include_name": include, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def test_every_table_of_finished_rows_is_named_here(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select tgrelid::regclass::text from pg_trigger where tgname = 'add_only'"
        ).fetchall()
    assert {name for (name,) in found} | {"audit_entries"} == set(APPEND_ONLY)


def test_every_table_that_decides_what_is_due_notes_its_changes(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        noted = connection.execute(
            "select tgrelid::regclass::text from pg_trigger where tgname = 'note_due' and tgtype & 28 = 28"
        ).fetchall()
        leading = connection.execute(
            "select distinct conrelid::regclass::text from pg_constraint where contype = 'f' and confrelid = any (%s::regclass[])",
            [["customers", *sorted(DECIDES_WHAT_IS_DUE)]],
        ).fetchall()
    assert {name for (name,) in noted} == DECIDES_WHAT_IS_DUE
    assert {name for (name,) in leading} - DECIDES_WHAT_IS_DUE <= DECIDES_NO_DUE_DATE


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "change", ["update {table} set {column} = null", "delete from {table}", "truncate {table} cascade"]
)
def test_finished_rows_stay_as_they_are(database_url: str, table: str, change: str) -> None:
    with psycopg.connect(database_url) as connection:
        if table == "audit_entries":
            connection.execute(
                "insert into audit_entries (id, created_at, actor_kind, actor_name, action, outcome) "
                "values (gen_random_uuid(), now(), 'test', 'test', 'test', 'ok')"
            )
        column = connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum = 1", [table]
        ).fetchall()[0][0]
        statement = sql.SQL(change).format(table=sql.Identifier(table), column=sql.Identifier(column))  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement)
