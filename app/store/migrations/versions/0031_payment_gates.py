"""Commits that wait for their payment, thresholds at which a contract buys one, and invoices that ask for one alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0029"
branch_labels = None
depends_on = None

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)


def upgrade() -> None:
    _thresholds()
    _touches()
    for column in (
        sa.Column("gate", sa.String(length=16), nullable=True),
        sa.Column("gate_outcome", sa.String(length=16), nullable=True),
        sa.Column("gate_settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gate_reason", sa.String(length=500), nullable=True),
        sa.Column("threshold_id", sa.Uuid(), nullable=True),
    ):
        op.add_column("grants", column)
    op.create_foreign_key(
        op.f("fk_grants_threshold_id_contract_thresholds"), "grants", "contract_thresholds", ["threshold_id"], ["id"]
    )
    op.create_index(op.f("ix_grants_threshold_id"), "grants", ["threshold_id"])
    op.create_index(
        "ix_grants_unpaid", "grants", ["gate"], postgresql_where=sa.text("gate is not null and gate_outcome is null")
    )
    op.add_column("invoices", sa.Column("purchase_of", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_invoices_purchase_of_grants"), "invoices", "grants", ["purchase_of"], ["id"])
    op.create_index(op.f("ix_invoices_purchase_of"), "invoices", ["purchase_of"])
    op.drop_constraint(op.f("uq_invoices_contract_id_type_starting_at_currency_ordinal_regeneration"), "invoices")
    op.create_unique_constraint(
        op.f("uq_invoices_what_it_is_for"),
        "invoices",
        ["contract_id", "type", "starting_at", "currency", "ordinal", "regeneration", "purchase_of"],
        postgresql_nulls_not_distinct=True,
    )


def _thresholds() -> None:
    op.create_table(
        "contract_thresholds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("amount", EXACT, nullable=False),
        sa.Column("recharge_to", EXACT, nullable=True),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column("priority", EXACT, nullable=True),
        sa.Column("product_ids", postgresql.JSONB(), nullable=False),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("specifiers", postgresql.JSONB(), nullable=False),
        sa.Column("access_months", sa.Integer(), nullable=False),
        sa.Column("gate", sa.String(length=16), nullable=True),
        sa.Column("stopped_because", sa.String(length=500), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_thresholds")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_thresholds_contract_id_contracts")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_contract_thresholds_product_id_products")
        ),
    )
    op.create_index(op.f("ix_contract_thresholds_contract_id"), "contract_thresholds", ["contract_id"])
    op.create_index(
        "uq_contract_thresholds_kind",
        "contract_thresholds",
        ["contract_id", "kind"],
        unique=True,
        postgresql_where=sa.text("removed_at is null"),
    )


def _touches() -> None:
    op.create_table(
        "threshold_touches",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_threshold_touches")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_threshold_touches_contract_id_contracts")
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
