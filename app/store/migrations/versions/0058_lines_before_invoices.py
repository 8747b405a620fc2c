"""Lines and inputs of an invoice may be written before it, in the same transaction.

The number of an invoice comes from a counter that stays locked to the end of the transaction, for everybody. What is
written before it keeps nobody waiting, and lines are most of what is written. That their invoice is there is looked at
when the transaction ends.
"""

from __future__ import annotations

from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("invoice_lines", "invoice_inputs"):
        op.execute(f"alter table {table} alter constraint fk_{table}_invoice_id_invoices deferrable initially deferred")


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
