"""What a provider put on top of an invoice as tax."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)


def upgrade() -> None:
    op.add_column("external_invoice_states", sa.Column("tax", EXACT, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
