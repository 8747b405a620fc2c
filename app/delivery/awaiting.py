"""Reads back what waits for an answer at a marketplace: payment requests that the buyer has not decided on.

Owns which deliveries are asked about, and how often: every hour, since a marketplace tells of none by itself. What follows is
that of any invoice that is read back (`external.py`): the state is kept, and what was refused needs a person.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlmodel import col, or_, select

from app.delivery import calling, external, turns
from app.delivery.inbound import Place
from app.delivery.states import AWAITED_AT_PROVIDER, DeliveryStatus
from app.delivery.tables import Delivery, ExternalInvoiceState
from app.failpoints import reached
from app.store.locks import hold
from connectors.base import ProviderEntry

log = structlog.get_logger("metrograph.delivery")


async def read_back_awaited(place: Place) -> int:
    """Ask about each request that waits, and about those of which the answer was never read; returns how many changed.

    An account that does not answer is asked again an hour later.
    """
    requesting = {item.name: item for item in place.connections.all() if item.capabilities.requested_by}
    async with place.store.transaction() as session:
        found = await session.execute(
            select(Delivery.id, Delivery.connection, Delivery.provider_reference, Delivery.billing_configuration_id)
            .where(
                Delivery.mode == "invoice",
                Delivery.status == DeliveryStatus.DELIVERED,
                col(Delivery.connection).in_(requesting),
                col(Delivery.provider_reference).is_not(None),
                or_(
                    col(Delivery.provider_status).in_(AWAITED_AT_PROVIDER),
                    ~select(ExternalInvoiceState.id).where(ExternalInvoiceState.delivery_id == Delivery.id).exists(),
                ),
            )
            .order_by(col(Delivery.id))
        )
        waiting = [(row[0], row[1], str(row[2]), row[3]) for row in found]
    changed, silent = 0, set[str]()
    for delivery_id, name, reference, configuration_id in waiting:
        if name not in silent:
            seen = await _read_back(place, delivery_id, name, reference, configuration_id)
            changed += bool(seen)
            silent |= {name} if seen is None else set()
    return changed


async def _read_back(place: Place, delivery_id: UUID, name: str, reference: str, configuration_id: UUID) -> bool | None:
    """Whether something was new; None when the account does not answer."""
    connection = place.connections.find(name)
    assert connection is not None, "it was found a moment ago"
    async with place.store.transaction() as session:
        turn = await turns.turn_of(session, place.connections, configuration_id)
    async with hold(place.store, turn) as is_ours:
        if not is_ours:
            return False
        answer = await calling.read_back(connection, reference)
        reached("requests.read_back")
        if not isinstance(answer, ProviderEntry):
            log.warning("payment request not read", connection=name, reference=reference, reason=answer.message)
            return None
        async with place.store.transaction() as session:
            return await external.observe(session, delivery_id, answer, connection=name, now=place.clock())
