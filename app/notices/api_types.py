"""Webhook endpoints and notices as GraphQL shows them: what was told to whom, and every try.

Owns the types and their loaders; what can be done is in `api.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry
from sqlalchemy import select

from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.scalars import JSON
from app.graphql.values import described_enum
from app.notices import kinds, service, tables
from app.store import ids

ATTEMPTS: Any = tables.NoticeAttempt.__table__.c  # type: ignore[attr-defined]
DELIVERIES: Any = tables.NoticeDelivery.__table__.c  # type: ignore[attr-defined]
LOADERS["notice.deliveries"] = rows_by(tables.NoticeDelivery, "notice_id")

NoticeStatus = described_enum(
    service.NoticeStatus,
    name="NoticeStatus",
    description="Where a notice stands with one endpoint.",
    sentences={
        service.NoticeStatus.PENDING: "It is sent now, or tried again at nextAttemptAt.",
        service.NoticeStatus.DELIVERED: "The receiver answered with a 2xx.",
        service.NoticeStatus.FAILED: "It was given up after three days; noticeResend begins anew.",
    },
)


@node_type(
    "webhook_endpoint", of=tables.WebhookEndpoint, scope="notices:read",
    description="An address that is told of events, by signed messages after Standard Webhooks.",
)  # fmt: skip
class WebhookEndpoint(Node):
    url: str = strawberry.field(description="Where messages are posted to.")
    description: str | None = strawberry.field(description="What people call it.")
    event_types: list[str] = strawberry.field(description="Events that it is told of; empty: all.")
    is_enabled: bool = strawberry.field(description="Whether it is told anything.")
    disabled_at: datetime | None = strawberry.field(description="When it was disabled, by hand or by an answer of 410.")
    disabled_because: str | None = strawberry.field(description="Why it is disabled.")
    previous_until: datetime | None = strawberry.field(
        description="Until when messages are signed with the secret before as well."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    archived_at: datetime | None = strawberry.field(description="When it was archived.")
    uniqueness_key: str | None = strawberry.field(description="The key that makes its create safe to repeat.")

    @strawberry.field(description="What it was to be told, newest first.")
    async def deliveries(
        self, info: Info, row: strawberry.Parent[tables.WebhookEndpoint], first: First = 25, after: After = None
    ) -> Connection[NoticeDelivery]:
        statement = select(tables.NoticeDelivery).where(DELIVERIES.endpoint_id == row.id)
        return await connection(info, statement, sort=[DELIVERIES.id], descending=True, first=first, after=after)


@strawberry.type(description="One try at telling an endpoint.")
class NoticeAttempt:
    number: int = strawberry.field(description="Its number among all tries, from 1.")
    created_at: datetime = strawberry.field(description="When it ended.")
    status_code: int | None = strawberry.field(description="HTTP status of the answer; null without one.")
    error: str | None = strawberry.field(description="Why there was no answer.")
    answer: str | None = strawberry.field(description="The beginning of the answer.")
    milliseconds: int = strawberry.field(description="How long it took.")


@node_type(
    "notice_delivery", of=tables.NoticeDelivery, scope="notices:read",
    description="A notice on its way to one endpoint.",
)  # fmt: skip
class NoticeDelivery(Node):
    status: NoticeStatus = strawberry.field(description="Where it stands.")  # type: ignore[valid-type]
    created_at: datetime = strawberry.field(description="When it was first due.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried next; null when it is not.")
    delivered_at: datetime | None = strawberry.field(description="When the receiver took it.")

    @strawberry.field(description="How often it was tried.")
    def attempt_count(self, row: strawberry.Parent[tables.NoticeDelivery]) -> int:
        return row.attempts

    @strawberry.field(description="The endpoint.")
    async def endpoint(self, info: Info, row: strawberry.Parent[tables.NoticeDelivery]) -> WebhookEndpoint:
        return await info.context.load("webhook_endpoint", row.endpoint_id)

    @strawberry.field(description="The notice.")
    async def notice(self, info: Info, row: strawberry.Parent[tables.NoticeDelivery]) -> Notice:
        return await info.context.load("notice", row.notice_id)

    @strawberry.field(description="Every try, latest first.")
    async def attempts(
        self, info: Info, row: strawberry.Parent[tables.NoticeDelivery], first: First = 25, after: After = None
    ) -> Connection[NoticeAttempt]:
        statement = select(tables.NoticeAttempt).where(ATTEMPTS.delivery_id == row.id)
        return await connection(info, statement, sort=[ATTEMPTS.id], descending=True, first=first, after=after)


@node_type(
    "notice", of=tables.Notice, scope="notices:read",
    description="Something that happened, as webhook endpoints are told it. Its id is the webhook-id of every try.",
)  # fmt: skip
class Notice(Node):
    type: str = strawberry.field(description="The event, such as invoice.finalized. More are added: pass over others.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    created_at: datetime = strawberry.field(description="When it became known.")

    @strawberry.field(description="What the event's type means.")
    def meaning(self, row: strawberry.Parent[tables.Notice]) -> str | None:
        return kinds.TYPES.get(row.type)

    @strawberry.field(description="What happened: ids, states and totals, as in the message's data.")
    def data(self, row: strawberry.Parent[tables.Notice]) -> JSON:
        return JSON(row.data)

    @strawberry.field(description="The customer that it concerns; null for none.")
    def customer_id(self, row: strawberry.Parent[tables.Notice]) -> strawberry.ID | None:
        return None if row.customer_id is None else strawberry.ID(ids.to_text("customer", row.customer_id))

    @strawberry.field(description="Its way to each endpoint that asked for it, at most one for each of 50.")
    async def deliveries(self, info: Info, row: strawberry.Parent[tables.Notice]) -> list[NoticeDelivery]:
        return await info.context.load("notice.deliveries", row.id)
