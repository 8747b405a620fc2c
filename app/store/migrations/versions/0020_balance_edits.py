"""Segments of balances that were removed, and balances that belong to one seat of a subscription."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("grant_segments", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("grants", sa.Column("seat_key", sa.String(length=200), nullable=True))
    op.add_column("grants", sa.Column("seat_id", sa.String(length=200), nullable=True))
    op.drop_constraint(op.f("uq_grants_recurring_id_recurring_number"), "grants", type_="unique")
    op.create_index(
        "uq_grants_child",
        "grants",
        ["recurring_id", "recurring_number", "seat_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("recurring_id is not null"),
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
