"""What all final invoices of a customer come to, kept as they are made and voided; and issue dates that were moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)


def upgrade() -> None:
    op.create_table(
        "lifetime_billings",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total", EXACT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "currency", name=op.f("pk_lifetime_billings")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_lifetime_billings_customer_id_customers")
        ),
    )
    op.execute(
        "insert into lifetime_billings (customer_id, currency, total) "
        "select customer_id, currency, sum(total) from invoices i "
        "where not exists (select 1 from invoice_voids v where v.invoice_id = i.id) group by customer_id, currency"
    )
    op.create_table(
        "moved_issue_dates",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("issue_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_moved_issue_dates")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_moved_issue_dates_contract_id_contracts")
        ),
    )
    op.create_index(op.f("ix_moved_issue_dates_contract_id"), "moved_issue_dates", ["contract_id"])
    op.execute(
        "create trigger note_due after insert or update or delete on moved_issue_dates "
        "for each row execute function note_due_change('contract_id')"
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
