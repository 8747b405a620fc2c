"""The states of a delivery and of a metering slot (shared decisions 24 and 25)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from connectors.base import CREDIT_NEEDED


class DeliveryStatus(StrEnum):
    """Where the delivery of one invoice stands."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    NEEDS_ATTENTION = "NEEDS_ATTENTION"
    SKIPPED = "SKIPPED"
    CANCELED = "CANCELED"


CLOSED = frozenset(
    {DeliveryStatus.DELIVERED, DeliveryStatus.SKIPPED, DeliveryStatus.CANCELED, DeliveryStatus.NEEDS_ATTENTION}
)
"""No worker touches these by itself; NEEDS_ATTENTION is opened again by a person."""


class SlotStatus(StrEnum):
    """Where one metering slot stands. Only REFUSED is proof that its quantity is not billed."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    NEEDS_ATTENTION = "NEEDS_ATTENTION"


NO_EFFECT, UNKNOWN_EFFECT = "TRANSIENT", "UNKNOWN_EFFECT"
"""Codes of a receipt without an answer: nothing can have come of the attempt, or something may have."""

RESOLVED = "RESOLVED"
"""Code of a slot about which a person decided."""

VOIDED_AT_PROVIDER = "VOIDED_AT_PROVIDER"
"""Code of a delivery whose invoice somebody took back at the provider, and not here."""

CREDITED = "CREDITED"
"""Code of a delivery whose invoice is void here, stands at the provider for good, and was credited there by hand."""

MAY_BE_GIVEN_UP = frozenset({VOIDED_AT_PROVIDER, CREDIT_NEEDED})
"""Codes of deliveries that a person may close though the provider has had them: taken back there, or credited by hand."""

AWAITED_AT_PROVIDER = frozenset({"VALIDATING", "PENDING_APPROVAL"})
"""Words of providers for a payment request that nobody has decided on (`connectors.base.ProviderEntry`)."""

GONE_AT_PROVIDER = frozenset({"void", "deleted", "REJECTED", "CANCELLED", "VALIDATION_FAILED"})
"""Words of providers for an invoice or request that asks for nothing any more."""

SETTLED_AT_PROVIDER = GONE_AT_PROVIDER | {"paid", "APPROVED"}
"""Words after which an invoice asks for nothing more."""


class SlotAlarm(StrEnum):
    """Whether a slot is about to be lost."""

    NONE = "NONE"
    CLOSING = "CLOSING"
    MISSED = "MISSED"


def alarm_of(status: str, *, since: datetime, deadline: datetime | None, now: datetime) -> SlotAlarm:
    """A slot without a proven answer is alarmed from half of its time on, while something can still be done."""
    if status == SlotStatus.NEEDS_ATTENTION:
        return SlotAlarm.MISSED
    if (
        status not in (SlotStatus.PENDING, SlotStatus.SENDING)
        or deadline is None
        or now < since + (deadline - since) / 2
    ):
        return SlotAlarm.NONE
    return SlotAlarm.CLOSING if now < deadline else SlotAlarm.MISSED
