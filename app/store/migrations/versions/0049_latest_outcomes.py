"""The latest state of a case is found in one step, however many statements have seen it."""

from __future__ import annotations

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("drop index ix_carried_outcomes_digest")
    op.execute(
        "create index ix_carried_outcomes_latest on carried_outcomes "
        "(contract_id, metric_id, digest, at desc, invoice_id)"
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
