"""Outcomes that were taken back after they were billed: what each statement asked for too much, and where it went."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

TABLES = ("outcome_reversals", "reversed_statements", "reversal_entries")
EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)


def upgrade() -> None:
    op.create_table(
        "outcome_reversals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.String(length=256), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", EXACT, nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_outcome_reversals_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome_reversals")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outcome_reversals_event_id")),
    )
    op.create_index(op.f("ix_outcome_reversals_customer_id"), "outcome_reversals", ["customer_id"], unique=False)
    op.create_table(
        "reversed_statements",
        sa.Column("reversal_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("usage", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_reversed_statements_invoice_id_invoices")
        ),
        sa.ForeignKeyConstraint(
            ["reversal_id"],
            ["outcome_reversals.id"],
            name=op.f("fk_reversed_statements_reversal_id_outcome_reversals"),
        ),
        sa.PrimaryKeyConstraint("reversal_id", "invoice_id", name=op.f("pk_reversed_statements")),
    )
    op.create_index(op.f("ix_reversed_statements_invoice_id"), "reversed_statements", ["invoice_id"], unique=False)
    _create_entries()
    for table in TABLES:
        op.execute(
            f"create trigger add_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )


def _create_entries() -> None:
    references = {
        "invoice_id": "invoices",
        "reversal_id": "outcome_reversals",
        "paid_by_id": "grants",
        "grant_id": "grants",
        "transfer_id": "transfers",
    }
    op.create_table(
        "reversal_entries",
        sa.Column("reversal_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("amount", EXACT, nullable=False),
        sa.Column("paid_by_id", sa.Uuid(), nullable=True),
        sa.Column("paid_by_segment", sa.Integer(), nullable=True),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        *(
            sa.ForeignKeyConstraint([name], [f"{table}.id"], name=op.f(f"fk_reversal_entries_{name}_{table}"))
            for name, table in references.items()
        ),
        sa.PrimaryKeyConstraint("reversal_id", "invoice_id", "position", name=op.f("pk_reversal_entries")),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_reversal_entries_transfer_id")),
    )
    op.create_index(op.f("ix_reversal_entries_grant_id"), "reversal_entries", ["grant_id"], unique=False)
    op.create_index(op.f("ix_reversal_entries_invoice_id"), "reversal_entries", ["invoice_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
