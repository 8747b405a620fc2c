"""The contract between the gateway and every billing provider.

Owns the neutral documents that delivery freezes, the outcome of each record, the two kinds of failure, what a provider
is able to do (`Capabilities`) and the `Connector` protocol. Leaves intents, receipts and retries to `app/delivery`.
One shape for invoices and for metered quantities lets a new provider be one file, here or in another distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from app.core import money
from app.core.period import Period

Clock: TypeAlias = Callable[[], datetime]
Json: TypeAlias = dict[str, Any]
NOT_SUPPORTED = "NOT_SUPPORTED"
SKIPPED = "SKIPPED"
CREDIT_NEEDED = "CREDIT_NEEDED"
"""Code of a void that the provider refuses because the customer is charged already; a person gives a credit there."""


class Transient(Exception):
    """The same call may work later. `wait` is the provider's wish, if it told one; `unknown`: the effect may exist."""

    def __init__(self, message: str, *, wait: timedelta | None = None, unknown: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.wait = wait
        self.unknown = unknown


class Terminal(Exception):
    """Repeating the call unchanged is useless; a person must act. `stop_connection`: the whole account is affected."""

    def __init__(self, code: str, message: str, *, hint: str = "", stop_connection: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.hint = hint
        self.stop_connection = stop_connection


def not_supported(provider: str, reason: str) -> Terminal:
    """The failure to raise for a protocol method that the provider has no counterpart for."""
    return Terminal(NOT_SUPPORTED, f"{provider}: {reason}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a settings table or in a customer's side, told by its key."""

    key: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider takes; None means without a limit. Each connector gives the source of each figure beside it.

    `window` is how old usage may be, measured from the start of its hour; `month_cutoff_hour` is the UTC hour of the
    1st from which the usage of the month before is refused. `max_quantity` holds for one record or line.
    `notices_kept` is how far back the provider lists what it told; such a connector is a `KeepsNotices` too.
    `customer_named_by` are the keys of the customer's side that name the customer there, where calls for one customer must
    follow one another. `concurrency` is how many documents are under way at an account at once, whoever sends them.
    `requested_by` are the keys of the customer's side by which a marketplace is asked for scheduled invoices one by one, beside
    metering; where a customer has them all, such an invoice comes to `deliver` as a document and is not metered.
    """

    mode: Literal["invoice", "metering"]
    batch_size: int
    max_lines: int | None = None
    window: timedelta | None = None
    month_cutoff_hour: int | None = None
    currencies: frozenset[str] | None = None
    accepts_negative: bool = False
    max_quantity: Decimal | None = None
    notices_kept: timedelta | None = None
    customer_named_by: tuple[str, ...] = ()
    concurrency: int = 3
    requested_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLine:
    """One line as the provider will count it: `amount` is final, in the major unit, exact in the minor unit."""

    description: str
    amount: Decimal
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    starting_at: datetime | None = None
    ending_before: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    custom_fields: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDocument:
    """A finalized invoice on its way to a provider. `reference` is our invoice id; `lines` add up to `total`.

    The service period is half-open; an invoice without one has a `date`. `customer` is the provider's side of the
    billing configuration; `options` overrides it for this invoice alone, with the same keys. `custom_fields` are the
    seller's own: `customer.KEY` and `contract.KEY` here, `product.KEY` on lines.
    """

    reference: str
    number: str
    contract: str
    customer: Mapping[str, str]
    currency: str
    total: Decimal
    lines: tuple[DocumentLine, ...]
    issued_at: datetime
    service_starting_at: datetime | None = None
    service_ending_before: datetime | None = None
    date: datetime | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    custom_fields: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        assert self.reference, "an invoice document carries our invoice id"
        assert sum((line.amount for line in self.lines), Decimal(0)) == self.total, "lines add up to the total"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """A frozen quantity for one slot: (customer, dimension, full UTC hour). `reference` is our slot id."""

    reference: str
    customer: Mapping[str, str]
    dimension: str
    hour: datetime
    quantity: Decimal

    def __post_init__(self) -> None:
        assert self.hour.tzinfo is not None, "hours are aware"
        assert self.hour == self.hour.replace(minute=0, second=0, microsecond=0), "a slot is a full hour"

    @property
    def slot(self) -> tuple[tuple[tuple[str, str], ...], str, datetime]:
        """What a metering provider identifies the usage by."""
        return tuple(sorted(self.customer.items())), self.dimension, self.hour.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class MeteringDocument:
    """Usage records on their way to a metering provider; each slot and each reference occurs once."""

    records: tuple[UsageRecord, ...]

    def __post_init__(self) -> None:
        assert len({record.slot for record in self.records}) == len(self.records), "one quantity for each slot"
        assert len({record.reference for record in self.records}) == len(self.records), "references are unique"


Document: TypeAlias = InvoiceDocument | MeteringDocument


class OutcomeStatus(StrEnum):
    """What became of one record. DUPLICATE counts as accepted; UNKNOWN is never a success.

    REFUSED speaks of this attempt alone: after an earlier one that ended UNKNOWN (or `Transient.unknown`) it does not
    prove that nothing was counted, since a window may have closed or an agreement ended in between.
    """

    ACCEPTED = "ACCEPTED"
    DUPLICATE = "DUPLICATE"
    COLLISION = "COLLISION"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The provider's answer for one record or invoice.

    `acknowledged` is what the provider counts: the invoice total in the major unit, or the quantity of the slot; None
    when it is not known. `provider_status` is the provider's own word; `hint` tells a person what to do next. ACCEPTED
    with code `SKIPPED`: the account's settings say that such an invoice is not sent; nothing exists at the provider.
    UNKNOWN and `is_harmless`: it is certain that nothing came of this attempt, as when the record was not sent at all.
    """

    reference: str
    status: OutcomeStatus
    acknowledged: Decimal | None = None
    provider_reference: str | None = None
    provider_status: str | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None
    request_ids: tuple[str, ...] = ()
    effective_at: datetime | None = None
    is_harmless: bool = False

    @property
    def is_done(self) -> bool:
        """True when the provider counts exactly what was sent."""
        return self.status in (OutcomeStatus.ACCEPTED, OutcomeStatus.DUPLICATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What we kept of an earlier success: our reference and the provider's."""

    reference: str
    provider_reference: str


class PaymentState(StrEnum):
    """What became of the payment of an invoice: awaited, made, or tried in vain (or never to be made any more)."""

    OPEN = "OPEN"
    PAID = "PAID"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEntry:
    """One object as the provider shows it now. `reference` is ours when the object carries it.

    `provider_status` of an invoice is the provider's own word; `draft`, `open`, `paid`, `uncollectible`, `void` and
    `deleted` (it was there, and is no more) mean to everybody what they mean at Stripe, and `VALIDATING`, `PENDING_APPROVAL`,
    `APPROVED`, `REJECTED`, `CANCELLED` and `VALIDATION_FAILED` what they mean for payment requests at AWS. `message` is what the
    provider says about it, `charge` its id of the charge that came of it. `amount` is money in the major unit for invoices
    (`currency` set) and a quantity for usage (`currency` None); `tax` is the part of it that the provider put on top of what we
    billed. `payment` is None where the provider does not tell.
    """

    provider_reference: str
    provider_status: str
    reference: str | None = None
    amount: Decimal | None = None
    tax: Decimal | None = None
    amount_paid: Decimal | None = None
    payment: PaymentState | None = None
    currency: str | None = None
    effective_at: datetime | None = None
    due_at: datetime | None = None
    created_at: datetime | None = None
    message: str | None = None
    charge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A verified notice from the provider: a hint to read `provider_reference` again, never the state itself.

    De-duplicate on `event_id`. `provider_reference` is None for kinds that concern no document of ours; `reference` is
    ours when the notice carries it, and `is_foreign` says that it shows its object, and the object is none of ours.
    `payload` is kept: a few facts for whoever handles it, never the whole body, secrets or personal data.
    """

    event_id: str
    kind: str
    occurred_at: datetime
    provider_reference: str | None = None
    reference: str | None = None
    is_foreign: bool = False
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Connector(Protocol):
    """What a provider's module offers. The constructor takes `(config, clock)`; nothing raises but the two failures.

    `Config` is a frozen dataclass with `from_table(name, table, environ)`, which raises `http.SettingsError` with
    every problem. Repeating `deliver` with the same document and key must never make a second effect.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    Config: ClassVar[type[Any]]
    CustomerConfig: ClassVar[type[Any]]

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        """Every problem of the customer's side of a billing configuration; empty when it is complete."""
        ...

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Bring the document to the provider, going on from whatever an earlier try left; one outcome per record."""
        ...

    async def find(self, document: Document) -> Outcome | None:
        """Look the effect up by our own reference; None when there is none, or when re-sending is the look-up."""
        ...

    async def void(self, receipt: Receipt) -> Outcome:
        """Take back what was delivered."""
        ...

    async def list(self, period: Period) -> Sequence[ProviderEntry]:
        """Everything of the period, ours or not, for reconciliation.

        Where usage is listed by sums of many records, the class offers `listed_as(record)`, the `provider_reference` of
        the sum that holds a record.
        """
        ...

    async def status(self, provider_reference: str) -> ProviderEntry:
        """The object as the provider shows it now."""
        ...

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Verify a notice over its raw bytes and say what it is about."""
        ...

    async def close(self) -> None:
        """Release connections; the connector is not used afterwards."""
        ...


class KeepsNotices(Protocol):
    """What a connector offers beside `Connector` where `Capabilities.notices_kept` is set."""

    async def notices(self, period: Period) -> Sequence[Notification]:
        """Every notice that the provider made in the period and still keeps, oldest first."""
        ...


class ListsRequests(Protocol):
    """What a connector that meters offers beside `Connector` where `Capabilities.requested_by` is set."""

    async def requests(self, period: Period) -> Sequence[ProviderEntry]:
        """Every request for a payment that was made in the period, ours or not, for reconciliation."""
        ...


def document_to_json(document: Document) -> Json:
    """The document as JSON values; `document_from_json` gives an equal one back. Decimals and instants are strings."""
    if isinstance(document, MeteringDocument):
        return {"kind": "metering", "records": [_plain(record) for record in document.records]}
    return {"kind": "invoice", **_plain(document), "lines": [_plain(line) for line in document.lines]}


def document_from_json(value: Mapping[str, Any]) -> Document:
    """The document that `document_to_json` wrote. KeyError or TypeError for anything else."""
    if value["kind"] == "metering":
        return MeteringDocument(records=tuple(UsageRecord(**_typed(record)) for record in value["records"]))
    fields = {name: item for name, item in value.items() if name not in ("kind", "lines")}
    lines = tuple(DocumentLine(**_typed(line)) for line in value["lines"])
    return InvoiceDocument(**_typed(fields), lines=lines)


_DECIMALS = frozenset({"amount", "quantity", "unit_price", "total"})
_INSTANTS = frozenset(
    {"starting_at", "ending_before", "service_starting_at", "service_ending_before", "date", "issued_at", "hour"}
)


def _plain(item: DocumentLine | InvoiceDocument | UsageRecord) -> Json:
    plain: Json = {}
    for name in item.__dataclass_fields__:
        value = getattr(item, name)
        if name == "custom_fields" and not value:
            # Documents that were frozen before there were any must keep their digests.
            continue
        if isinstance(value, Decimal):
            value = money.canonical(value)
        elif isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        elif isinstance(value, Mapping):
            value = dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        plain[name] = value
    return plain


def _typed(plain: Mapping[str, Any]) -> Json:
    typed: Json = {}
    for name, value in plain.items():
        if value is not None and name in _DECIMALS:
            value = Decimal(value)
        elif value is not None and name in _INSTANTS:
            value = datetime.fromisoformat(value)
        typed[name] = value
    return typed
