"""Which children may draw on a balance may change from an instant on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "grants", sa.Column("child_access_changes", postgresql.JSONB(), nullable=False, server_default=sa.text("'[]'"))
    )
    op.alter_column("grants", "child_access_changes", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
