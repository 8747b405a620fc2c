"""Versions of products may change group keys, SQL granularity and composites; composites have a scope."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

JSONB = postgresql.JSONB(none_as_null=True)


def upgrade() -> None:
    op.add_column(
        "products", sa.Column("composite_scope", sa.String(length=16), nullable=False, server_default="CONTRACT")
    )
    op.alter_column("products", "composite_scope", server_default=None)
    op.add_column("product_versions", sa.Column("pricing_group_key", JSONB, nullable=True))
    op.add_column("product_versions", sa.Column("presentation_group_key", JSONB, nullable=True))
    op.add_column("product_versions", sa.Column("sql_breakdown_granularity", sa.String(length=16), nullable=True))
    op.add_column("product_versions", sa.Column("composite", JSONB, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
