"""Custom fields: registered keys, and their values on objects of any kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "custom_field_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("enforce_uniqueness", sa.Boolean(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custom_field_keys")),
    )
    op.create_index(
        "uq_custom_field_keys_registered",
        "custom_field_keys",
        ["entity", "key"],
        unique=True,
        postgresql_where=sa.text("removed_at is null"),
    )
    op.create_table(
        "custom_field_values",
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("unique_value", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("object_id", "key_id", name=op.f("pk_custom_field_values")),
        sa.ForeignKeyConstraint(
            ["key_id"], ["custom_field_keys.id"], name=op.f("fk_custom_field_values_key_id_custom_field_keys")
        ),
        sa.UniqueConstraint("key_id", "unique_value", name=op.f("uq_custom_field_values_key_id_unique_value")),
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
