"""Measuring: the order of ingest inside a batch, two readings of a property, and scheduled versions of products."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The same reading as core.metering: decimal strings and JSON numbers alike, with at most 38 digits that count before,
# after and around the point; everything else is no value.
EVENT_NUMBER = r"""
create function event_number(value jsonb) returns numeric language sql immutable parallel safe as $$
    select case
        when abs(number) < 1e38 and scale(trim_scale(number)) <= 38
            and length(trim(both '0' from replace(trim_scale(abs(number))::text, '.', ''))) <= 38
        then trim_scale(number)
    end
    from (
        select case
            when jsonb_typeof(value) = 'number' then (value #>> '{}')::numeric
            when jsonb_typeof(value) = 'string' and value #>> '{}' ~ '^-?[0-9]{1,60}(\.[0-9]{1,60})?$'
            then (value #>> '{}')::numeric
        end as number
    ) found
$$
"""
# The text by which a property is grouped and compared: equal numbers have one text; lists and objects have none.
EVENT_TEXT = """
create function event_text(value jsonb) returns text language sql immutable parallel safe as $$
    select case jsonb_typeof(value)
        when 'string' then value #>> '{}'
        when 'boolean' then value #>> '{}'
        when 'number' then trim_scale((value #>> '{}')::numeric)::text
    end
$$
"""


def upgrade() -> None:
    # Of two events at one instant the last ingested counts, also when both came in one batch.
    op.execute("alter table events add column place integer not null default 0")
    op.execute(EVENT_NUMBER)
    op.execute(EVENT_TEXT)
    op.add_column("products", sa.Column("conversion", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column("products", sa.Column("rounding", postgresql.JSONB(none_as_null=True), nullable=True))
    op.create_table(
        "product_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("metric_id", sa.Uuid(), nullable=True),
        sa.Column("conversion", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("rounding", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_versions")),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_product_versions_product_id_products")),
        sa.ForeignKeyConstraint(["metric_id"], ["metrics.id"], name=op.f("fk_product_versions_metric_id_metrics")),
        sa.UniqueConstraint("product_id", "added", name=op.f("uq_product_versions_product_id_added")),
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
