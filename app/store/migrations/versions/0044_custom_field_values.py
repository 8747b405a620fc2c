"""Objects are found by the values of their custom fields."""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_custom_field_values_value", "custom_field_values", ["key_id", "value"])


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
