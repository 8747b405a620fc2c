"""The state of a scenario: everything it names, by the scenario's own ids.

Owns the translation between the scenario's ids and ours, in both directions. Who makes the rows is `founding.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.delivery.registry import Connections
from app.store.engine import Store

Json = dict[str, Any]
KINDS = {"aws": "aws_marketplace", "azure": "azure_marketplace", "gcp": "gcp_marketplace"}


@dataclass(slots=True)
class World:
    """Ours by the scenario's ids, and the scenario's by ours."""

    store: Store
    connections: Connections
    metrics: dict[str, UUID] = field(default_factory=dict)
    products: dict[str, UUID] = field(default_factory=dict)
    rate_cards: dict[str, UUID] = field(default_factory=dict)
    customers: dict[str, UUID] = field(default_factory=dict)
    contracts: dict[str, UUID] = field(default_factory=dict)
    grants: dict[str, UUID] = field(default_factory=dict)
    recurring: dict[str, UUID] = field(default_factory=dict)
    providers: dict[str, UUID] = field(default_factory=dict)
    overrides: dict[str, UUID] = field(default_factory=dict)
    charges: dict[str, UUID] = field(default_factory=dict)
    subscriptions: dict[str, UUID] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """The place of each contract in the scenario's list: answers are in that order."""

    def name_of(self, kind: str, identifier: UUID | None) -> str | None:
        """The scenario's id of one of our rows."""
        names = {found: name for name, found in getattr(self, kind).items()}
        return None if identifier is None else names[identifier]
