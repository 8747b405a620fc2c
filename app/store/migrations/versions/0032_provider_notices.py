"""What providers tell by themselves, how far it was looked through, and how they showed our invoices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)


def upgrade() -> None:
    op.create_table(
        "provider_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_reference", sa.String(length=255), nullable=True),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("is_foreign", sa.Boolean(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=True),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.String(length=2000), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_notices")),
        sa.UniqueConstraint("connection", "event_id", name=op.f("uq_provider_notices_connection_event_id")),
    )
    op.create_index(
        "ix_provider_notices_open",
        "provider_notices",
        ["next_attempt_at"],
        postgresql_where=sa.text("state = 'RECEIVED'"),
    )
    op.create_index("ix_provider_notices_provider_reference", "provider_notices", ["connection", "provider_reference"])
    op.create_table(
        "notice_cursors",
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("swept_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_notice_cursors")),
    )
    op.create_table(
        "external_invoice_states",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("provider_reference", sa.String(length=255), nullable=False),
        sa.Column("provider_status", sa.String(length=64), nullable=False),
        sa.Column("payment", sa.String(length=16), nullable=True),
        sa.Column("amount", EXACT, nullable=True),
        sa.Column("amount_paid", EXACT, nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_invoice_states")),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_external_invoice_states_delivery_id_deliveries")
        ),
    )
    op.create_index(op.f("ix_external_invoice_states_delivery_id"), "external_invoice_states", ["delivery_id"])
    op.execute(
        "create trigger add_only before update or delete or truncate on external_invoice_states "
        "for each statement execute function refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
