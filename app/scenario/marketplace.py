"""The marketplace of a scenario: it acknowledges every slot it is sent.

Scenarios check what is metered, not how a provider answers; the real connectors have a conformance suite of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from sqlmodel import col, select

from app.core.period import HOUR
from app.delivery.registry import Connection, Connections
from app.delivery.states import SlotStatus
from app.delivery.tables import MeteringSlot
from app.scenario.spelling import spell_instant
from app.scenario.world import KINDS, Json, World
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


async def metered(world: World, provider: str) -> list[Json]:
    """What was sent in each hour in which something was, in cents."""
    async with world.store.transaction() as session:
        rows = await session.execute(
            select(MeteringSlot)
            .where(
                MeteringSlot.billing_configuration_id == world.providers[provider],
                MeteringSlot.status == SlotStatus.ACCEPTED,
            )
            .order_by(col(MeteringSlot.hour), col(MeteringSlot.id))
        )
        slots = rows.scalars().all()
    cumulative, found = 0, list[Json]()
    for slot in slots:
        cents = int(slot.quantity)
        cumulative += cents
        # A slot is sent at the full hour that ends it.
        found.append({"hour": spell_instant(slot.hour + HOUR), "cents": cents, "cumulative": cumulative})
    return found
