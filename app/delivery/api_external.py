"""How our invoices stand at their providers in GraphQL, and the notices by which that became known.

Owns those types, their loaders and the list of notices. The provider's own word stands beside ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy import select

from app.core.invoice import PaymentStatus as Payment
from app.delivery import inbound, standing, tables
from app.delivery.api_types import DeliveryError, error_of
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Context, Info
from app.graphql.fields import query_field
from app.graphql.nodes import LOADERS, Node, node_type
from app.graphql.values import Money, described_enum
from app.invoices.api_standing import PaymentStatus

NOTICES = tables.ProviderNotice.__table__.c  # type: ignore[attr-defined]

ExternalInvoiceStatus = described_enum(
    standing.ExternalStatus,
    name="ExternalInvoiceStatus",
    description="Where the provider's invoice stands.",
    sentences={
        standing.ExternalStatus.QUEUED: "It is on its way to the provider.",
        standing.ExternalStatus.INVALID_REQUEST_ERROR: "The provider does not take it; somebody must look at error.",
        standing.ExternalStatus.SKIPPED: "The account's settings or the currency say that it is not sent.",
        standing.ExternalStatus.SENT: "The provider has it, and tells no more of it.",
        standing.ExternalStatus.DRAFT: "The provider holds it as a draft; the settings may leave it so.",
        standing.ExternalStatus.FINALIZED: "The provider asks for its payment.",
        standing.ExternalStatus.PARTIALLY_PAID: "A part of it is paid.",
        standing.ExternalStatus.PAYMENT_FAILED: "The provider tried to collect it in vain.",
        standing.ExternalStatus.PAID: "It is paid.",
        standing.ExternalStatus.UNCOLLECTIBLE: "It was given up at the provider.",
        standing.ExternalStatus.VOID: "It was voided at the provider.",
        standing.ExternalStatus.DELETED: "Its draft was deleted at the provider.",
        standing.ExternalStatus.PENDING_APPROVAL: "The buyer is asked for it at the marketplace and has not answered.",
        standing.ExternalStatus.APPROVED: "The buyer has approved it, and the marketplace charges it.",
        standing.ExternalStatus.REJECTED: "The buyer has rejected it.",
    },
)
NoticeState = described_enum(
    inbound.NoticeState,
    name="ProviderNoticeState",
    description="Where a notice of a provider stands.",
    sentences={
        inbound.NoticeState.RECEIVED: "It is kept and waits to be handled.",
        inbound.NoticeState.HANDLED: "What it hints at was read back, and done.",
        inbound.NoticeState.IGNORED: "It concerns nothing of ours.",
        inbound.NoticeState.FAILED: "What it hints at could not be read back in two weeks; see error.",
    },
)


@strawberry.type(description="How an invoice stands at the provider that collects it.")
class ExternalInvoice:
    provider: str = strawberry.field(description="Name of the provider, such as stripe.")
    connection: str = strawberry.field(description="Name of our account at the provider.")
    external_id: str | None = strawberry.field(description="The provider's id of it; null before it has one.")
    status: ExternalInvoiceStatus | None = strawberry.field(  # type: ignore[valid-type]
        description="Where it stands; null when it was given up before the provider had it."
    )
    provider_status: str | None = strawberry.field(description="The provider's own word.")
    payment_status: PaymentStatus | None = strawberry.field(  # type: ignore[valid-type]
        description="What became of its payment; null where the provider does not tell."
    )
    total: Money | None = strawberry.field(description="Its total there, as read back; null before that.")
    tax: Money | None = strawberry.field(
        description="What of that total is tax that the provider, or tax software there, put on top of the invoice; as read back."
    )
    amount_paid: Money | None = strawberry.field(description="What of it is paid, as read back.")
    due_at: datetime | None = strawberry.field(description="When its payment is due, where the provider says so.")
    effective_at: datetime | None = strawberry.field(description="The date that the provider prints on it.")
    observed_at: datetime | None = strawberry.field(
        description="When a change was last read back; null while nothing was told since it was sent."
    )
    message: str | None = strawberry.field(
        description="What the provider says about its state, such as why the buyer rejected it; as read back."
    )
    charge_id: str | None = strawberry.field(
        description="The provider's id of the charge that came of it, as read back; null where there is none."
    )
    error: DeliveryError | None = strawberry.field(
        description="Why it is not there, or differs; null when all is well."
    )


def _external(delivery: tables.Delivery, seen: tables.ExternalInvoiceState | None, *, now: datetime) -> ExternalInvoice:
    def money(name: str) -> Money | None:
        amount = None if seen is None else getattr(seen, name)
        return None if amount is None else Money.of(amount, delivery.currency)

    return ExternalInvoice(
        provider=delivery.provider,
        connection=delivery.connection,
        external_id=delivery.provider_reference,
        status=standing.external_status(delivery, seen),
        provider_status=delivery.provider_status,
        payment_status=standing.payment_status(delivery, seen, now=now),
        total=money("amount"),
        tax=money("tax"),
        amount_paid=money("amount_paid"),
        due_at=None if seen is None else seen.due_at,
        effective_at=delivery.effective_at,
        observed_at=None if seen is None else seen.created_at,
        message=None if seen is None else seen.message,
        charge_id=None if seen is None else seen.charge_reference,
        error=error_of(delivery),
    )


async def _externals(context: Context, keys: Sequence[UUID]) -> Sequence[ExternalInvoice | None]:
    found = await standing.standings_of(context.session, keys)
    return [_external(*found[key], now=context.now) if key in found else None for key in keys]


async def _payments(context: Context, keys: Sequence[UUID]) -> Sequence[Payment | None]:
    found = await standing.standings_of(context.session, keys)
    return [standing.payment_status(*found.get(key, (None, None)), now=context.now) for key in keys]


LOADERS["invoice.external"] = _externals
LOADERS["invoice.payment_status"] = _payments


@node_type(
    "provider_notice",
    of=tables.ProviderNotice,
    scope="delivery:read",
    description="What a provider told by itself, kept once: a hint to read something back.",
)
class ProviderNotice(Node):
    provider: str = strawberry.field(description="Name of the provider.")
    connection: str = strawberry.field(description="Name of our account at the provider.")
    event_id: str = strawberry.field(description="The provider's id of the notice.")
    kind: str = strawberry.field(description="The provider's word for what happened.")
    occurred_at: datetime = strawberry.field(description="When it happened, by the provider's clock.")
    created_at: datetime = strawberry.field(description="When it came first.")
    way: str = strawberry.field(description="How it came first: webhook, or sweep when the webhook was missed.")
    provider_reference: str | None = strawberry.field(description="The provider's id of what it is about.")
    attempts: int = strawberry.field(description="How often somebody tried to handle it.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried next; null when it is closed.")
    handled_at: datetime | None = strawberry.field(description="When it was closed.")

    @strawberry.field(description="Where it stands.")
    def state(self, row: strawberry.Parent[tables.ProviderNotice]) -> NoticeState:  # type: ignore[valid-type]
        return inbound.NoticeState(row.state)

    @strawberry.field(description="Why it is not handled; null when nothing went wrong.")
    def error(self, row: strawberry.Parent[tables.ProviderNotice]) -> DeliveryError | None:
        return None if row.error_code is None else DeliveryError(
            code=row.error_code, message=row.error_message, hint=None
        )  # fmt: skip


@strawberry.input(description="Which notices to list; conditions add up.")
class ProviderNoticeFilter:
    state: list[NoticeState] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those in one of these states."
    )
    connection: list[str] | None = strawberry.field(default=None, description="Those of one of these accounts.")
    provider_reference: str | None = strawberry.field(default=None, description="Those about this object.")


@strawberry.type
class ProviderNoticeQuery:
    @query_field(scope="delivery:read", description="What providers told by themselves, newest first.")
    async def provider_notices(
        self,
        info: Info,
        filter: Annotated[ProviderNoticeFilter | None, strawberry.argument(description="Which notices.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[ProviderNotice]:
        statement = select(tables.ProviderNotice)
        if filter is not None and filter.state is not None:
            statement = statement.where(NOTICES.state.in_([state.value for state in filter.state]))
        if filter is not None and filter.connection is not None:
            statement = statement.where(NOTICES.connection.in_(filter.connection))
        if filter is not None and filter.provider_reference is not None:
            statement = statement.where(NOTICES.provider_reference == filter.provider_reference)
        return await connection(info, statement, sort=[NOTICES.id], descending=True, first=first, after=after)
