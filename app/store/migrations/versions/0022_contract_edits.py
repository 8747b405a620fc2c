"""Edits of contracts, kept; and overrides that were removed, which lines of final invoices still name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("overrides", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "contract_edits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_edits")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_contract_edits_uniqueness_key")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_edits_contract_id_contracts")
        ),
    )
    op.create_index(op.f("ix_contract_edits_contract_id"), "contract_edits", ["contract_id"])
    op.execute(
        "create trigger add_only before update or delete or truncate on contract_edits "
        "for each statement execute function refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
