"""Usage: the ids that were seen, the events by day, and the two halves of the hourly buckets."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The digest of the transaction id is the key over all partitions; the digest of the payload tells a repeat from a
    # conflict. 16 bytes each, so that the whole index of ten million events stays in memory.
    op.execute("create table event_ids (id uuid primary key, payload uuid not null)")
    op.execute(
        """
        create table events (
            id uuid not null,
            transaction_id text not null,
            reference text not null,
            event_type text not null,
            occurred_at timestamptz not null,
            properties jsonb not null,
            batch bigint not null
        ) partition by range (occurred_at)
        """
    )
    op.execute("create table events_default partition of events default")
    op.execute("create index ix_events_reference_occurred_at on events (reference, occurred_at)")
    op.execute("create index ix_events_id on events (id)")
    op.execute(
        """
        create table bucket_deltas (
            metric_id uuid not null,
            reference text not null,
            hour timestamptz not null,
            group_values text not null,
            quantity exact_numeric not null,
            events bigint not null
        )
        """
    )
    op.execute("create index ix_bucket_deltas_reference_hour on bucket_deltas (reference, hour)")
    op.execute(
        """
        create table bucket_hours (
            reference text not null,
            metric_id uuid not null,
            hour timestamptz not null,
            group_values text not null,
            quantity exact_numeric not null,
            events bigint not null,
            primary key (reference, metric_id, hour, group_values)
        )
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
