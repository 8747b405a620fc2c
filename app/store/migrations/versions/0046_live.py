"""Changes are told as they are committed, to whoever listens; and the customers whose spend somebody watches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

TELLING = {
    "invoices": "insert",
    "invoice_voids": "insert",
    "invoice_regenerations": "insert",
    "external_invoice_states": "insert",
    "alert_transitions": "insert",
    "billing_runs": "insert or update",
    "billing_run_contracts": "update",
    "deliveries": "insert",
    "notices": "insert",
}


def upgrade() -> None:
    # A lease of minutes: after a crash nobody misses it.
    op.create_table(
        "live_watches",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_live_watches")),
        prefixes=["unlogged"],
    )
    # PostgreSQL tells the same twice in one transaction once, and nothing of what was rolled back.
    op.execute(
        """
        create function tell_live() returns trigger language plpgsql as $$
        declare
            told text;
        begin
            if tg_table_name = 'invoices' then
                told := 'invoice ' || new.id || ' ' || new.customer_id;
            elsif tg_table_name = 'invoice_voids' then
                select 'invoice ' || id || ' ' || customer_id into told from invoices where id = new.invoice_id;
            elsif tg_table_name = 'invoice_regenerations' then
                select 'invoice ' || id || ' ' || customer_id into told from invoices where id = new.source_id;
            elsif tg_table_name = 'external_invoice_states' then
                select 'invoice ' || invoice_id || ' ' || customer_id into told from deliveries
                where id = new.delivery_id;
            elsif tg_table_name = 'alert_transitions' then
                told := 'transition ' || new.id || ' ' || new.customer_id;
            elsif tg_table_name = 'billing_runs' then
                told := 'job ' || new.id;
            elsif tg_table_name = 'billing_run_contracts' then
                told := 'job ' || new.run_id;
            elsif tg_table_name = 'notices' then
                told := concat_ws(' ', 'notice', new.id, new.customer_id);
            else
                told := 'delivery ' || new.id || ' ' || new.customer_id;
            end if;
            perform pg_notify('metrograph_live', told);
            return null;
        end $$
        """
    )
    for table, when in TELLING.items():
        op.execute(f"create trigger tell_live after {when} on {table} for each row execute function tell_live()")
    op.execute(
        """
        create trigger tell_live_change after update on deliveries for each row
        when ((old.status, old.acknowledged, old.provider_status, old.error_code)
            is distinct from (new.status, new.acknowledged, new.provider_status, new.error_code))
        execute function tell_live()
        """
    )
    _touching()


def _touching() -> None:
    """What alerts read is what spend comes to, so its triggers tell of that as well."""
    op.execute(
        """
        create or replace function touch_alerts() returns trigger language plpgsql as $$
        declare
            changed jsonb := to_jsonb(coalesce(new, old));
            found uuid := (changed ->> tg_argv[0])::uuid;
            touched uuid[];
        begin
            if not exists (select 1 from alerts where archived_at is null)
                and not exists (select 1 from live_watches)
            then
                return null;
            end if;
            select array_agg(distinct customer_id) into touched from (
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
            ) t;
            insert into alert_touches (customer_id)
            select t.customer_id from unnest(touched) as t (customer_id)
            where exists (
                select 1 from alerts a
                where a.archived_at is null and (a.customer_id is null or a.customer_id = t.customer_id)
            );
            perform pg_notify('metrograph_live', 'spend ' || w.customer_id || ' ' || w.customer_id)
            from live_watches w where w.customer_id = any(touched) and w.until > clock_timestamp();
            return null;
        end $$
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
