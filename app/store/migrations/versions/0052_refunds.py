"""What gives money back is used after everything else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("grants", sa.Column("is_refund", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "update grants set is_refund = true "
        "where product_id = (select id from products where uniqueness_key = 'outcome-reversal')"
    )
    op.alter_column("grants", "is_refund", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
