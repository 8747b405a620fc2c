"""Frozen hour slots become usage events of the Azure (Microsoft) Marketplace metering service.

Owns the single and the batch call, Azure's statuses and the comparison of duplicates. Leaves the account and its
credentials to `azure_account.py`, the buyers' subscriptions to `azure_fulfilment.py`, and what is owed to
`app/delivery`. The hour slot is the only key that Azure knows: after a lost answer the same event is sent again, and
the duplicate answer says what was counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, NoReturn, cast

import httpx

from app.core.period import Period
from connectors import base
from connectors.azure_account import GUID, AzureAccount, AzureMarketplaceConfig, Credential
from connectors.azure_fulfilment import AzureFulfilment
from connectors.base import Outcome, OutcomeStatus, Terminal, Transient, UsageRecord
from connectors.http import SettingsTable, customer_of, member, members, problems_of, wait_from
from connectors.metering import BatchRefused, deliver_records

# learn.microsoft.com/partner-center/marketplace-offers/marketplace-metering-service-apis, November 2026. What is not listed is UNKNOWN: a new word must not pass for success or for failure.
_REFUSED = {
    "Expired": "The hour is more than 24 hours old; the usage stays owed.",
    "ResourceNotFound": "Check azureSubscriptionId.",
    "ResourceNotAuthorized": "The connection's application is not the one of the offer's technical configuration.",
    "ResourceNotActive": "The subscription is not in the state Subscribed.",
    "InvalidDimension": "The offer's plan has no such dimension.",
    "InvalidQuantity": "The quantity must be greater than zero.",
    "BadArgument": "Check planId: it must be the subscription's current plan.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureCustomer:
    """The buyer's SaaS subscription and its current plan."""

    subscription_id: str
    plan_id: str

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> AzureCustomer:
        """Read the customer's side; `SettingsError` with every problem."""
        read = SettingsTable("customer", settings, {})
        customer = cls(
            subscription_id=read.text("azureSubscriptionId", pattern=GUID, like="the SaaS subscription's GUID"),
            plan_id=read.text("planId", pattern=r"[-\w.]{1,50}", like="the plan's id"),
        )
        read.finish()
        return customer


class AzureMarketplaceConnector(AzureFulfilment):
    """Metering over httpx; what it knows of subscriptions is inherited."""

    name: ClassVar[str] = "azure_marketplace"
    # learn.microsoft.com/partner-center/marketplace-offers/marketplace-metering-service-apis, November 2026: 25 events,
    # 24 hours back. No maximum is stated; 2^53 is where the double that Azure keeps stops being exact. Prices are set
    # for each market, so cents are right for USD only.
    capabilities: ClassVar[base.Capabilities] = base.Capabilities(
        mode="metering",
        batch_size=25,
        window=timedelta(hours=24),
        currencies=frozenset({"USD"}),
        max_quantity=Decimal(2**53),
    )
    Config: ClassVar[type[Any]] = AzureMarketplaceConfig
    CustomerConfig: ClassVar[type[Any]] = AzureCustomer

    def __init__(
        self, config: AzureMarketplaceConfig, clock: base.Clock, *, credential: Credential | None = None
    ) -> None:
        super().__init__(AzureAccount(config, credential=credential), config, clock)

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[base.Problem]:
        """Every problem of the customer's side: azureSubscriptionId and planId."""
        return problems_of(AzureCustomer.from_settings, settings)

    async def deliver(self, document: base.Document, key: str) -> list[Outcome]:
        """Meter the records; Azure identifies them by resource, dimension and hour, so the key is not used."""
        assert isinstance(document, base.MeteringDocument), "Azure Marketplace takes usage records"
        customers: dict[str, AzureCustomer] = {}

        def group_of(record: UsageRecord) -> None:
            customers[record.reference] = customer_of(AzureCustomer.from_settings, record.customer)

        async def send_batch(batch: Sequence[UsageRecord]) -> list[Outcome]:
            wires = [_wire(record, customers[record.reference]) for record in batch]
            if len(batch) == 1:
                return [await self._send_one(batch[0], wires[0])]
            return await self._send_many(batch, wires)

        return await deliver_records(
            document, capabilities=self.capabilities, now=self._clock(), group_of=group_of, send=send_batch
        )

    async def find(self, document: base.Document) -> Outcome | None:
        """Always None: Azure reads usage back by the day only. Re-sending the identical event answers the question."""
        return None

    async def void(self, receipt: base.Receipt) -> Outcome:
        """Not supported: a metered quantity stands for ever."""
        raise base.not_supported(self.name, "metered usage cannot be taken back; refund it in Partner Center")

    async def list(self, period: Period) -> Sequence[base.ProviderEntry]:
        """Daily sums for each resource, plan and dimension, oldest first; `amount` is the submitted quantity."""
        parameters = {"usageStartDate": period.starting_at.date().isoformat()}
        if period.ending_before is not None:
            parameters["UsageEndDate"] = (period.ending_before - timedelta(seconds=1)).date().isoformat()
        rows, _, _ = await self._meter("GET", "/usageEvents", parameters=parameters, writes=False)
        if not isinstance(rows, list):
            raise Transient("Azure answered 200 without a list in it")
        entries = [_entry(row) for row in cast("list[object]", rows)]
        return sorted(entries, key=lambda entry: entry.provider_reference)

    @staticmethod
    def listed_as(record: UsageRecord) -> str:
        """Under which reference `list` shows a record: with all of its day, resource, plan and dimension."""
        customer = AzureCustomer.from_settings(record.customer)
        day = record.hour.astimezone(UTC).date().isoformat()
        return "/".join([day, customer.subscription_id, customer.plan_id, record.dimension])

    async def status(self, provider_reference: str) -> base.ProviderEntry:
        """Not supported by the metering API."""
        raise base.not_supported(self.name, "usage events have no state after they were accepted")

    async def close(self) -> None:
        """Close the HTTP client and the credential."""
        await self._account.close()

    async def _send_one(self, record: UsageRecord, wire: dict[str, Any]) -> Outcome:
        """The single call; its 409 carries the event that holds the slot."""
        answer, status, request_id = await self._meter("POST", "/usageEvent", body=wire)
        if status == 409:
            answer = {"status": "Duplicate", "error": answer}
        return _outcome(record, answer, request_id)

    async def _send_many(self, batch: Sequence[UsageRecord], wires: list[dict[str, Any]]) -> list[Outcome]:
        """The batch call; results are matched by slot, because their order is not promised."""
        answer, _, request_id = await self._meter("POST", "/batchUsageEvent", body={"request": wires})
        results = {_slot(row): row for row in members(answer, "result")}
        return [
            _outcome(record, results.get(_slot(wire)), request_id) for record, wire in zip(batch, wires, strict=True)
        ]

    async def _meter(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        parameters: dict[str, str] | None = None,
        writes: bool = True,
    ) -> tuple[Any, int, str]:
        """(decoded answer, status, request id) of a 200, or of the single call's 409; everything else is raised."""
        answer, response, request_id = await self._account.call(method, path, body=body, parameters=parameters)
        if response.status_code == 409 and path == "/usageEvent":
            return answer, 409, request_id
        if response.status_code != 200:
            _raise_for(response, answer, request_id, writes=writes)
        return answer, 200, request_id


def _raise_for(response: httpx.Response, answer: object, request_id: str, *, writes: bool) -> NoReturn:
    """400 has a bad event in it; 401 and 403 stop the account; 429 and 5xx pass; anything else needs a person."""
    status = response.status_code
    message = f"Azure answered {status}: {member(answer, 'message') or response.reason_phrase}"
    if status == 400 and writes:
        causes = [str(member(one, "message")) for one in members(answer, "details")]
        code = str(member(answer, "code") or "BadArgument")
        raise BatchRefused(code, "; ".join([message, *causes]), request_ids=(request_id,))
    if status in (401, 403):
        hint = "Check that the application is the one of the offer's technical configuration, and its secret."
        raise Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True)
    if status == 429 or status == 409:
        raise Transient(message, wait=wait_from(response.headers))
    if status >= 500 or status < 300:
        raise Transient(message, wait=wait_from(response.headers), unknown=writes)
    raise Terminal(f"HTTP_{status}", message, hint="Check api_base, azureSubscriptionId and planId.")


def _wire(record: UsageRecord, customer: AzureCustomer) -> dict[str, Any]:
    """One event in Azure's words. The quantity is a JSON number, so it is an int: whole units, exact."""
    return {
        "resourceId": customer.subscription_id,
        "planId": customer.plan_id,
        "dimension": record.dimension,
        "quantity": int(record.quantity),
        "effectiveStartTime": record.hour.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _slot(wire: object) -> tuple[str, str, str]:
    """Resource, dimension and calendar hour, from what was sent or came back; Azure writes times in several ways."""
    instant = str(member(wire, "effectiveStartTime") or "")
    return str(member(wire, "resourceId") or "").lower(), str(member(wire, "dimension") or ""), instant[:13]


def _quantity(value: object) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def _outcome(record: UsageRecord, result: object, request_id: str) -> Outcome:
    """One event's outcome; a duplicate counts only after what Azure accepted was compared with what was sent."""
    word = member(result, "status")
    counted = _quantity(member(result, "quantity"))
    event = member(result, "usageEventId")
    status, code, message, hint = OutcomeStatus.UNKNOWN, "NOT_ANSWERED", "Azure's answer does not tell.", None
    if word == "Accepted":
        status, code, message = OutcomeStatus.ACCEPTED, None, None
    elif word == "Duplicate":
        accepted = member(member(member(result, "error"), "additionalInfo"), "acceptedMessage")
        counted, event = _quantity(member(accepted, "quantity")), member(accepted, "usageEventId")
        if counted is not None:
            status, code, message = OutcomeStatus.DUPLICATE, None, None
    elif isinstance(word, str) and word in _REFUSED:
        detail = member(member(result, "error"), "message")
        status, code, message, hint = OutcomeStatus.REFUSED, word, f"Azure: {detail or word}", _REFUSED[word]
    elif word is not None:
        message = f"Azure answered {word}."
    # Azure keeps doubles; whole quantities up to 2^53 come back equal.
    if status in (OutcomeStatus.ACCEPTED, OutcomeStatus.DUPLICATE) and counted not in (None, record.quantity):
        status, code, message = OutcomeStatus.COLLISION, "OTHER_QUANTITY", f"Azure counts {counted} in this slot."
        hint = "Find out what sent usage for this slot; the difference rides on a later one."
    is_counted = status in (OutcomeStatus.ACCEPTED, OutcomeStatus.DUPLICATE)
    return Outcome(
        reference=record.reference,
        status=status,
        acknowledged=record.quantity if is_counted else counted if status is OutcomeStatus.COLLISION else None,
        provider_reference=event,
        provider_status=None if word is None else str(word),
        code=code,
        message=message,
        hint=hint,
        request_ids=(request_id,),
        effective_at=record.hour,
    )


def _entry(row: object) -> base.ProviderEntry:
    day = str(member(row, "usageDate") or "")[:10]
    names = [member(row, key) for key in ("usageResourceId", "planId", "dimension")]
    return base.ProviderEntry(
        provider_reference="/".join([day, *(str(name or "") for name in names)]),
        provider_status=str(member(row, "reconStatus") or ""),
        amount=_quantity(member(row, "submittedQuantity")),
    )
