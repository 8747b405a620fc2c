"""What every later table relies on: the exact number domain, and the guard that keeps finished rows as they are."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create domain exact_numeric as numeric "
        "check (value is null or (value <> 'NaN' and value < 'Infinity' and value > '-Infinity'))"
    )
    op.execute(
        """
        create function refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception '% of a row of % is refused: rows of this table are only ever added', tg_op, tg_table_name
                using errcode = 'restrict_violation';
        end $$
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
