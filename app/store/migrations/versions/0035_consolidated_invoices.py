"""Consolidated invoices: of which statements each is made; what changes for a child is looked at for its parent, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invoice_constituents",
        sa.Column("consolidated_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("consolidated_id", "position", name=op.f("pk_invoice_constituents")),
        sa.UniqueConstraint(
            "consolidated_id", "invoice_id", name=op.f("uq_invoice_constituents_consolidated_id_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["consolidated_id"], ["invoices.id"], name=op.f("fk_invoice_constituents_consolidated_id_invoices")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_invoice_constituents_invoice_id_invoices")
        ),
    )
    op.create_index(op.f("ix_invoice_constituents_invoice_id"), "invoice_constituents", ["invoice_id"])
    op.execute(
        "create trigger add_only before update or delete or truncate on invoice_constituents "
        "for each statement execute function refuse_change()"
    )
    # A consolidated invoice, and a true-up that waits for children, fall due by what happens to contracts of others.
    op.create_index(
        "ix_contracts_children", "contracts", ["customer_id"], postgresql_where=sa.text("parent_id is not null")
    )
    op.execute(
        """
        create or replace function note_due_change() returns trigger language plpgsql as $$
        declare
            changed jsonb := to_jsonb(coalesce(new, old));
            customer uuid;
        begin
            case tg_argv[0]
                when 'customer_id' then customer := changed ->> 'customer_id';
                when 'contract_id' then
                    select c.customer_id into customer from contracts c where c.id = (changed ->> 'contract_id')::uuid;
                when 'subscription_id' then
                    select c.customer_id into customer from subscriptions s join contracts c on c.id = s.contract_id
                    where s.id = (changed ->> 'subscription_id')::uuid;
                when 'grant_id' then
                    select g.customer_id into customer from grants g where g.id = (changed ->> 'grant_id')::uuid;
                when 'invoice_id' then
                    select i.customer_id into customer from invoices i where i.id = (changed ->> 'invoice_id')::uuid;
            end case;
            if customer is not null then
                insert into due_changes (customer_id) values (customer);
                insert into due_changes (customer_id)
                select distinct p.customer_id from contracts c join contracts p on p.id = c.parent_id
                where c.customer_id = customer and c.parent_id is not null and p.customer_id <> customer;
            end if;
            return null;
        end $$
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
