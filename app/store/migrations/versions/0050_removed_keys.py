"""Alerts that ask for a custom field are looked at as soon as its key is removed."""

from __future__ import annotations

from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        create function touch_alerts_of_key() returns trigger language plpgsql as $$
        begin
            insert into alert_touches (customer_id)
            select holders.customer_id from (
                select c.customer_id from custom_field_values v join contracts c on c.id = v.object_id
                where v.key_id = new.id
                union
                select g.customer_id from custom_field_values v join grants g on g.id = v.object_id
                where v.key_id = new.id
            ) holders
            where exists (
                select 1 from alerts a
                where a.archived_at is null and a.disabled_at is null
                    and (a.customer_id is null or a.customer_id = holders.customer_id)
                    and a.custom_field_filters
                        @> jsonb_build_array(jsonb_build_object('entity', new.entity, 'key', new.key))
            );
            return null;
        end $$
        """
    )
    op.execute(
        "create trigger touch_alerts after update of removed_at on custom_field_keys for each row "
        "when (old.removed_at is null and new.removed_at is not null) execute function touch_alerts_of_key()"
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
