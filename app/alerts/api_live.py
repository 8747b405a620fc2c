"""Alerts as they change: a field of Subscription."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from app.alerts.api_types import AlertTransition
from app.alerts.tables import AlertTransitionRow
from app.graphql.context import Info
from app.graphql.fields import subscription_field
from app.graphql.live import changes
from app.graphql.nodes import LOADERS, rows_by_id

LOADERS["alert.transition"] = rows_by_id(AlertTransitionRow)


@strawberry.type
class AlertsLive:
    @subscription_field(
        scope="alerts:read", description="Each change of an alert's state with a customer, those in silence too."
    )
    async def alert_transitions(
        self,
        info: Info,
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only those with this customer.")
        ] = None,
    ) -> AsyncGenerator[AlertTransition, None]:
        return await changes(info.context, "transition", "alert.transition", customer_id)  # type: ignore[return-value]
