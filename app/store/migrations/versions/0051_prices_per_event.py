"""A line at a price with a minimum or maximum for each event says which events it counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("invoice_lines", sa.Column("per_event", sa.String(length=16), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
