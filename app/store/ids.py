"""Identifiers: a UUID inside, a readable prefix outside.

Owns the one table of prefixes. New rows get a UUIDv7, so ids sort by creation; what is derived from facts (an invoice)
gets a UUIDv8 from its own rule. The prefix is added and checked at the edge and never stored.
"""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from app.errors import ErrorCode, InvalidInput

PREFIXES = {
    "customer": "cus",
    "billing_configuration": "bcf",
    "metric": "met",
    "product": "prd",
    "rate_card": "rcd",
    "rate": "rte",
    "custom_field_key": "cfk",
    "contract": "con",
    "package": "pkg",
    "override": "ovr",
    "scheduled_charge": "sch",
    "subscription": "sub",
    "contract_edit": "ced",
    "commit": "com",
    "credit": "crd",
    "recurring_grant": "rgr",
    "transfer": "trf",
    "pricing_unit": "unt",
    "invoice": "inv",
    "invoice_line": "iln",
    "outcome_reversal": "orv",
    "delivery": "dlv",
    "delivery_attempt": "dat",
    "metering_slot": "slt",
    "provider_notice": "ntc",
    "marketplace_subscription": "mps",
    "webhook_endpoint": "whe",
    "notice": "msg",
    "alert": "alr",
    "offset_notice": "ofn",
    "notice_delivery": "ndl",
    "reconciliation": "rcn",
    "ingest_batch": "ibt",
    "api_key": "key",
    "audit_entry": "aud",
    "job": "job",
}
"""Kind of object -> prefix. A new kind adds a line; a prefix is never reused."""

KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}


def new_id() -> UUID:
    """A fresh UUIDv7: sorts by the moment of its making."""
    return uuid7()


def to_text(kind: str, identifier: UUID) -> str:
    """`("customer", UUID)` -> `cus_` and 32 hexadecimal digits."""
    return f"{PREFIXES[kind]}_{identifier.hex}"


def from_text(kind: str, text: str, *, path: tuple[str, ...] = ()) -> UUID:
    """The UUID in an id of this kind. InvalidInput when it is not one, with the form that would be accepted."""
    prefix = PREFIXES[kind]
    found = parse(text)
    if found is None or found[0] != kind:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{text[:60]!r} is not a {kind.replace('_', ' ')} id; such ids look like {prefix}_0199….",
            path=path,
        )
    return found[1]


def parse(text: str) -> tuple[str, UUID] | None:
    """Kind and UUID of any id, or None when the text is not an id."""
    prefix, _, digits = text.partition("_")
    if prefix not in KINDS or len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        return None
    return KINDS[prefix], UUID(hex=digits)
