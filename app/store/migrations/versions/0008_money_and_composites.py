"""Metrics that measure money, and products that are a percentage of others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("metrics", sa.Column("money_currency", sa.String(length=3), nullable=True))
    op.add_column("metrics", sa.Column("money_currency_property", sa.String(length=200), nullable=True))
    op.add_column("products", sa.Column("composite_product_ids", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column("products", sa.Column("composite_tags", postgresql.JSONB(none_as_null=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
