"""Alerts: what is watched, where it stands, every change of that, and what is to be looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)
TOUCHING = {
    "contracts": "customer_id",
    "grants": "customer_id",
    "invoices": "customer_id",
    "ingest_aliases": "customer_id",
    "customers": "id",
    "overrides": "contract_id",
    "usage_filters": "contract_id",
    "subscriptions": "contract_id",
    "grant_segments": "grant_id",
    "transfers": "grant_id",
    "invoice_voids": "invoice_id",
    "custom_field_values": "object_id",
    "rates": "rate_card_id",
}


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("threshold", EXACT, nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=True),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("metric_id", sa.Uuid(), nullable=True),
        sa.Column("custom_field_filters", postgresql.JSONB(), nullable=False),
        sa.Column("group_values", postgresql.JSONB(), nullable=False),
        sa.Column("seat_key", sa.String(length=200), nullable=True),
        sa.Column("seat_value", sa.String(length=200), nullable=True),
        sa.Column("invoice_types", postgresql.JSONB(), nullable=False),
        sa.Column("hysteresis", EXACT, nullable=True),
        sa.Column("evaluate_on_create", sa.Boolean(), nullable=False),
        sa.Column("notify_on_resolve", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_alerts_uniqueness_key")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_alerts_customer_id_customers")),
        sa.ForeignKeyConstraint(["metric_id"], ["metrics.id"], name=op.f("fk_alerts_metric_id_metrics")),
    )
    op.create_index("ix_alerts_live", "alerts", ["customer_id"], postgresql_where=sa.text("archived_at is null"))
    op.create_table(
        "alert_states",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(length=1000), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("value", EXACT, nullable=True),
        sa.Column("triggered_by", sa.String(length=255), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "customer_id", "subject", name=op.f("pk_alert_states")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_states_alert_id_alerts")),
    )
    op.create_index(
        "ix_alert_states_in_alarm", "alert_states", ["customer_id"], postgresql_where=sa.text("state = 'IN_ALARM'")
    )
    op.create_table(
        "alert_transitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(length=1000), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=False),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("value", EXACT, nullable=True),
        sa.Column("triggered_by", sa.String(length=255), nullable=True),
        sa.Column("told", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_transitions")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_transitions_alert_id_alerts")),
    )
    op.create_index("ix_alert_transitions_alert_id", "alert_transitions", ["alert_id", "customer_id"])
    op.execute(
        "create trigger add_only before update or delete or truncate on alert_transitions "
        "for each statement execute function refuse_change()"
    )
    op.create_table(
        "alert_touches",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_touches")),
    )
    _triggers()


def _triggers() -> None:
    op.execute(
        """
        create function touch_alerts() returns trigger language plpgsql as $$
        declare
            changed jsonb := to_jsonb(coalesce(new, old));
            found uuid := (changed ->> tg_argv[0])::uuid;
        begin
            if not exists (select 1 from alerts where archived_at is null) then
                return null;
            end if;
            insert into alert_touches (customer_id)
            select distinct t.customer_id from (
                select found as customer_id where tg_argv[0] in ('customer_id', 'id')
                union all
                select customer_id from contracts where tg_argv[0] in ('contract_id', 'object_id') and id = found
                union all
                select customer_id from grants where tg_argv[0] in ('grant_id', 'object_id') and id = found
                union all
                select customer_id from invoices where tg_argv[0] = 'invoice_id' and id = found
                union all
                select customer_id from contracts
                where tg_argv[0] = 'rate_card_id' and rate_card_id = found and archived_at is null
            ) t
            where exists (
                select 1 from alerts a
                where a.archived_at is null and (a.customer_id is null or a.customer_id = t.customer_id)
            );
            return null;
        end $$
        """
    )
    for table, column in TOUCHING.items():
        op.execute(
            f"create trigger touch_alerts after insert or update or delete on {table} "
            f"for each row execute function touch_alerts('{column}')"
        )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
