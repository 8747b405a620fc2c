"""Aliases of rate cards: names that point to one card at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_card_aliases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rate_card_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_card_aliases")),
        sa.ForeignKeyConstraint(
            ["rate_card_id"], ["rate_cards.id"], name=op.f("fk_rate_card_aliases_rate_card_id_rate_cards")
        ),
    )
    op.create_index(op.f("ix_rate_card_aliases_rate_card_id"), "rate_card_aliases", ["rate_card_id"])
    # One holder at a time. A range of texts lets an exclusion constraint compare names without an extension.
    op.execute('create type name_range as range (subtype = text, collation = "C")')
    op.execute(
        """
        alter table rate_card_aliases add constraint ex_rate_card_aliases_one_holder exclude using gist (
            name_range(name::text, name::text, '[]') with &&, tstzrange(starting_at, ending_before) with &&
        )
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
