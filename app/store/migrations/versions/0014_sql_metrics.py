"""SQL metrics: their query, how their quantity is spread, and the arithmetic of their values."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# The same as core.sql_values: at most 38 places, rounded half up (away from zero), and NULL from 10^38 on.
METRIC_NUMBER = """
create function metric_number(number numeric) returns numeric language sql immutable parallel safe as $$
    select case when abs(round(number, 38)) < 1e38 then trim_scale(round(number, 38)) end
$$
"""
# div() cuts an exact quotient, so twice the numerator in units of 10^-12 and one more denominator rounds half up.
METRIC_DIVIDE = """
create function metric_divide(numerator numeric, denominator numeric) returns numeric
language sql immutable parallel safe as $$
    select case when denominator <> 0 then metric_number(
        sign(numerator) * sign(denominator) * 0.000000000001
        * div(abs(numerator) * 2000000000000 + abs(denominator), abs(denominator) * 2)
    ) end
$$
"""
METRIC_TEXTS = (
    "create function metric_text(value text) returns text language sql immutable parallel safe as $$ select value $$",
    "create function metric_text(value boolean) returns text language sql immutable parallel safe as "
    "$$ select case when value then 'true' when not value then 'false' end $$",
    "create function metric_text(value numeric) returns text language sql immutable parallel safe as "
    "$$ select trim_scale(value)::text $$",
    "create function metric_text(value timestamptz) returns text language sql immutable parallel safe as $$ "
    """select regexp_replace(to_char(value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '\\.000000Z$', 'Z') $$""",
)


def upgrade() -> None:
    op.add_column("metrics", sa.Column("sql", sa.Text(), nullable=True))
    op.add_column("metrics", sa.Column("query", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column(
        "products",
        sa.Column("sql_breakdown_granularity", sa.String(length=16), nullable=False, server_default="HOUR"),
    )
    op.alter_column("products", "sql_breakdown_granularity", server_default=None)
    for statement in (METRIC_NUMBER, METRIC_DIVIDE, *METRIC_TEXTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
