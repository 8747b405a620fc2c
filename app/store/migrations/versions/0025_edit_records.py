"""The history of a contract says what asked for each change, and what of each object changed from what to what.

Records of earlier edits say only what became of the contract; they are kept as changes of the contract itself.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "contract_edits", sa.Column("action", sa.String(length=64), nullable=False, server_default="contract.edit")
    )
    op.alter_column("contract_edits", "action", server_default=None)
    op.execute("alter table contract_edits disable trigger add_only")
    op.execute(
        "update contract_edits set changes = jsonb_build_array(jsonb_build_object("
        "'kind', 'contract', 'id', replace(contract_id::text, '-', ''), 'before', '{}'::jsonb, 'after', changes))"
    )
    op.execute("alter table contract_edits enable trigger add_only")


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
