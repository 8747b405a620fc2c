"""The job engine's tables, as the installed procrastinate makes them.

Its SQL is not copied here. `component_versions` records which release made the tables, so that a later revision can run
the library's own upgrade scripts from that release on; the dependency is pinned to one minor release for this.
"""

from __future__ import annotations

from importlib.metadata import version

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(SchemaManager.get_schema(), execution_options={"no_parameters": True})
    versions = op.create_table(
        "component_versions",
        sa.Column("component", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
    )
    op.bulk_insert(versions, [{"component": "procrastinate", "version": version("procrastinate")}])


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
