"""Which of the seller's own fields Stripe is told, and under which names.

Owns the rules of a connection (`metadata`, `printed_fields`) and their application. Values come with the document, frozen
with the first try, so a retry sends what that one sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.http import SettingsTable

# docs.stripe.com/api/metadata and docs.stripe.com/api/invoices/create, November 2026. Ten of 50 pairs are kept for us.
MAX_RULES = 40
MAX_VALUE = 500
MAX_PRINTED = 4
MAX_PRINTED_VALUE = 140
_ANY_FIELD = r"(customer|contract|invoice|product)\.\S{1,100}"
_INVOICE_FIELD = r"(customer|contract|invoice)\.\S{1,100}"
_METADATA_KEY = r"(?!metrograph_)[^\[\]]{1,40}"


@dataclass(frozen=True, slots=True)
class FieldRules:
    """From the name of a field to the name at Stripe: in the metadata, and printed on the invoice."""

    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    printed: Mapping[str, str] = field(default_factory=dict[str, str])

    def metadata_of(self, custom_fields: Mapping[str, str]) -> dict[str, str]:
        """The pairs for an object with these fields."""
        return {to: custom_fields[name][:MAX_VALUE] for name, to in self.metadata.items() if custom_fields.get(name)}

    def printed_of(self, custom_fields: Mapping[str, str]) -> list[dict[str, Any]]:
        """What is printed on an invoice with these fields."""
        return [
            {"name": to, "value": custom_fields[name][:MAX_PRINTED_VALUE]}
            for name, to in self.printed.items()
            if custom_fields.get(name)
        ]


def read_rules(table: SettingsTable) -> FieldRules:
    """The rules of a connection's table."""
    like = 'up to {} pairs such as "{}" = "{}"'
    return FieldRules(
        metadata=table.pairs(
            "metadata", names=_ANY_FIELD, values=_METADATA_KEY, most=MAX_RULES,
            like=like.format(MAX_RULES, "contract.po_number", "po_number"),
        ),
        printed=table.pairs(
            "printed_fields", names=_INVOICE_FIELD, values=r".{1,40}", most=MAX_PRINTED,
            like=like.format(MAX_PRINTED, "contract.po_number", "PO number"),
        ),
    )  # fmt: skip
