"""The tables of the first slices; finished rows are guarded against any change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

EXACT = postgresql.DOMAIN("exact_numeric", sa.Numeric(), create_type=False)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ADD_ONLY = (
    "rates",
    "invoices",
    "invoice_lines",
    "invoice_inputs",
    "delivery_attempts",
    "delivery_receipts",
    "metering_receipts",
)


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "customers",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("external_id", sa.String(length=128), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("external_id", name=op.f("uq_customers_external_id")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_customers_uniqueness_key")),
    )
    op.create_table(
        "ingest_batches",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("conflicts", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ingest_batches")),
    )
    op.create_index(op.f("ix_ingest_batches_received_at"), "ingest_batches", ["received_at"], unique=False)
    op.create_table(
        "metrics",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("aggregation", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("event_types_in", postgresql.JSONB(), nullable=True),
        sa.Column("event_types_not_in", postgresql.JSONB(), nullable=True),
        sa.Column("filters", postgresql.JSONB(), nullable=False),
        sa.Column("group_keys", postgresql.JSONB(), nullable=False),
        sa.Column("events_before_batch", sa.BigInteger(), nullable=False),
        sa.Column("buckets_ready", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metrics")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_metrics_uniqueness_key")),
    )
    op.create_table(
        "rate_cards",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column("product_order", postgresql.JSONB(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_cards")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_rate_cards_uniqueness_key")),
    )
    op.create_table(
        "billing_configurations",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_billing_configurations_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_configurations")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_billing_configurations_uniqueness_key")),
    )
    op.create_index(
        op.f("ix_billing_configurations_customer_id"), "billing_configurations", ["customer_id"], unique=False
    )
    op.create_index(
        "uq_billing_configurations_default",
        "billing_configurations",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("is_default and archived_at is null"),
    )
    op.create_table(
        "ingest_aliases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alias", sa.String(length=128), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_ingest_aliases_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_aliases")),
        sa.UniqueConstraint("alias", name=op.f("uq_ingest_aliases_alias")),
    )
    op.create_index(op.f("ix_ingest_aliases_customer_id"), "ingest_aliases", ["customer_id"], unique=False)
    op.create_table(
        "products",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("metric_id", sa.Uuid(), nullable=True),
        sa.Column("pricing_group_key", postgresql.JSONB(), nullable=False),
        sa.Column("presentation_group_key", postgresql.JSONB(), nullable=False),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["metric_id"], ["metrics.id"], name=op.f("fk_products_metric_id_metrics")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_products_uniqueness_key")),
    )
    op.create_table(
        "contracts",
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("rate_card_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("statement_frequency", sa.String(length=16), nullable=False),
        sa.Column("statement_day", sa.String(length=16), nullable=False),
        sa.Column("statement_anchor", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generate_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grace_hours", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("net_payment_terms_days", sa.Integer(), nullable=True),
        sa.Column("billing_configuration_id", sa.Uuid(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["billing_configuration_id"],
            ["billing_configurations.id"],
            name=op.f("fk_contracts_billing_configuration_id_billing_configurations"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_contracts_customer_id_customers")),
        sa.ForeignKeyConstraint(["rate_card_id"], ["rate_cards.id"], name=op.f("fk_contracts_rate_card_id_rate_cards")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contracts")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_contracts_uniqueness_key")),
    )
    op.create_index(op.f("ix_contracts_customer_id"), "contracts", ["customer_id"], unique=False)
    op.create_index(op.f("ix_contracts_rate_card_id"), "contracts", ["rate_card_id"], unique=False)
    op.create_table(
        "metering_slots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("billing_configuration_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("dimension", sa.String(length=255), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quantity", EXACT, nullable=False),
        sa.Column("unit_price", EXACT, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("owed", EXACT, nullable=False),
        sa.Column("record", postgresql.JSONB(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.String(length=2000), nullable=True),
        sa.Column("error_hint", sa.String(length=2000), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_configuration_id"],
            ["billing_configurations.id"],
            name=op.f("fk_metering_slots_billing_configuration_id_billing_configurations"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_metering_slots_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metering_slots")),
        sa.UniqueConstraint(
            "billing_configuration_id",
            "dimension",
            "hour",
            name=op.f("uq_metering_slots_billing_configuration_id_dimension_hour"),
        ),
    )
    op.create_index(
        "ix_metering_slots_open",
        "metering_slots",
        ["connection", "hour"],
        unique=False,
        postgresql_where=sa.text("status in ('PENDING', 'SENDING')"),
    )
    op.create_table(
        "rates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rate_card_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("rate", postgresql.JSONB(), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entitled", sa.Boolean(), nullable=False),
        sa.Column("group_values", postgresql.JSONB(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_rates_product_id_products")),
        sa.ForeignKeyConstraint(["rate_card_id"], ["rate_cards.id"], name=op.f("fk_rates_rate_card_id_rate_cards")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rates")),
    )
    op.create_index(op.f("ix_rates_product_id"), "rates", ["product_id"], unique=False)
    op.create_index(op.f("ix_rates_rate_card_id"), "rates", ["rate_card_id"], unique=False)
    op.create_table(
        "invoices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=False),
        sa.Column("billing_configuration_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("regeneration", sa.Integer(), nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payment_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("subtotal", EXACT, nullable=False),
        sa.Column("total", EXACT, nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_configuration_id"],
            ["billing_configurations.id"],
            name=op.f("fk_invoices_billing_configuration_id_billing_configurations"),
        ),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name=op.f("fk_invoices_contract_id_contracts")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_invoices_customer_id_customers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
        sa.UniqueConstraint(
            "contract_id",
            "type",
            "starting_at",
            "regeneration",
            name=op.f("uq_invoices_contract_id_type_starting_at_regeneration"),
        ),
        sa.UniqueConstraint("number", name=op.f("uq_invoices_number")),
    )
    op.create_index(
        op.f("ix_invoices_billing_configuration_id"), "invoices", ["billing_configuration_id"], unique=False
    )
    op.create_index(op.f("ix_invoices_contract_id"), "invoices", ["contract_id"], unique=False)
    op.create_index(op.f("ix_invoices_customer_id"), "invoices", ["customer_id"], unique=False)
    op.create_index(op.f("ix_invoices_issued_at"), "invoices", ["issued_at"], unique=False)
    op.create_table(
        "metering_receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("acknowledged", EXACT, nullable=True),
        sa.Column("provider_reference", sa.String(length=255), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("message", sa.String(length=2000), nullable=True),
        sa.Column("hint", sa.String(length=2000), nullable=True),
        sa.Column("request_ids", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["slot_id"], ["metering_slots.id"], name=op.f("fk_metering_receipts_slot_id_metering_slots")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metering_receipts")),
    )
    op.create_index(op.f("ix_metering_receipts_slot_id"), "metering_receipts", ["slot_id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("billing_configuration_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total", EXACT, nullable=False),
        sa.Column("acknowledged", EXACT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_reference", sa.String(length=255), nullable=True),
        sa.Column("provider_status", sa.String(length=64), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.String(length=2000), nullable=True),
        sa.Column("error_hint", sa.String(length=2000), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_configuration_id"],
            ["billing_configurations.id"],
            name=op.f("fk_deliveries_billing_configuration_id_billing_configurations"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_deliveries_customer_id_customers")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_deliveries_invoice_id_invoices")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_deliveries_invoice_id")),
    )
    op.create_index(
        op.f("ix_deliveries_billing_configuration_id"), "deliveries", ["billing_configuration_id"], unique=False
    )
    op.create_index(op.f("ix_deliveries_customer_id"), "deliveries", ["customer_id"], unique=False)
    op.create_index(
        "ix_deliveries_open",
        "deliveries",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status in ('PENDING', 'SENDING', 'FAILED')"),
    )
    op.create_index(op.f("ix_deliveries_status"), "deliveries", ["status"], unique=False)
    op.create_table(
        "invoice_inputs",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("terms", postgresql.JSONB(), nullable=False),
        sa.Column("usage", postgresql.JSONB(), nullable=False),
        sa.Column("unrated", postgresql.JSONB(), nullable=False),
        sa.Column("ingest_batch", sa.BigInteger(), nullable=False),
        sa.Column("release", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_invoice_inputs_invoice_id_invoices")),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice_inputs")),
    )
    op.create_table(
        "invoice_lines",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("product_name", sa.String(length=200), nullable=True),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("quantity", EXACT, nullable=True),
        sa.Column("unit_price", EXACT, nullable=True),
        sa.Column("amount", EXACT, nullable=False),
        sa.Column("starting_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pricing", postgresql.JSONB(), nullable=False),
        sa.Column("presentation", postgresql.JSONB(), nullable=False),
        sa.Column("tier", postgresql.JSONB(), nullable=True),
        sa.Column("rate_id", sa.Uuid(), nullable=True),
        sa.Column("in_total", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_invoice_lines_invoice_id_invoices")),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_invoice_lines_product_id_products")),
        sa.ForeignKeyConstraint(["rate_id"], ["rates.id"], name=op.f("fk_invoice_lines_rate_id_rates")),
        sa.PrimaryKeyConstraint("invoice_id", "position", name=op.f("pk_invoice_lines")),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_attempts_delivery_id_deliveries")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
        sa.UniqueConstraint("delivery_id", "number", name=op.f("uq_delivery_attempts_delivery_id_number")),
    )
    op.create_table(
        "delivery_receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("acknowledged", EXACT, nullable=True),
        sa.Column("provider_reference", sa.String(length=255), nullable=True),
        sa.Column("provider_status", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("message", sa.String(length=2000), nullable=True),
        sa.Column("hint", sa.String(length=2000), nullable=True),
        sa.Column("request_ids", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["delivery_attempts.id"], name=op.f("fk_delivery_receipts_attempt_id_delivery_attempts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_receipts")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_delivery_receipts_attempt_id")),
    )
    for table in ADD_ONLY:
        op.execute(
            f"create trigger add_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute("insert into counters (name, next) values ('invoice', 1)")


def downgrade() -> None:
    raise NotImplementedError("Books are only ever carried forward; restore a backup instead.")
