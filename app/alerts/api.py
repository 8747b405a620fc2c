"""Alerts in GraphQL: what can be read and done.

Owns the fields; inputs are in `api_inputs.py`, objects in `api_types.py`, and the rules in `rules.py`.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy import or_, select

from app.alerts import service, tables
from app.alerts.api_inputs import AlertCreateInput, AlertFilter, new_alert
from app.alerts.api_loaders import STATES
from app.alerts.api_types import Alert, CustomerAlert
from app.core.alerts import AlertState
from app.custom_fields.api_filters import Entity, with_custom_fields
from app.graphql.connection import After, Connection, Edge, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.payload import Payload
from app.store import ids

ALERTS: Any = tables.AlertRow.__table__.c  # type: ignore[attr-defined]
ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the alert.")]
CustomerID = Annotated[strawberry.ID, strawberry.argument(description="Id of the customer.")]


@strawberry.type(description="Answer to a mutation of an alert.")
class AlertPayload(Payload):
    alert: Alert | None = strawberry.field(default=None, description="The alert; null after an error.")


@strawberry.type
class AlertsQuery:
    @query_field(scope="alerts:read", description="Alerts, newest first; archived ones only when asked for.")
    async def alerts(
        self,
        info: Info,
        filter: Annotated[AlertFilter | None, strawberry.argument(description="Which alerts.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Alert]:
        wanted = filter or AlertFilter()
        statement = select(tables.AlertRow)
        if not wanted.include_archived:
            statement = statement.where(ALERTS.archived_at.is_(None))
        if wanted.is_enabled is not None:
            is_enabled = ALERTS.disabled_at.is_(None)
            statement = statement.where(is_enabled if wanted.is_enabled else ~is_enabled)
        statement = await with_custom_fields(info, statement, Entity.ALERT, ALERTS.id, wanted.custom_fields)
        if wanted.type is not None:
            statement = statement.where(ALERTS.type.in_([kind.value for kind in wanted.type]))
        if wanted.customer_id is not None:
            customer_id = ids.from_text("customer", wanted.customer_id, path=("filter", "customerId"))
            statement = statement.where(or_(ALERTS.customer_id.is_(None), ALERTS.customer_id == customer_id))
        if wanted.is_in_alarm is not None:
            alarmed = select(STATES.alert_id).where(STATES.alert_id == ALERTS.id, STATES.state == AlertState.IN_ALARM)
            statement = statement.where(alarmed.exists() if wanted.is_in_alarm else ~alarmed.exists())
        return await connection(info, statement, sort=[ALERTS.id], descending=True, first=first, after=after)

    @query_field(
        scope="alerts:read", description="The alerts that watch a customer, and where each stands; newest first."
    )
    async def customer_alerts(
        self, info: Info, customer_id: CustomerID, first: First = 25, after: After = None
    ) -> Connection[CustomerAlert]:
        own = ids.from_text("customer", customer_id, path=("customerId",))
        statement = select(tables.AlertRow).where(
            ALERTS.archived_at.is_(None), or_(ALERTS.customer_id.is_(None), ALERTS.customer_id == own)
        )
        page: Any = await connection(info, statement, sort=[ALERTS.id], descending=True, first=first, after=after)
        shown = [CustomerAlert(alert=row, customer_id=own) for row in page.nodes]
        edges = [Edge(cursor=edge.cursor, node=node) for edge, node in zip(page.edges, shown, strict=True)]
        return Connection(edges=edges, nodes=shown, page_info=page.page_info, count=page.count)


@strawberry.type
class AlertsMutation:
    @mutation_field(
        scope="alerts:write",
        action="alert.create",
        description="Watch a threshold for one customer or for all; it is evaluated within seconds.",
    )
    async def alert_create(
        self, info: Info, input: Annotated[AlertCreateInput, strawberry.argument(description="The new alert.")]
    ) -> AlertPayload:
        row = await service.create_alert(info.context.session, new_alert(input), now=info.context.now)
        return AlertPayload(alert=row)  # type: ignore[arg-type]

    @mutation_field(scope="alerts:write", action="alert.archive", description="Watch no more, for good.")
    async def alert_archive(
        self,
        info: Info,
        id: ID,
        release_uniqueness_key: Annotated[
            bool, strawberry.argument(description="Whether its uniqueness key may be used again.")
        ] = False,
    ) -> AlertPayload:
        row = await service.archive_alert(
            info.context.session, ids.from_text("alert", id, path=("id",)), release_key=release_uniqueness_key,
            now=info.context.now,
        )  # fmt: skip
        return AlertPayload(alert=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="alerts:write",
        action="alert.disable",
        description="Look at an alert no more until it is enabled; nothing is told of it meanwhile.",
    )
    async def alert_disable(self, info: Info, id: ID) -> AlertPayload:
        return await _enabled(info, id, is_enabled=False)

    @mutation_field(
        scope="alerts:write",
        action="alert.enable",
        description="Look at a disabled alert again. It goes on from where it stood, so what was crossed since and still "
        "holds is told now.",
    )
    async def alert_enable(self, info: Info, id: ID) -> AlertPayload:
        return await _enabled(info, id, is_enabled=True)

    @mutation_field(
        scope="alerts:write",
        action="alert.reset",
        description="Forget where an alert stands with a customer; it is evaluated anew, and may tell again.",
    )
    async def alert_reset(
        self,
        info: Info,
        alert_id: Annotated[strawberry.ID, strawberry.argument(description="Id of the alert.")],
        customer_id: CustomerID,
    ) -> AlertPayload:
        row = await service.reset_alert(
            info.context.session,
            ids.from_text("alert", alert_id, path=("alertId",)),
            ids.from_text("customer", customer_id, path=("customerId",)),
        )
        return AlertPayload(alert=row)  # type: ignore[arg-type]


async def _enabled(info: Info, id: str, *, is_enabled: bool) -> AlertPayload:
    alert_id = ids.from_text("alert", id, path=("id",))
    row = await service.enable_alert(info.context.session, alert_id, is_enabled=is_enabled, now=info.context.now)
    return AlertPayload(alert=row)  # type: ignore[arg-type]
