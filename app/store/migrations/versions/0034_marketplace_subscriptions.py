"""Subscriptions at marketplaces, and until when a metering slot is taken there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "marketplace_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("agreement", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("provider_status", sa.String(length=64), nullable=False),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("offer", sa.String(length=255), nullable=False),
        sa.Column("plan", sa.String(length=255), nullable=False),
        sa.Column("quantity", sa.String(length=32), nullable=False),
        sa.Column("buyer", postgresql.JSONB(), nullable=False),
        sa.Column("contact", postgresql.JSONB(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("billing_configuration_id", sa.Uuid(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("metering_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.String(length=2000), nullable=True),
        sa.Column("error_hint", sa.String(length=2000), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marketplace_subscriptions")),
        sa.UniqueConstraint("connection", "reference", name=op.f("uq_marketplace_subscriptions_connection_reference")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_marketplace_subscriptions_customer_id_customers")
        ),
        sa.ForeignKeyConstraint(
            ["billing_configuration_id"],
            ["billing_configurations.id"],
            name=op.f("fk_marketplace_subscriptions_billing_configuration_id_billing_configurations"),
        ),
    )
    for column in ("agreement", "billing_configuration_id", "customer_id"):
        op.create_index(op.f(f"ix_marketplace_subscriptions_{column}"), "marketplace_subscriptions", [column])
    op.create_index(op.f("ix_marketplace_subscriptions_refreshed_at"), "marketplace_subscriptions", ["refreshed_at"])
    # Slots that were made before have none; they are told by their own window alone.
    op.add_column("metering_slots", sa.Column("deadline", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
