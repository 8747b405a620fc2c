"""Packages: terms that are told from a start, their names by schedule, and which contract was made of which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "packages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_packages_uniqueness_key")),
    )
    op.create_table(
        "package_aliases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_aliases")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_package_aliases_package_id_packages")),
    )
    op.create_index(op.f("ix_package_aliases_package_id"), "package_aliases", ["package_id"])
    # One holder at a time, as for rate cards.
    op.execute(
        """
        alter table package_aliases add constraint ex_package_aliases_one_holder exclude using gist (
            name_range(name::text, name::text, '[]') with &&, tstzrange(starting_at, ending_before) with &&
        )
        """
    )
    op.add_column("contracts", sa.Column("package_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_contracts_package_id_packages"), "contracts", "packages", ["package_id"], ["id"])
    op.create_index(op.f("ix_contracts_package_id"), "contracts", ["package_id"])


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
