"""Scheduled charges that were taken out of a contract; and edits that are amendments, with their own start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scheduled_charges", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("contract_edits", sa.Column("amends_from", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
