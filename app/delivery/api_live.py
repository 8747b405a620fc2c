"""Deliveries as they change: a field of Subscription."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Annotated, Any

import strawberry

from app.delivery.api_types import Delivery
from app.graphql.context import Context, Info
from app.graphql.fields import subscription_field
from app.graphql.live import changes
from app.store.listening import Change


@strawberry.type
class DeliveryLive:
    @subscription_field(
        scope="delivery:read",
        description="Each delivery that is new, comes to stand otherwise, or of which the provider counts more.",
        for_customers=True,
    )
    async def delivery_changed(
        self,
        info: Info,
        provider: Annotated[str | None, strawberry.argument(description="Only those at this provider.")] = None,
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only those of this customer.")
        ] = None,
    ) -> AsyncGenerator[Delivery, None]:
        source = await changes(info.context, "delivery", "delivery", customer_id)

        async def load(context: Context, change: Change | None) -> Any:
            row = await source.load(context, change)
            return row if row is not None and provider in (None, row.provider) else None

        return replace(source, load=load)  # type: ignore[return-value]
