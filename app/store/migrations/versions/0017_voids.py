"""Void invoices, and invoices that were made again: rows of their own beside the invoices, which never change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invoice_voids",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("in_provider", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice_voids")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_invoice_voids_invoice_id_invoices")),
    )
    op.create_table(
        "invoice_regenerations",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice_regenerations")),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_invoice_regenerations_invoice_id_invoices")
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["invoice_voids.invoice_id"], name=op.f("fk_invoice_regenerations_source_id_invoice_voids")
        ),
        sa.UniqueConstraint("source_id", name=op.f("uq_invoice_regenerations_source_id")),
    )
    for table in ("invoice_voids", "invoice_regenerations"):
        op.execute(
            f"create trigger add_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
