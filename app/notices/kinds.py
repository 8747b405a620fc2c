"""Which events there are, and which of them an endpoint asked for.

Owns the list with a sentence for each. Types are texts and not an enum, because more are added without notice: receivers
pass over what they do not know.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.checks import Path, at_most, distinct
from app.core.alerts import BALANCES, AlertType, Told, event_of
from app.errors import ErrorCode, InvalidInput

TEST = "webhook_endpoint.test"
_BALANCE = {
    "create": "was made",
    "edit": "was changed",
    "archive": "was archived",
    "segment.start": "has a segment that can be used from now on",
    "segment.end": "has a segment that is over",
}
SYSTEM: Mapping[str, str] = {
    "contract.create": "A contract was made.",
    "contract.start": "A contract began.",
    "contract.edit": "The terms of a contract were changed.",
    "contract.end": "A contract ended.",
    "contract.archive": "A contract was archived.",
    **{
        f"{kind}.{happened}": f"A {kind} {told}."
        for kind in ("commit", "credit")
        for happened, told in _BALANCE.items()
    },
}
"""Events of which may be told some time before or after them as well (semantics 8.3)."""
WITHOUT_DATE = "^(contract|commit|credit)[.](create|edit|archive)$"
"""Those of them whose time is known from their notice alone, as a pattern of the database."""
TYPES: Mapping[str, str] = {
    TEST: "Somebody asked for a notice to try the endpoint.",
    "invoice.finalized": "An invoice became final.",
    "invoice.voided": "An invoice counts no more.",
    "invoice.regenerated": "A void invoice was made again.",
    "invoice.billing_provider_error": "An invoice needs a person before its provider takes it.",
    **SYSTEM,
    **{
        f"offset.{name}": f"{told[:-1]}: some time before or after that, as was asked for."
        for name, told in SYSTEM.items()
    },
    "payment_gate.threshold_reached": "A contract reached a threshold and bought a commit.",
    "payment_gate.payment_status": "The payment of a commit was made, or has failed.",
    "payment_gate.external_initiate": "You are to collect the payment of a commit.",
    "delivery.delivered": "The provider has an invoice.",
    "delivery.failed": "A try at bringing an invoice to its provider failed; it is repeated.",
    "delivery.needs_attention": "An invoice cannot be brought to its provider before somebody acts.",
    "delivery.skipped": "An invoice is not sent to its provider; settle it directly.",
    "delivery.canceled": "The delivery of an invoice was given up.",
    "marketplaces.aws_metering_disabled": "AWS Marketplace takes no more usage of a buyer.",
    "marketplaces.azure_metering_disabled": "Azure Marketplace takes no more usage of a buyer.",
    "job.finished": "A billing run is done.",
    **{event_of(kind): "An alert reached its threshold." for kind in AlertType},
    **{event_of(kind, Told.RESOLVED): "A balance is above the threshold of its alert again." for kind in BALANCES},
}
MAX_SELECTED = 100


def selection(wanted: Collection[str], *, path: Path) -> list[str]:
    """The event types of an endpoint, sorted; a whole family is written `invoice.*`. Errors: INVALID, LIMIT_EXCEEDED."""
    at_most(wanted, MAX_SELECTED, path=path)
    for item in distinct(list(wanted), path=path):
        if item not in TYPES and not (item.endswith(".*") and any(is_of(item, known) for known in TYPES)):
            raise InvalidInput(
                ErrorCode.INVALID,
                f"{item[:60]!r} is no event; known are {', '.join(sorted(TYPES))}, and families such as invoice.*.",
                path=path,
            )
    return sorted(wanted)


def is_selected(selected: Collection[str], event_type: str) -> bool:
    """Whether an endpoint asked for an event; one that names none asked for all."""
    return not selected or any(is_of(item, event_type) for item in selected)


def is_of(selected: str, event_type: str) -> bool:
    """Whether one selected type or family covers an event."""
    return selected == event_type or (selected.endswith(".*") and event_type.startswith(selected[:-1]))
