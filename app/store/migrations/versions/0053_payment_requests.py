"""What a provider says about the state of an invoice, and its id of the charge that came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("external_invoice_states", sa.Column("message", sa.String(length=2000), nullable=True))
    op.add_column("external_invoice_states", sa.Column("charge_reference", sa.String(length=255), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
