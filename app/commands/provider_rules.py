"""What `metrograph check` asks of provider accounts: who is billed where, what they told, and what they showed.

Owns these queries; each is a sentence, how many rows it looks at, and how many break it.
"""

from __future__ import annotations

PROVIDER_RULES: dict[str, tuple[str, str]] = {
    "contracts are billed through configurations of their own customers, and change them at ten bounds at most": (
        "select count(*) from contracts",
        "select count(*) from contracts c where exists (select 1 from billing_configurations b where b.customer_id <> "
        "c.customer_id and (b.id = c.billing_configuration_id or b.id in (select u.billing_configuration_id from "
        "billing_configuration_updates u where u.contract_id = c.id))) "
        "or (select count(*) from billing_configuration_updates u where u.contract_id = c.id) > 9",
    ),
    "a delivery goes the way that its invoice was given": (
        "select count(*) from deliveries",
        "select count(*) from deliveries d join invoices i on i.id = d.invoice_id "
        "where d.billing_configuration_id is distinct from i.billing_configuration_id "
        "or d.customer_id <> i.customer_id or d.currency <> i.currency or d.total <> i.total",
    ),
    "a marketplace is asked for scheduled invoices above zero where an agreement is named, and is sent the rest as usage": (
        "select count(*) from deliveries",
        "select count(*) from (select d.mode, d.provider, d.attempts, i.type = 'SCHEDULED' and i.total > 0 and "
        "jsonb_exists(b.settings, 'variablePaymentTermId') as is_asked from deliveries d join invoices i on i.id = d.invoice_id "
        "join billing_configurations b on b.id = d.billing_configuration_id) d where case when is_asked then mode = 'metering' "
        "else mode = 'invoice' and provider = 'aws_marketplace' and attempts > 0 end",
    ),
    "nothing counts as delivered that its provider showed void or deleted": (
        "select count(*) from external_invoice_states",
        # The last state, of the object that the delivery names now: a retry after a void has another one.
        "select count(*) from external_invoice_states s join deliveries d on d.id = s.delivery_id and "
        "d.provider_reference = s.provider_reference where not exists (select 1 from external_invoice_states l "
        "where l.delivery_id = s.delivery_id and l.id > s.id) and s.provider_status in "
        "('void', 'deleted', 'REJECTED', 'CANCELLED', 'VALIDATION_FAILED') and d.status = 'DELIVERED' "
        "and not exists (select 1 from invoice_voids v where v.invoice_id = d.invoice_id)",
    ),
    "a delivery says of its provider what was read there last": (
        "select count(*) from external_invoice_states",
        "select count(*) from external_invoice_states s join deliveries d on d.id = s.delivery_id and "
        "d.provider_reference = s.provider_reference where not exists (select 1 from external_invoice_states l "
        "where l.delivery_id = s.delivery_id and l.id > s.id) and d.status = 'DELIVERED' and d.provider_status is distinct from "
        "s.provider_status",
    ),
    "every notice of a provider waits for a time, or is closed": (
        "select count(*) from provider_notices",
        "select count(*) from provider_notices where (state = 'RECEIVED') is distinct from (handled_at is null) "
        "or (state = 'RECEIVED') is distinct from (next_attempt_at is not null)",
    ),
    "of an invoice about which a notice was handled it is known how it stands": (
        "select count(*) from provider_notices where state = 'HANDLED'",
        "select count(*) from provider_notices n join deliveries d using (connection, provider_reference) "
        "where n.state = 'HANDLED' and d.mode = 'invoice' "
        "and not exists (select 1 from external_invoice_states s where s.delivery_id = d.id)",
    ),
    "a subscription at a marketplace is billed by a configuration of its own customer and account": (
        "select count(*) from marketplace_subscriptions",
        "select count(*) from marketplace_subscriptions m join billing_configurations b on b.id = m.billing_configuration_id "
        "where m.customer_id is distinct from b.customer_id or m.connection <> b.connection",
    ),
    "an hour of a buyer carries one slot that may count": (
        "select count(*) from metering_slots",
        "select count(*) from (select 1 from metering_slots where status <> 'REFUSED' "
        "group by connection, record -> 'customer', dimension, hour having count(*) > 1) twice",
    ),
}
