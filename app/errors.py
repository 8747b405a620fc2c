"""The errors that callers can cause: seven families, one closed list of codes.

Owns `BillingError` and `ErrorCode`. How an error is shown (GraphQL `userErrors`, REST body, exit code) is left to the
doors; services only raise, so that one code means the same at every door.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus


class ErrorCode(StrEnum):
    """Stable public codes. Codes are only ever added; the sentence of each becomes its description in the schema."""

    INVALID = "INVALID"
    REQUIRED = "REQUIRED"
    NOT_FOUND = "NOT_FOUND"
    NOT_PERMITTED = "NOT_PERMITTED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    UNIQUENESS_KEY_CONFLICT = "UNIQUENESS_KEY_CONFLICT"
    ALIAS_TAKEN = "ALIAS_TAKEN"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_KEY_IN_USE = "IDEMPOTENCY_KEY_IN_USE"
    STALE_REVISION = "STALE_REVISION"
    CUSTOM_FIELD_UNKNOWN = "CUSTOM_FIELD_UNKNOWN"
    CUSTOM_FIELD_TAKEN = "CUSTOM_FIELD_TAKEN"
    CUSTOM_FIELD_KEY_EXISTS = "CUSTOM_FIELD_KEY_EXISTS"
    NOT_HOUR_ALIGNED = "NOT_HOUR_ALIGNED"
    INVALID_INTERVAL = "INVALID_INTERVAL"
    EVENT_TOO_OLD = "EVENT_TOO_OLD"
    EVENT_IN_FUTURE = "EVENT_IN_FUTURE"
    PRODUCT_NOT_ON_CARD = "PRODUCT_NOT_ON_CARD"
    UNIT_LOCKED = "UNIT_LOCKED"
    MULTIPLIER_NEGATIVE = "MULTIPLIER_NEGATIVE"
    OVERWRITE_NEEDS_PRODUCT = "OVERWRITE_NEEDS_PRODUCT"
    TIERED_NEEDS_EXPLICIT = "TIERED_NEEDS_EXPLICIT"
    PRIORITY_REQUIRED = "PRIORITY_REQUIRED"
    SCOPE_EXCLUSIVE = "SCOPE_EXCLUSIVE"
    POSTPAID_AMOUNTS_DIFFER = "POSTPAID_AMOUNTS_DIFFER"
    TRUEUP_BEFORE_ACCESS_END = "TRUEUP_BEFORE_ACCESS_END"
    TARGET_NEEDS_COMMIT_SPECIFIC = "TARGET_NEEDS_COMMIT_SPECIFIC"
    REASON_REQUIRED = "REASON_REQUIRED"
    NOT_VOID = "NOT_VOID"
    ALREADY_VOID = "ALREADY_VOID"
    ALREADY_REGENERATED = "ALREADY_REGENERATED"
    NOTHING_TO_REGENERATE = "NOTHING_TO_REGENERATE"
    ENDS_BEFORE_FINALIZED_INVOICE = "ENDS_BEFORE_FINALIZED_INVOICE"
    ALREADY_TRANSITIONED = "ALREADY_TRANSITIONED"
    BALANCE_ON_FINALIZED_INVOICE = "BALANCE_ON_FINALIZED_INVOICE"
    QUANTITY_NEGATIVE = "QUANTITY_NEGATIVE"
    ARCHIVED = "ARCHIVED"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    PROVIDER_NOT_CONFIGURED = "PROVIDER_NOT_CONFIGURED"
    PROVIDER_REJECTED = "PROVIDER_REJECTED"
    NOT_DUE = "NOT_DUE"
    SQL_NOT_ALLOWED = "SQL_NOT_ALLOWED"
    RATER_UNKNOWN = "RATER_UNKNOWN"
    RATER_REFUSED = "RATER_REFUSED"
    RATER_FAILED = "RATER_FAILED"
    ALREADY_FINALIZED = "ALREADY_FINALIZED"
    NOT_FINALIZED = "NOT_FINALIZED"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    ALREADY_REVERSED = "ALREADY_REVERSED"
    NOT_RATED = "NOT_RATED"
    NOTHING_TO_REVERSE = "NOTHING_TO_REVERSE"


CODE_SENTENCES: dict[ErrorCode, str] = {
    ErrorCode.INVALID: "The value is not acceptable; the message says what would be.",
    ErrorCode.REQUIRED: "A value is missing.",
    ErrorCode.NOT_FOUND: "No such object, or it is not yours.",
    ErrorCode.NOT_PERMITTED: "The key lacks the scope that the message names.",
    ErrorCode.LIMIT_EXCEEDED: "A documented limit was passed.",
    ErrorCode.UNAVAILABLE: "A part of the system cannot answer now; try again.",
    ErrorCode.NOT_SUPPORTED: "The combination is not supported.",
    ErrorCode.UNIQUENESS_KEY_CONFLICT: "The uniqueness key was used before; the first object is named.",
    ErrorCode.ALIAS_TAKEN: "The ingest alias belongs to another customer, or the rate card's alias to another card.",
    ErrorCode.IDEMPOTENCY_KEY_REUSED: "The Idempotency-Key came before with another request.",
    ErrorCode.IDEMPOTENCY_KEY_IN_USE: "The first request with this Idempotency-Key is still running.",
    ErrorCode.STALE_REVISION: "The object changed since it was read.",
    ErrorCode.CUSTOM_FIELD_UNKNOWN: "The custom field's key is not registered for this kind of object.",
    ErrorCode.CUSTOM_FIELD_TAKEN: "The key is unique, and another object has the value.",
    ErrorCode.CUSTOM_FIELD_KEY_EXISTS: "The key is registered for this kind of object already.",
    ErrorCode.NOT_HOUR_ALIGNED: "The instant must lie on a full hour (UTC).",
    ErrorCode.INVALID_INTERVAL: "The end must lie after the start.",
    ErrorCode.EVENT_TOO_OLD: "The event is older than the window for late usage.",
    ErrorCode.EVENT_IN_FUTURE: "The event lies more than 24 hours ahead.",
    ErrorCode.PRODUCT_NOT_ON_CARD: "The product has no rate on the rate card.",
    ErrorCode.UNIT_LOCKED: "The product is priced in another unit on this card.",
    ErrorCode.MULTIPLIER_NEGATIVE: "A multiplier is 0 or more.",
    ErrorCode.OVERWRITE_NEEDS_PRODUCT: "An overwrite names its product, and all pricing values where prices differ by them.",
    ErrorCode.TIERED_NEEDS_EXPLICIT: "A tiered multiplier needs explicit priorities on the contract.",
    ErrorCode.PRIORITY_REQUIRED: "A priority is missing.",
    ErrorCode.SCOPE_EXCLUSIVE: "Products and tags, or specifiers, not both.",
    ErrorCode.POSTPAID_AMOUNTS_DIFFER: "A postpaid commit is paid once, and what is paid is what may be used.",
    ErrorCode.TRUEUP_BEFORE_ACCESS_END: "What is missing of a commit is billed after its access.",
    ErrorCode.TARGET_NEEDS_COMMIT_SPECIFIC: "Only an override for what draws on a balance chooses which rate it changes.",
    ErrorCode.REASON_REQUIRED: "A reason is missing.",
    ErrorCode.NOT_VOID: "The invoice is not void.",
    ErrorCode.ALREADY_VOID: "The invoice is void already.",
    ErrorCode.ALREADY_REGENERATED: "The invoice was made again before.",
    ErrorCode.NOTHING_TO_REGENERATE: "There is nothing left of which the invoice could be made again.",
    ErrorCode.ENDS_BEFORE_FINALIZED_INVOICE: "A finalized invoice reaches beyond the new end.",
    ErrorCode.ALREADY_TRANSITIONED: "The contract has a successor.",
    ErrorCode.BALANCE_ON_FINALIZED_INVOICE: "A finalized invoice was paid from the balance; void it first.",
    ErrorCode.QUANTITY_NEGATIVE: "A quantity is 0 or more.",
    ErrorCode.ARCHIVED: "The object is archived and takes no changes.",
    ErrorCode.CURRENCY_MISMATCH: "The currencies do not fit together.",
    ErrorCode.PROVIDER_NOT_CONFIGURED: "No provider connection or configuration fits.",
    ErrorCode.PROVIDER_REJECTED: "The provider refused; its words are in the message.",
    ErrorCode.NOT_DUE: "The invoice is not due yet.",
    ErrorCode.SQL_NOT_ALLOWED: "The query of a metric uses what is not on the list; the message names the place.",
    ErrorCode.RATER_UNKNOWN: "No package that is installed offers this rater.",
    ErrorCode.RATER_REFUSED: "The rater does not take the parameters; its words are in the message.",
    ErrorCode.RATER_FAILED: "The rater of a price raised, or gave what cannot be billed; nothing was stored.",
    ErrorCode.ALREADY_FINALIZED: "The invoice is final and does not change.",
    ErrorCode.NOT_FINALIZED: "The invoice is still a draft.",
    ErrorCode.ILLEGAL_TRANSITION: "The object's state does not allow this step.",
    ErrorCode.ALREADY_REVERSED: "The outcome was taken back before; its reversal is named.",
    ErrorCode.NOT_RATED: "No final statement that counts has billed the event.",
    ErrorCode.NOTHING_TO_REVERSE: "Without the event somebody would have paid more.",
}


class BillingError(Exception):
    """A caller's mistake, told with a code, the value and what would be accepted.

    `path` leads to the input field (`["input", "events", "3", "timestamp"]`); `conflicting` is the row of the object
    that stands in the way, where there is one.
    """

    status = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        path: tuple[str, ...] = (),
        conflicting: object | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.conflicting = conflicting

    def each(self) -> tuple[BillingError, ...]:
        """The mistakes one by one, for an error that reports several at once."""
        return (self,)


class InvalidInput(BillingError):
    """The request itself is wrong: 400."""


class NotFound(BillingError):
    """An id that names nothing the caller may see: 404."""

    status = HTTPStatus.NOT_FOUND

    def __init__(self, kind: str, identifier: object, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(ErrorCode.NOT_FOUND, f"{kind} {str(identifier)[:80]!r} does not exist.", path=path)


class Conflict(BillingError):
    """The request is fine, but something that exists stands in its way: 409."""

    status = HTTPStatus.CONFLICT


class InvalidState(BillingError):
    """The object exists, but its state does not allow the step: 409."""

    status = HTTPStatus.CONFLICT


class NotPermitted(BillingError):
    """The key is valid and lacks a scope: 403."""

    status = HTTPStatus.FORBIDDEN


class LimitExceeded(BillingError):
    """A documented bound was passed: 413 for sizes, else 429; chosen by the door."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Unavailable(BillingError):
    """Nothing is wrong with the request; try again later: 503."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def settings_problem(variable: str, value: object, accepted: str) -> str:
    """One line of the list that is printed when settings are wrong; never shows more than 60 characters of a value."""
    return f"{variable}={str(value)[:60]!r}: {accepted}"
