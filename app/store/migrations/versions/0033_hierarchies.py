"""Hierarchies: who pays for a child contract, how its statements go out, and balances that children may draw on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("payer", sa.String(length=8), nullable=True),
        sa.Column("usage_statements", sa.String(length=16), nullable=True),
        sa.Column("consolidation", sa.String(length=16), nullable=True),
    ):
        op.add_column("contracts", column)
    op.create_foreign_key(op.f("fk_contracts_parent_id_contracts"), "contracts", "contracts", ["parent_id"], ["id"])
    op.create_index(op.f("ix_contracts_parent_id"), "contracts", ["parent_id"])
    for table in ("grants", "recurring_grants"):
        op.add_column(table, sa.Column("child_access", sa.String(length=16), nullable=True))
        op.add_column(table, sa.Column("child_contract_ids", postgresql.JSONB(none_as_null=True), nullable=True))
    # Without one the contract pays for itself.
    op.add_column("invoices", sa.Column("payer_contract_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_invoices_payer_contract_id_contracts"), "invoices", "contracts", ["payer_contract_id"], ["id"]
    )
    op.create_index(op.f("ix_invoices_payer_contract_id"), "invoices", ["payer_contract_id"])


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
