"""Contracts that follow others: which one, how, and whether what rolls over has been posted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contract_transitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("true_ups", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_transitions")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_transitions_contract_id_contracts")
        ),
        sa.ForeignKeyConstraint(["from_id"], ["contracts.id"], name=op.f("fk_contract_transitions_from_id_contracts")),
        sa.UniqueConstraint("contract_id", name=op.f("uq_contract_transitions_contract_id")),
    )
    op.create_index(op.f("ix_contract_transitions_from_id"), "contract_transitions", ["from_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
