"""Outcomes: metrics that count sessions and latest states, and what a final statement leaves behind of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

# Each start is at least one length after the one before; the times come in order.
SESSION_STEP = """
create function session_step(starts timestamptz[], at timestamptz, length interval) returns timestamptz[]
language sql immutable parallel safe as $$
    select case
        when starts is null or at >= starts[cardinality(starts)] + length then coalesce(starts, '{}') || at
        else starts
    end
$$
"""
OUTCOME_DIGEST = """
create function outcome_digest(split text[], groups text[], key text[]) returns uuid
language sql immutable parallel safe as $$
    select cast(md5(array_to_json(split)::text || array_to_json(groups)::text || array_to_json(key)::text) as uuid)
$$
"""
# The invoice is written after what it leaves behind, in the same transaction.
TO_INVOICE = "references invoices (id) deferrable initially deferred"


def upgrade() -> None:
    op.add_column("metrics", sa.Column("outcome", postgresql.JSONB(none_as_null=True), nullable=True))
    op.execute(SESSION_STEP)
    op.execute("create aggregate session_starts (timestamptz, interval) (sfunc = session_step, stype = timestamptz[])")
    op.execute(OUTCOME_DIGEST)
    op.execute(
        f"""
        create table carried_metrics (
            invoice_id uuid not null {TO_INVOICE},
            contract_id uuid not null references contracts (id),
            metric_id uuid not null references metrics (id),
            split text[] not null,
            ending_before timestamptz not null,
            constraint pk_carried_metrics primary key (invoice_id, metric_id, split)
        )
        """
    )
    op.execute("create index ix_carried_metrics_contract_id on carried_metrics (contract_id, metric_id, ending_before)")
    op.execute(
        f"""
        create table carried_outcomes (
            invoice_id uuid not null {TO_INVOICE},
            contract_id uuid not null references contracts (id),
            metric_id uuid not null references metrics (id),
            split text[] not null,
            digest uuid not null,
            groups text[] not null,
            key text[] not null,
            at timestamptz not null,
            is_counted boolean not null
        )
        """
    )
    op.execute("create index ix_carried_outcomes_digest on carried_outcomes (contract_id, metric_id, digest)")
    op.execute("create index ix_carried_outcomes_invoice_id on carried_outcomes (invoice_id, metric_id)")
    for table in ("carried_metrics", "carried_outcomes"):
        op.execute(
            f"create trigger add_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
