"""Overrides: a contract's own changes of list prices, and the override that a line names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "contracts",
        sa.Column("override_priority", sa.String(length=32), nullable=False, server_default="LOWEST_MULTIPLIER"),
    )
    # The default is for rows that exist; new ones say it themselves.
    op.alter_column("contracts", "override_priority", server_default=None)
    op.create_table(
        "overrides",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("specifiers", postgresql.JSONB(), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("change", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("entitled", sa.Boolean(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overrides")),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name=op.f("fk_overrides_contract_id_contracts")),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_overrides_product_id_products")),
        sa.UniqueConstraint("contract_id", "added", name=op.f("uq_overrides_contract_id_added")),
    )
    op.add_column("invoice_lines", sa.Column("override_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_invoice_lines_override_id_overrides"), "invoice_lines", "overrides", ["override_id"], ["id"]
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
