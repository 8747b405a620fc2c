"""What the audit log says of commits and credits.

Owns that form; it names everything that an edit can change.
"""

from __future__ import annotations

from uuid import UUID

from app.core.money import canonical
from app.grants.tables import GrantRow
from app.store.ids import to_text

KINDS = {"PREPAID": "commit", "POSTPAID": "commit", "CREDIT": "credit"}
"""The kind of object, by type: commits and credits are one table and two kinds of id."""


def shown(row: GrantRow) -> dict[str, object]:
    """What the audit log says of a commit or credit."""
    return {
        "type": row.type,
        "name": row.name,
        "description": row.description,
        "unit": row.unit,
        "priority": canonical(row.priority),
        "rateType": row.rate_type,
        "rolloverFraction": None if row.rollover_fraction is None else canonical(row.rollover_fraction),
        "product": None if row.product_id is None else to_text("product", row.product_id),
        "productIds": [to_text("product", UUID(item)) for item in row.product_ids],
        "tags": row.tags,
        "specifiers": row.specifiers,
        "contractIds": [to_text("contract", UUID(item)) for item in row.contract_ids],
        "invoiceContract": None if row.invoice_contract_id is None else to_text("contract", row.invoice_contract_id),
        "payment": row.invoice,
        "childAccess": row.child_access,
        "childContracts": [to_text("contract", UUID(item)) for item in row.child_contract_ids or ()],
        "childAccessChanges": [
            {
                "startingAt": item["starting_at"],
                "type": item["access"],
                "contractIds": [to_text("contract", UUID(child)) for child in item["contract_ids"]],
            }
            for item in row.child_access_changes
        ],
    }
