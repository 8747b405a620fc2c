"""Scheduled charges, subscriptions, and the invoices that carry them on their own date."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)


def upgrade() -> None:
    op.add_column("rates", sa.Column("billing_frequency", sa.String(length=16), nullable=True))
    op.add_column(
        "contracts", sa.Column("consolidate_charges", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.alter_column("contracts", "consolidate_charges", server_default=None)
    _charges_and_subscriptions()
    # Several invoices may share a date: in two currencies, or one after another.
    op.add_column("invoices", sa.Column("ordinal", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("invoices", "ordinal", server_default=None)
    op.alter_column("invoices", "ending_before", nullable=True)
    op.drop_constraint(op.f("uq_invoices_contract_id_type_starting_at_regeneration"), "invoices")
    op.create_unique_constraint(
        op.f("uq_invoices_contract_id_type_starting_at_currency_ordinal_regeneration"),
        "invoices",
        ["contract_id", "type", "starting_at", "currency", "ordinal", "regeneration"],
    )
    op.add_column("invoice_lines", sa.Column("subscription_id", sa.Uuid(), nullable=True))
    op.add_column("invoice_lines", sa.Column("charge_id", sa.Uuid(), nullable=True))
    op.add_column("invoice_lines", sa.Column("charged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("invoice_lines", sa.Column("ordinal", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("invoice_lines", "ordinal", server_default=None)
    op.create_foreign_key(
        op.f("fk_invoice_lines_subscription_id_subscriptions"),
        "invoice_lines", "subscriptions", ["subscription_id"], ["id"],
    )  # fmt: skip
    op.create_foreign_key(
        op.f("fk_invoice_lines_charge_id_scheduled_charges"),
        "invoice_lines",
        "scheduled_charges",
        ["charge_id"],
        ["id"],
    )


def _charges_and_subscriptions() -> None:
    op.create_table(
        "scheduled_charges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("schedule", postgresql.JSONB(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_charges")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_scheduled_charges_contract_id_contracts")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_scheduled_charges_product_id_products")),
        sa.UniqueConstraint("contract_id", "added", name=op.f("uq_scheduled_charges_contract_id_added")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_scheduled_charges_uniqueness_key")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("frequency", sa.String(length=16), nullable=False),
        sa.Column("collection", sa.String(length=16), nullable=False),
        sa.Column("placement", sa.String(length=32), nullable=False),
        sa.Column("anchor", sa.DateTime(timezone=True), nullable=True),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("initial_quantity", EXACT, nullable=False),
        sa.Column("prorate", sa.Boolean(), nullable=False),
        sa.Column("increases", sa.String(length=32), nullable=False),
        sa.Column("rounding_method", sa.String(length=16), nullable=True),
        sa.Column("rounding_places", sa.Integer(), nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name=op.f("fk_subscriptions_contract_id_contracts")),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_subscriptions_product_id_products")),
        sa.UniqueConstraint("contract_id", "added", name=op.f("uq_subscriptions_contract_id_added")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_subscriptions_uniqueness_key")),
    )
    op.create_table(
        "quantity_updates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quantity", EXACT, nullable=True),
        sa.Column("delta", EXACT, nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quantity_updates")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_quantity_updates_subscription_id_subscriptions")
        ),
        sa.UniqueConstraint("subscription_id", "added", name=op.f("uq_quantity_updates_subscription_id_added")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_quantity_updates_uniqueness_key")),
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
