"""Seats of subscriptions: who has one, how many are free, and how both change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("seats_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscriptions", sa.Column("seat_group_key", sa.String(length=200), nullable=True))
    op.add_column("subscriptions", sa.Column("seat_ids", postgresql.JSONB(), nullable=False, server_default="[]"))
    op.alter_column("subscriptions", "seat_ids", server_default=None)
    op.add_column("subscriptions", sa.Column("unassigned_seats", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("subscriptions", "unassigned_seats", server_default=None)
    op.create_table(
        "seat_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("add", postgresql.JSONB(), nullable=False),
        sa.Column("remove", postgresql.JSONB(), nullable=False),
        sa.Column("unassigned", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seat_changes")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_seat_changes_subscription_id_subscriptions")
        ),
        sa.UniqueConstraint("subscription_id", "added", name=op.f("uq_seat_changes_subscription_id_added")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_seat_changes_uniqueness_key")),
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
