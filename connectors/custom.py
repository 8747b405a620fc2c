"""Finalized invoices, or hours of usage, as messages to a system of the seller's own.

Owns the settings of both connectors: `custom` takes invoices, `custom_metering` takes the hourly slots that a
marketplace would get. What is sent is told in `messages.py`, how it leaves in `custom_transports.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from app.core.period import Period
from connectors import messages
from connectors.aws import AwsAccess
from connectors.base import (
    Capabilities,
    Clock,
    Document,
    InvoiceDocument,
    MeteringDocument,
    Notification,
    Outcome,
    Problem,
    ProviderEntry,
    Receipt,
    Terminal,
    UsageRecord,
    not_supported,
)
from connectors.custom_transports import Bucket, Message, Queue, Topic, Transport, Webhook
from connectors.http import Secret, SettingsTable, problems_of
from connectors.metering import deliver_records
from connectors.signing import LIKE, key_of

_WEBHOOK, _S3, _SQS, _SNS = "webhook", "s3", "sqs", "sns"
_TRANSPORTS: dict[object, str] = {kind: kind for kind in (_WEBHOOK, _S3, _SQS, _SNS)}
_CONFIRMED_BY: dict[object, str] = {kind: kind for kind in ("id", "status")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomConfig:
    """Where messages go, and how they are signed. `unit_price` and `dimension` concern metering alone."""

    transport: str
    signing_secrets: tuple[Secret, ...] = ()
    url: str = ""
    confirmed_by: str = "id"
    bucket: str = ""
    prefix: str = ""
    queue_url: str = ""
    topic_arn: str = ""
    aws: AwsAccess = field(default_factory=AwsAccess)
    unit_price: Decimal = Decimal("0.01")
    dimension: str = "usage_fee"

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> CustomConfig:
        """Read `[connections.NAME]`; `SettingsError` with every problem."""
        read = SettingsTable(name, table, environ)
        transport = read.choice("transport", _WEBHOOK, among=_TRANSPORTS)
        config = cls(
            transport=transport,
            signing_secrets=read.secrets("signing_secrets"),
            url=read.address("url", None if transport == _WEBHOOK else ""),
            confirmed_by=read.choice("confirmed_by", "id", among=_CONFIRMED_BY),
            bucket=read.text("bucket", None if transport == _S3 else "", pattern=r"[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]",
                             like="a bucket's name"),
            prefix=read.text("prefix", "", pattern=r"[-\w./=]{0,200}", like="letters, digits and -_./="),
            queue_url=read.address("queue_url", None if transport == _SQS else ""),
            topic_arn=read.text("topic_arn", None if transport == _SNS else "", pattern=r"arn:aws[\w-]*:sns:.+",
                                like="a topic's ARN"),
            aws=AwsAccess.read(read),
            unit_price=read.decimal("unit_price", "0.01"),
            dimension=read.text("dimension", "usage_fee", pattern=r"\S{1,255}", like="1 to 255 characters"),
        )  # fmt: skip
        if transport == _WEBHOOK and not config.signing_secrets:
            read.fault("signing_secrets", f"a webhook is signed: give a list of references to {LIKE}")
        if any(key_of(secret) is None for secret in config.signing_secrets):
            read.fault("signing_secrets", f"each must hold {LIKE}")
        read.finish()
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomCustomer:
    """Whom the receiving system knows the customer as."""

    customer_reference: str

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> CustomCustomer:
        """Read the customer's side; `SettingsError` with every problem."""
        read = SettingsTable("customer", settings, {})
        customer = cls(
            customer_reference=read.text("customerReference", pattern=r"\S.{0,199}", like="up to 200 characters")
        )
        read.finish()
        return customer


class _Custom:
    """What both connectors have in common."""

    name: ClassVar[str]
    Config: ClassVar[type[Any]] = CustomConfig
    CustomerConfig: ClassVar[type[Any]] = CustomCustomer

    def __init__(self, config: CustomConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._transport = _transport(config, clock)

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        """Every problem of the customer's side: customerReference."""
        return problems_of(CustomCustomer.from_settings, settings)

    async def list(self, period: Period) -> Sequence[ProviderEntry]:
        """Not supported: messages are not read back."""
        raise not_supported(self.name, "messages are not read back; compare with the receiving system")

    async def status(self, provider_reference: str) -> ProviderEntry:
        """Not supported: messages are not read back."""
        raise not_supported(self.name, "the receiving system is not asked about messages")

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Not supported: the receiving system tells outcomes through the API."""
        raise not_supported(self.name, "the receiving system has no notices; use the API")

    async def close(self) -> None:
        """Give back connections."""
        await self._transport.close()


class CustomConnector(_Custom):
    """Invoices as messages: `invoice.finalized`, and `invoice.voided` for one that is taken back."""

    name: ClassVar[str] = "custom"
    # SQS and SNS take 256 KiB a message (docs.aws.amazon.com, quotas, November 2026): about a thousand lines.
    capabilities: ClassVar[Capabilities] = Capabilities(mode="invoice", batch_size=1, accepts_negative=True)

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Send the message; its id is the invoice's, and so is what tells repeats."""
        assert isinstance(document, InvoiceDocument), "custom takes invoices"
        outcome = await self._transport.send(_message(document))
        return [replace(outcome, acknowledged=document.total) if outcome.is_done else outcome]

    async def find(self, document: Document) -> Outcome | None:
        """The object in the bucket; of the other ways nobody can be asked, which is told as UNKNOWN."""
        assert isinstance(document, InvoiceDocument), "custom takes invoices"
        outcome = await self._transport.find(_message(document))
        return replace(outcome, acknowledged=document.total) if outcome and outcome.is_done else outcome

    async def void(self, receipt: Receipt) -> Outcome:
        """Tell the receiving system that the invoice is void, by a message of its own."""
        message_id, body = messages.void_message(receipt)
        outcome = await self._transport.send(Message(id=message_id, body=body, group=receipt.reference))
        if not outcome.is_done:
            raise Terminal(outcome.code or outcome.status, outcome.message or "", hint=outcome.hint or "")
        return replace(outcome, reference=receipt.reference, provider_status="voided")


class CustomMeteringConnector(_Custom):
    """Hours of usage as messages `metering.delta`, for whoever meters at a marketplace in the seller's place."""

    name: ClassVar[str] = "custom_metering"
    # Behind it stands a marketplace, and the two that we know close after 24 hours.
    capabilities: ClassVar[Capabilities] = Capabilities(
        mode="metering",
        batch_size=1,
        window=timedelta(hours=24),
        currencies=frozenset({"USD"}),
        max_quantity=Decimal(2**53),
    )

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Send a message for each slot; its id is the slot's."""
        assert isinstance(document, MeteringDocument), "custom_metering takes usage records"

        async def send(batch: Sequence[UsageRecord]) -> list[Outcome]:
            [record] = batch
            message_id, body = messages.usage_message(record, unit_price=self._config.unit_price, currency="USD")
            group = json.dumps(dict(sorted(record.customer.items())))
            outcome = await self._transport.send(Message(id=message_id, body=body, group=group))
            return [replace(outcome, acknowledged=record.quantity if outcome.is_done else None)]

        return await deliver_records(
            document, capabilities=self.capabilities, now=self._clock(), group_of=lambda record: None, send=send
        )

    async def find(self, document: Document) -> Outcome | None:
        """Always None: sending the identical message again answers the question."""
        return None

    async def void(self, receipt: Receipt) -> Outcome:
        """Not supported: a marketplace counts a quantity for ever."""
        raise not_supported(self.name, "metered usage cannot be taken back; less is sent afterwards")


def _message(document: InvoiceDocument) -> Message:
    message_id, body = messages.invoice_message(document)
    return Message(id=message_id, body=body, group=document.contract)


def _transport(config: CustomConfig, clock: Clock) -> Transport:
    secrets = config.signing_secrets
    if config.transport == _S3:
        return Bucket(config.aws, secrets, clock, bucket=config.bucket, prefix=config.prefix)
    if config.transport == _SQS:
        return Queue(config.aws, secrets, clock, address=config.queue_url)
    if config.transport == _SNS:
        return Topic(config.aws, secrets, clock, address=config.topic_arn)
    by_status = config.confirmed_by == "status"
    return Webhook(config.url, secrets, clock, seconds=config.aws.timeout_seconds, by_status=by_status)
