"""Billing runs with their progress, and when something of a customer's contracts falls due next."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Table -> the column that leads to the customer.
WATCHED = {
    **dict.fromkeys(("contracts", "invoices", "grants"), "customer_id"),
    **dict.fromkeys(("scheduled_charges", "subscriptions", "contract_transitions"), "contract_id"),
    **dict.fromkeys(("quantity_updates", "seat_changes"), "subscription_id"),
    **dict.fromkeys(("grant_segments", "transfers"), "grant_id"),
    **dict.fromkeys(("invoice_voids", "invoice_regenerations"), "invoice_id"),
}


def upgrade() -> None:
    _runs()
    op.create_table(
        "due_customers",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("release", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_due_customers")),
    )
    op.create_index(op.f("ix_due_customers_next_due_at"), "due_customers", ["next_due_at"])
    op.create_table(
        "due_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_due_changes")),
    )
    op.create_index(op.f("ix_due_changes_customer_id"), "due_changes", ["customer_id"])
    _triggers()
    # Nothing is known yet of customers that were there before.
    op.execute("insert into due_changes (customer_id) select distinct customer_id from contracts")


def _runs() -> None:
    op.create_table(
        "billing_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_runs")),
    )
    op.create_table(
        "billing_run_contracts",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("is_second", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_code", sa.String(length=64), nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_billing_run_contracts")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["billing_runs.id"], name=op.f("fk_billing_run_contracts_run_id_billing_runs")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_billing_run_contracts_contract_id_contracts")
        ),
    )
    op.create_index(
        "ix_billing_run_contracts_open",
        "billing_run_contracts",
        ["run_id", "position"],
        postgresql_where=sa.text("done_at is null"),
    )
    op.create_table(
        "billing_run_invoices",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_billing_run_invoices")),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_billing_run_invoices_invoice_id_invoices")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["billing_runs.id"], name=op.f("fk_billing_run_invoices_run_id_billing_runs")
        ),
    )
    op.create_index(op.f("ix_billing_run_invoices_run_id"), "billing_run_invoices", ["run_id"])


def _triggers() -> None:
    # A mark is added and never changed: nobody waits for it, and it exists from the moment at which the change does.
    op.execute(
        """
        create function note_due_change() returns trigger language plpgsql as $$
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
            end if;
            return null;
        end $$
        """
    )
    for table, column in WATCHED.items():
        op.execute(
            f"create trigger note_due after insert or update or delete on {table} "
            f"for each row execute function note_due_change('{column}')"
        )


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
