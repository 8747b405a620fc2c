"""What one more seat would bring in a whole period, kept with each balance that follows a subscription's quantity."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)


def upgrade() -> None:
    op.add_column("grants", sa.Column("unit_amount", EXACT, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
