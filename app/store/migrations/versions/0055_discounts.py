"""Scheduled charges that come off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("is_discount", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    op.add_column("scheduled_charges", column)


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
