"""How deliveries and metering slots are shown, with their attempts and what the providers answered.

Owns their GraphQL types and loaders. The provider's own words stand beside ours and are never translated away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry
from sqlmodel import col, select

from app.customers.api_types import BillingConfiguration, Customer
from app.delivery import states, tables
from app.graphql.context import Context, Info
from app.graphql.fields import object_field
from app.graphql.nodes import LOADERS, Node, node_type, rows_by
from app.graphql.values import Money, described_enum
from app.invoices.api_types import Invoice

DeliveryStatus = described_enum(
    states.DeliveryStatus,
    name="DeliveryStatus",
    description="Where the delivery of an invoice stands.",
    sentences={
        states.DeliveryStatus.PENDING: "It waits for its first try, or for a marketplace to count all of it.",
        states.DeliveryStatus.SENDING: "A try is under way, or ended without an answer; it is repeated unchanged.",
        states.DeliveryStatus.DELIVERED: "The provider counts exactly what is owed.",
        states.DeliveryStatus.FAILED: "A try failed; the next one is at nextAttemptAt.",
        states.DeliveryStatus.NEEDS_ATTENTION: "Repeating will not help; somebody must look at lastError.",
        states.DeliveryStatus.SKIPPED: "The account's settings or the currency say that it is not sent, or it goes out "
        "with a consolidated invoice.",
        states.DeliveryStatus.CANCELED: "It was given up by hand.",
    },
)
MeteringSlotStatus = described_enum(
    states.SlotStatus,
    name="MeteringSlotStatus",
    description="Where a metering slot stands. Only REFUSED is proof that it is not billed.",
    sentences={
        states.SlotStatus.PENDING: "It is planned and was not sent yet.",
        states.SlotStatus.SENDING: "It was sent, and the answer is not known; it is repeated unchanged.",
        states.SlotStatus.ACCEPTED: "The provider counts exactly this quantity.",
        states.SlotStatus.REFUSED: "The provider did not count it; the amount is owed again.",
        states.SlotStatus.NEEDS_ATTENTION: "Nobody can tell whether it was counted; somebody must look.",
    },
)


SlotAlarm = described_enum(
    states.SlotAlarm,
    name="MeteringSlotAlarm",
    description="Whether the amount of a metering slot is about to be lost.",
    sentences={
        states.SlotAlarm.NONE: "It is counted or owed again, or there is time.",
        states.SlotAlarm.CLOSING: "More than half of the time in which it is taken has passed without an answer.",
        states.SlotAlarm.MISSED: "The time has passed, or nobody can tell whether it was counted: somebody must look.",
    },
)


@strawberry.type(description="Why something did not work.")
class DeliveryError:
    code: str = strawberry.field(description="Short code, ours or the provider's.")
    message: str | None = strawberry.field(description="What happened, in the provider's words where it had some.")
    hint: str | None = strawberry.field(description="What a person can do about it.")


@strawberry.type(description="What a provider answered to one try.")
class DeliveryReceipt:
    at: datetime = strawberry.field(description="When the answer was stored.")
    outcome: str = strawberry.field(
        description="ACCEPTED, DUPLICATE (of the same), COLLISION (with another), REFUSED or UNKNOWN; "
        "TRANSIENT or TERMINAL when there was no answer to keep."
    )
    acknowledged: Decimal | None = strawberry.field(
        description="What the provider counts: money in the major unit, or a quantity for a slot; null when unknown."
    )
    provider_reference: str | None = strawberry.field(description="The provider's id of it.")
    provider_status: str | None = strawberry.field(description="The provider's own word for its state.")
    code: str | None = strawberry.field(description="Short code of what went wrong.")
    message: str | None = strawberry.field(description="What went wrong.")
    hint: str | None = strawberry.field(description="What a person can do about it.")
    request_ids: list[str] = strawberry.field(description="The provider's ids of the requests, for its support.")


@strawberry.type(description="One try: what would be sent was frozen before, what came back is its receipt.")
class DeliveryAttempt:
    number: int = strawberry.field(description="Counts from 1.")
    started_at: datetime = strawberry.field(description="When it was frozen.")
    idempotency_key: str = strawberry.field(description="The key that makes repeats at the provider harmless.")
    receipt: DeliveryReceipt | None = strawberry.field(
        description="What came back; null while it runs, and for good when the process died."
    )


def _receipt(row: tables.DeliveryReceipt | tables.MeteringReceipt) -> DeliveryReceipt:
    return DeliveryReceipt(
        at=row.created_at,
        outcome=row.outcome,
        acknowledged=row.acknowledged,
        provider_reference=row.provider_reference,
        provider_status=row.provider_status if isinstance(row, tables.DeliveryReceipt) else None,
        code=row.code,
        message=row.message,
        hint=row.hint,
        request_ids=row.request_ids,
    )


def error_of(row: tables.Delivery | tables.MeteringSlot | tables.MarketplaceSubscription) -> DeliveryError | None:
    """What went wrong last; None when nothing did."""
    if row.error_code is None and row.error_message is None:
        return None
    return DeliveryError(code=row.error_code or "UNKNOWN", message=row.error_message, hint=row.error_hint)


async def _attempts(context: Context, keys: Sequence[UUID]) -> Sequence[list[DeliveryAttempt]]:
    """The attempts of each delivery with their receipts, in order."""
    attempt, receipt = tables.DeliveryAttempt, tables.DeliveryReceipt
    found = await context.session.execute(
        select(attempt, receipt)
        .join(receipt, col(receipt.attempt_id) == attempt.id, isouter=True)
        .where(col(attempt.delivery_id).in_(keys))
        .order_by(col(attempt.delivery_id), col(attempt.number))
    )
    attempts: dict[UUID, list[DeliveryAttempt]] = {key: [] for key in keys}
    for tried, came in found:
        shown = None if came is None else _receipt(came)
        attempts[tried.delivery_id].append(
            DeliveryAttempt(number=tried.number, started_at=tried.created_at, idempotency_key=tried.key, receipt=shown)
        )
    return [attempts[key] for key in keys]


LOADERS["delivery.attempts"] = _attempts
LOADERS["invoice.deliveries"] = rows_by(tables.Delivery, "invoice_id")
LOADERS["metering_slot.receipts"] = rows_by(tables.MeteringReceipt, "slot_id")


@node_type(
    "delivery",
    of=tables.Delivery,
    scope="delivery:read",
    description="The task of bringing one final invoice to its provider, exactly once.",
)
class Delivery(Node):
    provider: str = strawberry.field(description="Name of the provider, such as stripe or aws_marketplace.")
    connection: str = strawberry.field(description="Name of our account at the provider.")
    provider_reference: str | None = strawberry.field(description="The provider's id of the invoice.")
    provider_status: str | None = strawberry.field(description="The provider's own word for its state.")
    effective_at: datetime | None = strawberry.field(description="The date that the provider prints on it.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried next; null when it is not.")
    delivered_at: datetime | None = strawberry.field(description="When it became DELIVERED.")
    created_at: datetime = strawberry.field(description="When it was opened.")
    updated_at: datetime = strawberry.field(description="When it changed last.")

    @strawberry.field(description="Where it stands.")
    def status(self, row: strawberry.Parent[tables.Delivery]) -> DeliveryStatus:  # type: ignore[valid-type]
        return states.DeliveryStatus(row.status)

    @strawberry.field(description="Whether a marketplace counts it hour by hour; see meteringSlots.")
    def is_metered(self, row: strawberry.Parent[tables.Delivery]) -> bool:
        return row.mode == "metering"

    @strawberry.field(description="What is owed.")
    def total(self, row: strawberry.Parent[tables.Delivery]) -> Money:
        return Money.of(row.total, row.currency)

    @strawberry.field(description="What the provider counts of it.")
    def acknowledged(self, row: strawberry.Parent[tables.Delivery]) -> Money:
        return Money.of(row.acknowledged, row.currency)

    @strawberry.field(description="Why it is not delivered; null when nothing went wrong.")
    def last_error(self, row: strawberry.Parent[tables.Delivery]) -> DeliveryError | None:
        return error_of(row)

    @strawberry.field(description="Every try, in order; empty for a metered invoice.")
    async def attempts(self, info: Info, row: strawberry.Parent[tables.Delivery]) -> list[DeliveryAttempt]:
        return await info.context.load("delivery.attempts", row.id)

    @object_field(scope="invoices:read", description="What is delivered. Scope: invoices:read.")
    async def invoice(self, info: Info, row: strawberry.Parent[tables.Delivery]) -> Invoice:
        return await info.context.load("invoice", row.invoice_id)

    @object_field(scope="customers:read", description="Who owes it. Scope: customers:read.")
    async def customer(self, info: Info, row: strawberry.Parent[tables.Delivery]) -> Customer:
        return await info.context.load("customer", row.customer_id)

    @object_field(scope="customers:read", description="The customer's side of the account. Scope: customers:read.")
    async def billing_configuration(self, info: Info, row: strawberry.Parent[tables.Delivery]) -> BillingConfiguration:
        return await info.context.load("billing_configuration", row.billing_configuration_id)


@node_type(
    "metering_slot",
    of=tables.MeteringSlot,
    scope="delivery:read",
    description="One hour of one dimension at a marketplace; its quantity was frozen before it was sent.",
)
class MeteringSlot(Node):
    provider: str = strawberry.field(description="Name of the marketplace.")
    connection: str = strawberry.field(description="Name of our account there.")
    dimension: str = strawberry.field(description="What the marketplace counts.")
    hour: datetime = strawberry.field(description="The hour that it stands for.")
    quantity: Decimal = strawberry.field(description="How many units.")
    unit_price: Decimal = strawberry.field(description="What one unit is worth.")
    attempts: int = strawberry.field(description="How often it was sent.")
    created_at: datetime = strawberry.field(description="When it was planned.")
    updated_at: datetime = strawberry.field(description="When it changed last.")

    @strawberry.field(description="Where it stands.")
    def status(self, row: strawberry.Parent[tables.MeteringSlot]) -> MeteringSlotStatus:  # type: ignore[valid-type]
        return states.SlotStatus(row.status)

    deadline: datetime | None = strawberry.field(
        description="From when on the marketplace takes it no more; null where there is no such time."
    )

    @strawberry.field(description="Seconds until the deadline, 0 when it has passed; null without one.")
    def seconds_left(self, info: Info, row: strawberry.Parent[tables.MeteringSlot]) -> int | None:
        if row.deadline is None:
            return None
        return max(0, int((row.deadline - info.context.now).total_seconds()))

    @strawberry.field(description="Whether its amount is about to be lost.")
    def alarm(self, info: Info, row: strawberry.Parent[tables.MeteringSlot]) -> SlotAlarm:  # type: ignore[valid-type]
        return states.alarm_of(row.status, since=row.created_at, deadline=row.deadline, now=info.context.now)

    @strawberry.field(description="What its quantity is worth.")
    def amount(self, row: strawberry.Parent[tables.MeteringSlot]) -> Money:
        return Money.of(row.quantity * row.unit_price, row.currency)

    @strawberry.field(description="What was owed in all when it was planned.")
    def owed(self, row: strawberry.Parent[tables.MeteringSlot]) -> Money:
        return Money.of(row.owed, row.currency)

    @strawberry.field(description="Why it was not counted; null when nothing went wrong.")
    def last_error(self, row: strawberry.Parent[tables.MeteringSlot]) -> DeliveryError | None:
        return error_of(row)

    @strawberry.field(description="What the marketplace answered, in order.")
    async def receipts(self, info: Info, row: strawberry.Parent[tables.MeteringSlot]) -> list[DeliveryReceipt]:
        rows: list[Any] = await info.context.load("metering_slot.receipts", row.id)
        return [_receipt(item) for item in rows]

    @object_field(scope="customers:read", description="Whose usage it is. Scope: customers:read.")
    async def customer(self, info: Info, row: strawberry.Parent[tables.MeteringSlot]) -> Customer:
        return await info.context.load("customer", row.customer_id)

    @object_field(scope="customers:read", description="The customer's side of the account. Scope: customers:read.")
    async def billing_configuration(
        self, info: Info, row: strawberry.Parent[tables.MeteringSlot]
    ) -> BillingConfiguration:
        return await info.context.load("billing_configuration", row.billing_configuration_id)
