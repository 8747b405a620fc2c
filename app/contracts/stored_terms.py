"""The rows that were made of a contract's terms.

Owns what the audit log and the history of edits say of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.contracts.filters import shown_filter
from app.contracts.tables import OverrideRow, ScheduledChargeRow, SubscriptionRow, ThresholdRow, UsageFilterRow
from app.contracts.thresholds import shown_threshold
from app.grants.shown import KINDS
from app.grants.tables import GrantRow, RecurringGrantRow
from app.store.base import Row
from app.store.ids import to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTerms:
    """Rows in the order of the request, and what else the audit log says of the terms."""

    grants: Sequence[GrantRow]
    recurring: Sequence[RecurringGrantRow]
    overrides: Sequence[OverrideRow]
    usage_filters: Sequence[UsageFilterRow]
    scheduled_charges: Sequence[ScheduledChargeRow]
    subscriptions: Sequence[SubscriptionRow]
    thresholds: Sequence[ThresholdRow]
    noted: Mapping[str, object]

    def counted(self) -> dict[str, object]:
        """How many there are of each."""
        return {
            "grants": len(self.grants),
            "recurring": len(self.recurring),
            "overrides": len(self.overrides),
            "usageFilters": len(self.usage_filters),
            "scheduledCharges": len(self.scheduled_charges),
            "subscriptions": len(self.subscriptions),
            "thresholds": len(self.thresholds),
        } | dict(self.noted)

    def named(self) -> dict[str, object]:
        """The ids of each, and filters as they are; what there is none of is left out."""
        found: dict[str, list[object]] = {
            "balances": [to_text(KINDS[row.type], row.id) for row in self.grants],
            "recurringBalances": _ids("recurring_grant", self.recurring),
            "overrides": _ids("override", self.overrides),
            "usageFilters": [shown_filter(row) for row in self.usage_filters],
            "scheduledCharges": _ids("scheduled_charge", self.scheduled_charges),
            "subscriptions": _ids("subscription", self.subscriptions),
            "thresholds": [{"kind": row.kind, **shown_threshold(row)} for row in self.thresholds],
        }
        return {name: items for name, items in found.items() if items}


def _ids(kind: str, rows: Sequence[Row]) -> list[object]:
    return [to_text(kind, row.id) for row in rows]
