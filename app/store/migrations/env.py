"""Alembic's entry: runs on the connection that `app/store/migrate.py` hands over, in one transaction."""

from __future__ import annotations

import importlib

from alembic import context
from sqlmodel import SQLModel

SLICES = ("access", "customers", "catalog", "usage", "grants", "contracts", "invoices", "delivery")
RAW_TABLES = ("procrastinate_", "component_versions", "event_ids", "events", "bucket_")
"""Tables without a class: the job engine's, and those that are written by COPY."""


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith(RAW_TABLES))


if context.config.attributes.get("autogenerate"):
    for slice_name in context.config.attributes.get("slices", SLICES):
        importlib.import_module(f"app.{slice_name}.tables")

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_name=include_name,
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
