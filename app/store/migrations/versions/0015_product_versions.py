"""Versions of products may change names and tags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("product_versions", sa.Column("name", sa.String(length=200), nullable=True))
    op.add_column("product_versions", sa.Column("tags", postgresql.JSONB(none_as_null=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
