"""Deliveries and metering slots in GraphQL: what can be read and done.

Owns the fields and filters; how the objects look is in `api_types.py`, what a person may do in `actions.py`. Nothing here
calls a provider: what is asked for is enqueued in the request's transaction.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy import Select, select

from app.delivery import actions, slot_actions, tables
from app.delivery.api_types import Delivery, DeliveryStatus, MeteringSlot, MeteringSlotStatus
from app.delivery.registry import installed_connectors
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First, connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import load_node
from app.graphql.payload import Payload
from app.graphql.values import DateTimeFilter
from app.jobs.service import enqueue
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the delivery.")]
SlotID = Annotated[strawberry.ID, strawberry.argument(description="Id of the metering slot.")]
Reason = Annotated[str, strawberry.argument(description="Why, for the audit log; 1 to 500 characters.")]
DELIVERIES = tables.Delivery.__table__.c  # type: ignore[attr-defined]
SLOTS = tables.MeteringSlot.__table__.c  # type: ignore[attr-defined]


@strawberry.input(description="Which deliveries to list; conditions add up.")
class DeliveryFilter:
    status: list[DeliveryStatus] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those in one of these states."
    )
    provider: list[str] | None = strawberry.field(default=None, description="Those to one of these providers.")
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Those of this customer.")
    billing_configuration_id: strawberry.ID | None = strawberry.field(
        default=None, description="Those through this billing configuration."
    )
    updated_at: DateTimeFilter | None = strawberry.field(default=None, description="Those that changed last then.")


@strawberry.input(description="Which metering slots to list; conditions add up.")
class MeteringSlotFilter:
    status: list[MeteringSlotStatus] | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Those in one of these states."
    )
    provider: list[str] | None = strawberry.field(default=None, description="Those of one of these marketplaces.")
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="Those of this customer.")
    billing_configuration_id: strawberry.ID | None = strawberry.field(
        default=None, description="Those of this billing configuration."
    )
    hour: DateTimeFilter | None = strawberry.field(default=None, description="Those of these hours.")


@strawberry.type(description="Answer to a mutation of a delivery.")
class DeliveryPayload(Payload):
    delivery: Delivery | None = strawberry.field(default=None, description="The delivery; null after an error.")


@strawberry.type(description="Answer to a mutation of a metering slot.")
class MeteringSlotPayload(Payload):
    metering_slot: MeteringSlot | None = strawberry.field(default=None, description="The slot; null after an error.")


@strawberry.type(description="Answer to the request to make everything that is due at the providers.")
class DeliverySyncPayload(Payload):
    jobs: int = strawberry.field(default=0, description="Jobs that were enqueued now; 0 when the same one waits.")


@strawberry.type
class DeliveryQuery:
    @query_field(scope="delivery:read", description="One delivery; null when there is none.", for_customers=True)
    async def delivery(self, info: Info, id: ID) -> Delivery | None:
        row = await load_node(info.context, id)
        return row if isinstance(row, tables.Delivery) else None  # type: ignore[return-value]

    @query_field(scope="delivery:read", description="Deliveries of final invoices, newest first.")
    async def deliveries(
        self,
        info: Info,
        filter: Annotated[DeliveryFilter | None, strawberry.argument(description="Which deliveries.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Delivery]:
        statement = select(tables.Delivery)
        if filter is not None:
            statement = _filtered(statement, DELIVERIES, filter)
            statement = _within(statement, DELIVERIES.updated_at, filter.updated_at)
        return await connection(info, statement, sort=[DELIVERIES.id], descending=True, first=first, after=after)

    @query_field(scope="delivery:read", description="Hours that were sent to marketplaces, latest first.")
    async def metering_slots(
        self,
        info: Info,
        filter: Annotated[MeteringSlotFilter | None, strawberry.argument(description="Which slots.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[MeteringSlot]:
        statement = select(tables.MeteringSlot)
        if filter is not None:
            statement = _filtered(statement, SLOTS, filter)
            statement = _within(statement, SLOTS.hour, filter.hour)
        sort = [SLOTS.hour, SLOTS.id]
        return await connection(info, statement, sort=sort, descending=True, first=first, after=after)


def _filtered(statement: Select[Any], columns: Any, wanted: DeliveryFilter | MeteringSlotFilter) -> Select[Any]:
    """The conditions that both lists have."""
    if wanted.status is not None:
        statement = statement.where(columns.status.in_([status.value for status in wanted.status]))
    if wanted.provider is not None:
        statement = statement.where(columns.provider.in_(wanted.provider))
    if wanted.customer_id is not None:
        identifier = ids.from_text("customer", wanted.customer_id, path=("filter", "customerId"))
        statement = statement.where(columns.customer_id == identifier)
    if wanted.billing_configuration_id is not None:
        path = ("filter", "billingConfigurationId")
        identifier = ids.from_text("billing_configuration", wanted.billing_configuration_id, path=path)
        statement = statement.where(columns.billing_configuration_id == identifier)
    return statement


def _within(statement: Select[Any], column: Any, wanted: DateTimeFilter | None) -> Select[Any]:
    if wanted is not None and wanted.gte is not None:
        statement = statement.where(column >= wanted.gte)
    if wanted is not None and wanted.lt is not None:
        statement = statement.where(column < wanted.lt)
    return statement


@strawberry.type
class DeliveryMutation:
    @mutation_field(
        scope="delivery:write",
        action="delivery.retry",
        description="Try a delivery again that FAILED or NEEDS_ATTENTION, with the document that was frozen for it.",
    )
    async def delivery_retry(self, info: Info, id: ID) -> DeliveryPayload:
        context = info.context
        identifier = ids.from_text("delivery", id, path=("id",))
        row = await actions.retry(context.session, context.providers, identifier, now=context.now)
        return DeliveryPayload(delivery=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="delivery:write",
        action="delivery.cancel",
        description="Give a delivery up for good: while it is certain that the provider billed nothing of it, or after a person "
        "took it back there or gave a credit (CREDIT_NEEDED, or a void invoice that NEEDS_ATTENTION).",
    )
    async def delivery_cancel(self, info: Info, id: ID, reason: Reason) -> DeliveryPayload:
        identifier = ids.from_text("delivery", id, path=("id",))
        row = await actions.cancel(info.context.session, identifier, reason=reason, now=info.context.now)
        return DeliveryPayload(delivery=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="delivery:write",
        action="delivery.sync",
        description="Enqueue everything that is due at one provider, or at all of them, without waiting for its time.",
    )
    async def delivery_sync(
        self,
        info: Info,
        provider: Annotated[str | None, strawberry.argument(description="Name of the provider; default: all.")] = None,
    ) -> DeliverySyncPayload:
        if provider is not None and provider not in installed_connectors():
            known = ", ".join(installed_connectors())
            raise InvalidInput(
                ErrorCode.INVALID, f"{provider[:40]!r} is not a provider; known are {known}.", path=("provider",)
            )
        arguments = {} if provider is None else {"provider": provider}
        once = f"{actions.SYNC_JOB}:{provider or 'all'}"
        jobs = await enqueue(info.context.session, actions.SYNC_JOB, arguments, once=once)
        return DeliverySyncPayload(jobs=int(jobs))

    @mutation_field(
        scope="delivery:write",
        action="metering_slot.resolve",
        description="Say what became of a slot that NEEDS_ATTENTION, after looking at the marketplace.",
    )
    async def metering_slot_resolve(
        self,
        info: Info,
        id: SlotID,
        was_counted: Annotated[
            bool, strawberry.argument(description="True: all of it was counted. False: nothing was; it is owed again.")
        ],
        reason: Reason,
    ) -> MeteringSlotPayload:
        identifier = ids.from_text("metering_slot", id, path=("id",))
        row = await slot_actions.resolve_slot(
            info.context.session, identifier, was_counted=was_counted, reason=reason, now=info.context.now
        )
        return MeteringSlotPayload(metering_slot=row)  # type: ignore[arg-type]
