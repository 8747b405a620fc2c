"""Of packages: the account through which their contracts go, and from when their dates are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("packages", sa.Column("connection", sa.String(length=128), nullable=True))
    op.add_column(
        "packages",
        sa.Column("billing_anchor", sa.String(length=32), nullable=False, server_default="CONTRACT_START_DATE"),
    )
    op.alter_column("packages", "billing_anchor", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
