"""Alerts are looked at when quantities and products change, and when relatives change what balances are worth."""

from __future__ import annotations

from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

TOUCHING = {
    "scheduled_charges": "contract_id",
    "quantity_updates": "subscription_id",
    "seat_changes": "subscription_id",
    "product_versions": "product_id",
}


def upgrade() -> None:
    # Whoever draws on one balance changes what is left of it for its owner, and what all others who may draw on it owe.
    # Balances and contracts that were archived count, since it is their archive that may have to be told. So do those whose
    # statements go out together, which is one invoice of the parent.
    op.execute(
        """
        create function sharing_customers(ids uuid[]) returns table (customer_id uuid) language sql stable as $$
            with recursive together (customer_id) as (
                select unnest(ids)
                union
                select found.customer_id from together t cross join lateral (
                    select parent.customer_id, parent.id, child.usage_statements, parent.consolidation from contracts child
                    join contracts parent on parent.id = child.parent_id
                    where child.customer_id = t.customer_id
                    union all
                    select child.customer_id, parent.id, child.usage_statements, parent.consolidation from contracts parent
                    join contracts child on child.parent_id = parent.id
                    where parent.customer_id = t.customer_id
                ) found
                where found.usage_statements = 'CONSOLIDATE' and found.consolidation = 'CONCATENATE' or exists (
                    select 1 from grants g where g.contract_id = found.id
                        and (g.child_access is not null or jsonb_array_length(g.child_access_changes) > 0)
                )
            )
            select customer_id from together
        $$
        """
    )
    op.execute(
        """
        create or replace function touch_alerts() returns trigger language plpgsql as $$
        declare
            changed jsonb := to_jsonb(coalesce(new, old));
            found uuid := (changed ->> tg_argv[0])::uuid;
            touched uuid[];
            relatives uuid[];
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
                union all
                select c.customer_id from subscriptions s join contracts c on c.id = s.contract_id
                where tg_argv[0] = 'subscription_id' and s.id = found
                union all
                select c.customer_id from contracts c
                where tg_argv[0] = 'product_id' and c.archived_at is null
                    and c.rate_card_id in (select rate_card_id from rates where product_id = found)
            ) t;
            select array_agg(customer_id) into relatives from sharing_customers(touched);
            insert into alert_touches (customer_id)
            select t.customer_id from unnest(relatives) as t (customer_id)
            where exists (
                select 1 from alerts a
                where a.archived_at is null and (a.customer_id is null or a.customer_id = t.customer_id)
                    and (t.customer_id = any(touched)
                        or a.type like 'LOW\\_REMAINING\\_%' or a.type like '%INVOICE\\_TOTAL%')
            );
            perform pg_notify('metrograph_live', 'spend ' || w.customer_id || ' ' || w.customer_id)
            from live_watches w where w.customer_id = any(relatives) and w.until > clock_timestamp();
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
