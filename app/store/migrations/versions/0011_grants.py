"""Commits and credits, the transfers of their books, custom pricing units, and prices for what draws on a commit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pricing_units",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pricing_units")),
        sa.UniqueConstraint("code", name=op.f("uq_pricing_units_code")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_pricing_units_uniqueness_key")),
    )
    op.create_table(
        "recurring_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("access_unit_price", EXACT, nullable=False),
        sa.Column("access_quantity", EXACT, nullable=False),
        sa.Column("invoice_unit", sa.String(length=16), nullable=True),
        sa.Column("invoice_unit_price", EXACT, nullable=True),
        sa.Column("invoice_quantity", EXACT, nullable=True),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frequency", sa.String(length=16), nullable=True),
        sa.Column("duration", sa.Integer(), nullable=False),
        sa.Column("proration", sa.String(length=16), nullable=False),
        sa.Column("priority", EXACT, nullable=False),
        sa.Column("product_ids", postgresql.JSONB(), nullable=False),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("specifiers", postgresql.JSONB(), nullable=False),
        sa.Column("rate_type", sa.String(length=16), nullable=False),
        sa.Column("rollover_fraction", EXACT, nullable=True),
        sa.Column("subscription_id", sa.Uuid(), nullable=True),
        sa.Column("allocation", sa.String(length=16), nullable=True),
        sa.Column("prorate_seat_increases", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_recurring_grants_contract_id_contracts")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_recurring_grants_product_id_products")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recurring_grants")),
    )
    op.create_index(op.f("ix_recurring_grants_contract_id"), "recurring_grants", ["contract_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("priority", EXACT, nullable=False),
        sa.Column("product_ids", postgresql.JSONB(), nullable=False),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("specifiers", postgresql.JSONB(), nullable=False),
        sa.Column("contract_ids", postgresql.JSONB(), nullable=False),
        sa.Column("invoice_contract_id", sa.Uuid(), nullable=True),
        sa.Column("rate_type", sa.String(length=16), nullable=False),
        sa.Column("rollover_fraction", EXACT, nullable=True),
        sa.Column("invoice", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("trueup_disabled", sa.Boolean(), nullable=False),
        sa.Column("recurring_id", sa.Uuid(), nullable=True),
        sa.Column("recurring_number", sa.Integer(), nullable=True),
        sa.Column("rolled_from_id", sa.Uuid(), nullable=True),
        sa.Column("rolled_from_segment", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name=op.f("fk_grants_contract_id_contracts")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_grants_customer_id_customers")),
        sa.ForeignKeyConstraint(
            ["invoice_contract_id"], ["contracts.id"], name=op.f("fk_grants_invoice_contract_id_contracts")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_grants_product_id_products")),
        sa.ForeignKeyConstraint(
            ["recurring_id"], ["recurring_grants.id"], name=op.f("fk_grants_recurring_id_recurring_grants")
        ),
        sa.ForeignKeyConstraint(["rolled_from_id"], ["grants.id"], name=op.f("fk_grants_rolled_from_id_grants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("recurring_id", "recurring_number", name=op.f("uq_grants_recurring_id_recurring_number")),
        sa.UniqueConstraint(
            "rolled_from_id",
            "rolled_from_segment",
            "contract_id",
            name=op.f("uq_grants_rolled_from_id_rolled_from_segment_contract_id"),
        ),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_grants_uniqueness_key")),
    )
    op.create_index(op.f("ix_grants_contract_id"), "grants", ["contract_id"], unique=False)
    op.create_index(op.f("ix_grants_customer_id"), "grants", ["customer_id"], unique=False)
    op.create_table(
        "grant_segments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("amount", EXACT, nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_grant_segments_grant_id_grants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_segments")),
        sa.UniqueConstraint("grant_id", "number", name=op.f("uq_grant_segments_grant_id_number")),
    )
    op.create_table(
        "transfers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("amount", EXACT, nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("contract_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transfers_positive")),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name=op.f("fk_transfers_contract_id_contracts")),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_transfers_grant_id_grants")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_transfers_invoice_id_invoices")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
    )
    op.create_index("ix_transfers_grant_id_segment", "transfers", ["grant_id", "segment"], unique=False)
    op.create_index(op.f("ix_transfers_invoice_id"), "transfers", ["invoice_id"], unique=False)
    op.execute(
        "create trigger add_only before update or delete or truncate on transfers "
        "for each statement execute function refuse_change()"
    )
    for name, column, default in (
        ("invoice_inputs", sa.Column("pots", postgresql.JSONB(), nullable=False), "[]"),
        ("overrides", sa.Column("is_commit_specific", sa.Boolean(), nullable=False), "false"),
        ("overrides", sa.Column("target", sa.String(length=16), nullable=False), "LIST_RATE"),
        ("products", sa.Column("exclude_free_usage", sa.Boolean(), nullable=False), "false"),
        ("rate_cards", sa.Column("conversions", postgresql.JSONB(), nullable=False), "{}"),
    ):
        # The default is for rows that exist; new ones say it themselves.
        column.server_default = sa.DefaultClause(default)
        op.add_column(name, column)
        op.alter_column(name, column.name, server_default=None)
    op.add_column("invoice_lines", sa.Column("grant_id", sa.Uuid(), nullable=True))
    op.add_column("invoice_lines", sa.Column("segment", sa.Integer(), nullable=True))
    op.add_column("invoice_lines", sa.Column("applied_to", sa.String(length=32), nullable=True))
    op.add_column("invoice_lines", sa.Column("converted_unit", sa.String(length=16), nullable=True))
    op.create_foreign_key(op.f("fk_invoice_lines_grant_id_grants"), "invoice_lines", "grants", ["grant_id"], ["id"])
    op.add_column("rates", sa.Column("commit_rate", postgresql.JSONB(), nullable=True))
    op.add_column("rates", sa.Column("unit", sa.String(length=16), nullable=True))
    op.add_column("rates", sa.Column("minimum", EXACT, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
