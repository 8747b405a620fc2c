"""Webhook endpoints and notices in GraphQL: what can be read and done.

Owns the fields and inputs; how the objects look is in `api_types.py`, and the rules are in `endpoints.py`.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy import select

from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.payload import Payload
from app.graphql.values import DateTimeFilter
from app.notices import asking, endpoints, tables
from app.notices.api_types import DELIVERIES, Notice, NoticeStatus, WebhookEndpoint
from app.store import ids

ENDPOINTS: Any = tables.WebhookEndpoint.__table__.c  # type: ignore[attr-defined]
NOTICES: Any = tables.Notice.__table__.c  # type: ignore[attr-defined]
ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the endpoint.")]
URL = "Where to post: https, port 443 or 8443, a public address; redirects are not followed."
TYPES = "Events to tell it of, such as invoice.finalized or contract.*; at most 100."


@strawberry.input(description="A new webhook endpoint.")
class WebhookEndpointCreateInput:
    url: str = strawberry.field(description=URL)
    event_types: list[str] = strawberry.field(default_factory=list, description=f"{TYPES[:-1]}; empty: all.")
    description: str | None = strawberry.field(default=None, description="What people call it, 1 to 200 characters.")
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the create safe to repeat: a second use is refused and names the first object."
    )


@strawberry.input(description="What to change about a webhook endpoint; what is left out stays.")
class WebhookEndpointUpdateInput:
    url: str | None = strawberry.field(default=None, description=URL)
    event_types: list[str] | None = strawberry.field(default=None, description=f"{TYPES[:-1]}; empty: all.")
    description: str | None = strawberry.field(default=None, description="What people call it, 1 to 200 characters.")
    is_enabled: bool | None = strawberry.field(
        default=None, description="False keeps back what it is told; true sends what waited."
    )


@strawberry.input(description="Which notices to list; conditions add up.")
class NoticeFilter:
    type: list[str] | None = strawberry.field(default=None, description="Those of one of these types.")
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Those that concern this customer.")
    endpoint_id: strawberry.ID | None = strawberry.field(default=None, description="Those that this endpoint is told.")
    status: list[NoticeStatus] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those that stand so with an endpoint, the one that is named or any."
    )
    created_at: DateTimeFilter | None = strawberry.field(default=None, description="Those that became known then.")


@strawberry.type(description="Answer to a mutation of a webhook endpoint.")
class WebhookEndpointPayload(Payload):
    webhook_endpoint: WebhookEndpoint | None = strawberry.field(
        default=None, description="The endpoint; null after an error."
    )
    secret_once: str | None = strawberry.field(
        default=None, description="A new secret, whsec_ and base64. It is shown here and never again."
    )


@strawberry.type(description="Answer to a mutation of a notice.")
class NoticePayload(Payload):
    notice: Notice | None = strawberry.field(default=None, description="The notice; null after an error.")


@strawberry.type
class NoticesQuery:
    @query_field(scope="notices:read", description="Webhook endpoints, oldest first, archived ones too.")
    async def webhook_endpoints(
        self, info: Info, first: First = 25, after: After = None
    ) -> Connection[WebhookEndpoint]:
        return await connection(info, select(tables.WebhookEndpoint), sort=[ENDPOINTS.id], first=first, after=after)

    @query_field(scope="notices:read", description="What happened and was told, newest first; kept for 90 days.")
    async def notices(
        self,
        info: Info,
        filter: Annotated[NoticeFilter | None, strawberry.argument(description="Which notices.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Notice]:
        statement = select(tables.Notice)
        wanted = filter or NoticeFilter()
        if wanted.type is not None:
            statement = statement.where(NOTICES.type.in_(wanted.type))
        if wanted.customer_id is not None:
            customer_id = ids.from_text("customer", wanted.customer_id, path=("filter", "customerId"))
            statement = statement.where(NOTICES.customer_id == customer_id)
        if wanted.endpoint_id is not None or wanted.status is not None:
            told = select(DELIVERIES.notice_id).where(DELIVERIES.notice_id == NOTICES.id)
            if wanted.endpoint_id is not None:
                endpoint_id = ids.from_text("webhook_endpoint", wanted.endpoint_id, path=("filter", "endpointId"))
                told = told.where(DELIVERIES.endpoint_id == endpoint_id)
            if wanted.status is not None:
                told = told.where(DELIVERIES.status.in_([status.value for status in wanted.status]))
            statement = statement.where(told.exists())
        if wanted.created_at is not None and wanted.created_at.gte is not None:
            statement = statement.where(NOTICES.created_at >= wanted.created_at.gte)
        if wanted.created_at is not None and wanted.created_at.lt is not None:
            statement = statement.where(NOTICES.created_at < wanted.created_at.lt)
        return await connection(info, statement, sort=[NOTICES.id], descending=True, first=first, after=after)


@strawberry.type
class NoticesMutation:
    @mutation_field(
        scope="notices:write",
        action="webhook_endpoint.create",
        description="Make a webhook endpoint; its secret is shown once.",
    )
    async def webhook_endpoint_create(
        self,
        info: Info,
        input: Annotated[WebhookEndpointCreateInput, strawberry.argument(description="The new endpoint.")],
    ) -> WebhookEndpointPayload:
        context = info.context
        made = await endpoints.create_endpoint(
            context.session, context.settings, url=input.url, event_types=input.event_types,
            description=input.description, uniqueness_key=input.uniqueness_key, now=context.now,
        )  # fmt: skip
        return _told_once(info, made)

    @mutation_field(
        scope="notices:write", action="webhook_endpoint.update", description="Change, enable or disable an endpoint."
    )
    async def webhook_endpoint_update(
        self,
        info: Info,
        id: ID,
        input: Annotated[WebhookEndpointUpdateInput, strawberry.argument(description="What to change.")],
    ) -> WebhookEndpointPayload:
        context = info.context
        row = await endpoints.update_endpoint(
            context.session, context.settings, _endpoint(id), url=input.url, event_types=input.event_types,
            description=input.description, is_enabled=input.is_enabled, now=context.now,
        )  # fmt: skip
        return WebhookEndpointPayload(webhook_endpoint=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="notices:write",
        action="webhook_endpoint.rotate_secret",
        description="Give an endpoint another secret; messages carry signatures of both for some hours.",
    )
    async def webhook_endpoint_rotate_secret(
        self,
        info: Info,
        id: ID,
        overlap_hours: Annotated[
            int, strawberry.argument(description="For how many hours the secret before signs as well, 0 to 720.")
        ] = 24,
    ) -> WebhookEndpointPayload:
        context = info.context
        made = await endpoints.rotate_secret(
            context.session, context.settings, _endpoint(id), overlap_hours=overlap_hours, now=context.now
        )
        return _told_once(info, made)

    @mutation_field(
        scope="notices:write",
        action="webhook_endpoint.archive",
        description="Tell an endpoint nothing more, for good; its log stays.",
    )
    async def webhook_endpoint_archive(self, info: Info, id: ID) -> WebhookEndpointPayload:
        row = await endpoints.archive_endpoint(info.context.session, _endpoint(id), now=info.context.now)
        return WebhookEndpointPayload(webhook_endpoint=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="notices:write",
        action="webhook_endpoint.test",
        description="Send an endpoint a notice of type webhook_endpoint.test; its delivery says what came of it.",
    )
    async def webhook_endpoint_test(self, info: Info, id: ID) -> NoticePayload:
        row = await asking.try_endpoint(info.context.session, _endpoint(id), now=info.context.now)
        return NoticePayload(notice=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="notices:write",
        action="notice.resend",
        description="Send a notice again, with the same id, to those that it was for or to one endpoint.",
    )
    async def notice_resend(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the notice.")],
        endpoint_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only to this endpoint, told of it before or not.")
        ] = None,
    ) -> NoticePayload:
        only = None
        if endpoint_id is not None:
            only = ids.from_text("webhook_endpoint", endpoint_id, path=("endpointId",))
        notice_id = ids.from_text("notice", id, path=("id",))
        row = await asking.resend(info.context.session, notice_id, endpoint_id=only, now=info.context.now)
        return NoticePayload(notice=row)  # type: ignore[arg-type]


def _endpoint(text: str) -> Any:
    return ids.from_text("webhook_endpoint", text, path=("id",))


def _told_once(info: Info, made: endpoints.WithSecret) -> WebhookEndpointPayload:
    info.context.secrets.append(made.secret)
    return WebhookEndpointPayload(webhook_endpoint=made.row, secret_once=made.secret)  # type: ignore[arg-type]
