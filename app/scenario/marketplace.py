"""The marketplace of a scenario: it acknowledges every slot it is sent.

Scenarios check what is metered, not how a provider answers; the real connectors have a conformance suite of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from app.delivery.registry import Connection, Connections
from app.scenario.world import KINDS
from connectors.base import Capabilities, Document, MeteringDocument, Outcome, OutcomeStatus, Problem


class ScenarioMarketplace:
    """A marketplace that takes every slot."""

    name: ClassVar[str] = "scenario"
    capabilities: ClassVar[Capabilities] = Capabilities(mode="metering", batch_size=25, currencies=frozenset({"USD"}))

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        """Anything goes."""
        return []

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Acknowledge every record."""
        assert isinstance(document, MeteringDocument)
        return [
            Outcome(reference=record.reference, status=OutcomeStatus.ACCEPTED, acknowledged=record.quantity)
            for record in document.records
        ]

    async def close(self) -> None:
        """Nothing to close."""


def scenario_connections() -> Connections:
    """One account for each kind of marketplace."""
    made = {
        provider: Connection(provider, provider, ScenarioMarketplace(), Decimal("0.01"), "usage_fee")  # type: ignore[arg-type]
        for provider in KINDS.values()
    }
    return Connections(made)
