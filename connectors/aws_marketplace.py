"""Frozen hour slots become metered records of AWS Marketplace (BatchMeterUsage).

Owns the identification of records and AWS's statuses. Leaves the account to `aws_account.py`, the buyers' agreements to
`aws_agreements.py`, invoices that are asked for by themselves to `aws_payments.py`, and what is owed, and which slot carries it, to `app/delivery`. AWS counts an identical record once, so re-sending a frozen record is also the way
to look it up; another quantity in the slot is refused for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from app.core.period import Period
from connectors.aws_account import METERING, REQUESTED_BY, AwsAccount, AwsCustomer, AwsMarketplaceConfig
from connectors.aws_agreements import AwsAgreements
from connectors.aws_payments import AwsPayments
from connectors.aws_request import is_request
from connectors.base import (
    Capabilities,
    Clock,
    Document,
    InvoiceDocument,
    Outcome,
    OutcomeStatus,
    Problem,
    ProviderEntry,
    Receipt,
    Terminal,
    Transient,
    UsageRecord,
    not_supported,
)
from connectors.http import customer_of, member, members, problems_of
from connectors.metering import BatchRefused, deliver_records

# How often the records that AWS did not process are sent again within one delivery.
_RESENDS = 2
# docs.aws.amazon.com/marketplacemetering, API_BatchMeterUsage and API_UsageRecordResult, November 2026.
_STATUSES: dict[str, tuple[OutcomeStatus, str, str]] = {
    "Success": (OutcomeStatus.ACCEPTED, "", ""),
    "CustomerNotSubscribed": (
        OutcomeStatus.REFUSED,
        "AWS knows no active agreement for this customer.",
        "Check the account id, license and region; an ended agreement takes usage for one more hour only.",
    ),
    "DuplicateRecord": (
        OutcomeStatus.COLLISION,
        "The slot holds another quantity, and AWS keeps the first.",
        "Find out what sent usage for this slot; the difference rides on a later one.",
    ),
}
_BAD_RECORD = frozenset(
    f"{name}Exception"
    for name in (
        "TimestampOutOfBounds", "InvalidUsageDimension", "InvalidCustomerIdentifier", "InvalidLicense", "InvalidTag",
        "InvalidUsageAllocations", "InvalidProductCode", "Validation",
    )
)  # fmt: skip


class AwsMarketplaceConnector(AwsAgreements):
    """Metering over boto3; what it knows of agreements is inherited, and payment requests are made by a part of their own."""

    name: ClassVar[str] = "aws_marketplace"
    # docs.aws.amazon.com/marketplacemetering/latest/APIReference/API_BatchMeterUsage.html, November 2026: 25 records,
    # less than 24 hours after the event, a month's usage before 06:00 UTC on the 1st, quantity up to 2^31 - 1, USD.
    capabilities: ClassVar[Capabilities] = Capabilities(
        mode="metering",
        batch_size=25,
        window=timedelta(hours=24),
        month_cutoff_hour=6,
        currencies=frozenset({"USD"}),
        max_quantity=Decimal(2**31 - 1),
        requested_by=REQUESTED_BY,
    )
    Config: ClassVar[type[Any]] = AwsMarketplaceConfig
    CustomerConfig: ClassVar[type[Any]] = AwsCustomer

    def __init__(self, config: AwsMarketplaceConfig, clock: Clock) -> None:
        super().__init__(AwsAccount(config), config, clock)
        self._payments = AwsPayments(self._account, is_offered=config.payment_requests)

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        """Every problem of the customer's side: one identification style, complete, and both ids of payment requests or none."""
        return problems_of(AwsCustomer.from_settings, settings)

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Meter the records, or ask for an invoice; AWS identifies records by customer, dimension and hour, without a key."""
        if isinstance(document, InvoiceDocument):
            return [await self._payments.deliver(document, key)]
        customers: dict[str, AwsCustomer] = {}

        def group_of(record: UsageRecord) -> tuple[str, str]:
            customers[record.reference] = customer = customer_of(AwsCustomer.from_settings, record.customer)
            return customer.region or self._config.access.region, customer.product_code

        async def send(batch: Sequence[UsageRecord]) -> list[Outcome]:
            region, product_code = group_of(batch[0])
            wires = {one.reference: _wire(one, customers[one.reference]) for one in batch}
            return await self._send(batch, wires, region=region, product_code=product_code)

        return await deliver_records(
            document, capabilities=self.capabilities, now=self._clock(), group_of=group_of, send=send
        )

    async def find(self, document: Document) -> Outcome | None:
        """The request for an invoice. AWS has no read of metered records; re-sending the identical record is the question."""
        return await self._payments.find(document) if isinstance(document, InvoiceDocument) else None

    async def void(self, receipt: Receipt) -> Outcome:
        """Cancel a payment request. Not supported for usage: a metered quantity stands for ever."""
        if not is_request(receipt.provider_reference):
            raise not_supported(self.name, "metered usage cannot be taken back; request a billing adjustment at AWS")
        return await self._payments.take_back(receipt)

    async def list(self, period: Period) -> Sequence[ProviderEntry]:
        """Not supported by the metering API."""
        raise not_supported(self.name, "the metering API has no read; see CloudTrail or the seller reports")

    async def status(self, provider_reference: str) -> ProviderEntry:
        """A payment request as it stands. Not supported by the metering API."""
        if not is_request(provider_reference):
            raise not_supported(self.name, "metered records have no state after they were accepted")
        return await self._payments.status(provider_reference)

    async def requests(self, period: Period) -> Sequence[ProviderEntry]:
        """See `connectors.base.ListsRequests`."""
        return await self._payments.requests(period)

    async def close(self) -> None:
        """Close the regional clients."""
        await self._account.close()

    async def _send(
        self, batch: Sequence[UsageRecord], wires: dict[str, dict[str, Any]], *, region: str, product_code: str
    ) -> list[Outcome]:
        """One call for the batch, and a few more for what AWS left unprocessed."""
        outcomes: dict[str, Outcome] = {}
        waiting = list(batch)
        for _ in range(1 + _RESENDS):
            parameters: dict[str, Any] = {"UsageRecords": [wires[one.reference] for one in waiting]}
            if product_code:
                parameters["ProductCode"] = product_code
            try:
                answer = await self._account.call(
                    METERING, region, "batch_meter_usage", parameters, bad_record=_BAD_RECORD
                )
            except (Transient, Terminal, BatchRefused):
                if not outcomes:
                    raise
                # What AWS answered for the others is not lost with these; they stay unprocessed.
                break
            results = {_slot(member(item, "UsageRecord")): item for item in members(answer, "Results")}
            unprocessed = {_slot(item) for item in members(answer, "UnprocessedRecords")}
            request_id = str(member(member(answer, "ResponseMetadata"), "RequestId") or "")
            for one in waiting:
                slot = _slot(wires[one.reference])
                outcomes[one.reference] = _outcome(one, results.get(slot), slot in unprocessed, request_id)
            waiting = [one for one in waiting if outcomes[one.reference].code == "UNPROCESSED"]
            if not waiting:
                break
        return list(outcomes.values())


def _wire(record: UsageRecord, customer: AwsCustomer) -> dict[str, Any]:
    """One record in AWS's words; quantities are whole, times aware."""
    identity = {
        "CustomerAWSAccountId": "" if customer.customer_identifier else customer.account_id,
        "LicenseArn": customer.license_arn,
        "CustomerIdentifier": customer.customer_identifier,
    }
    return {
        "Timestamp": record.hour.astimezone(UTC),
        "Dimension": record.dimension,
        "Quantity": int(record.quantity),
        **{name: value for name, value in identity.items() if value},
    }


def _slot(wire: object) -> tuple[str, str, str, int]:
    """What AWS identifies a record by, from what was sent or from what came back."""
    instant = member(wire, "Timestamp")
    who = member(wire, "CustomerIdentifier") or member(wire, "CustomerAWSAccountId")
    seconds = int(instant.timestamp()) if isinstance(instant, datetime) else 0
    return str(member(wire, "LicenseArn") or ""), str(who or ""), str(member(wire, "Dimension") or ""), seconds


def _outcome(record: UsageRecord, result: object, is_unprocessed: bool, request_id: str) -> Outcome:
    """One record's outcome; a record that the answer does not mention is UNKNOWN, never a success."""
    word = member(result, "Status")
    known = _STATUSES.get(str(word))
    counted = member(member(result, "UsageRecord"), "Quantity")
    if known is not None:
        status, message, hint = known
        code = None if status is OutcomeStatus.ACCEPTED else str(word)
        if status is OutcomeStatus.ACCEPTED and counted not in (None, int(record.quantity)):
            status, code, message = OutcomeStatus.COLLISION, "OTHER_QUANTITY", f"AWS counts {counted} in this slot."
    elif is_unprocessed:
        status, code, message, hint = OutcomeStatus.UNKNOWN, "UNPROCESSED", "AWS did not process the record.", ""
    else:
        text = "AWS's answer does not mention the record." if word is None else f"AWS answered {word}."
        status, code, message, hint = OutcomeStatus.UNKNOWN, "NOT_ANSWERED", text, ""
    return Outcome(
        reference=record.reference,
        status=status,
        acknowledged=record.quantity if status is OutcomeStatus.ACCEPTED else None,
        provider_reference=member(result, "MeteringRecordId"),
        provider_status=None if word is None else str(word),
        code=code,
        message=message or None,
        hint=hint or None,
        request_ids=(request_id,) if request_id else (),
        effective_at=record.hour,
    )
