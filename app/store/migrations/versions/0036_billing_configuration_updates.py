"""Updates of a contract's billing configuration, each from the start of a statement period on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "billing_configuration_updates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("billing_configuration_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_configuration_updates")),
        sa.UniqueConstraint(
            "contract_id", "starting_at", name=op.f("uq_billing_configuration_updates_contract_id_starting_at")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_billing_configuration_updates_contract_id_contracts")
        ),
        sa.ForeignKeyConstraint(
            ["billing_configuration_id"],
            ["billing_configurations.id"],
            name=op.f("fk_billing_configuration_updates_billing_configuration_id_billing_configurations"),
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
