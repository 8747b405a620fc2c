"""Agreements at AWS Marketplace: who registered, what they are entitled to, and notices of what changed.

Owns ResolveCustomer, GetEntitlements, and the words of EventBridge and of the older SNS topics. Leaves the registration
page and what is stored to the gateway. AWS has no read of an agreement's state in the metering service, so a verified
notice is believed, and the time in it orders notices. Source: AWS Marketplace seller guide, "Managing SaaS subscription
events with Amazon EventBridge" and "Amazon SNS notifications for SaaS products", November 2026.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from connectors.aws_account import ENTITLEMENT, METERING, AwsAccount, AwsMarketplaceConfig
from connectors.base import Clock, Notification, Terminal, Transient
from connectors.http import member, members
from connectors.metering import BatchRefused
from connectors.sns_messages import SnsMessages
from connectors.subscriptions import SubscriptionState, SubscriptionView

SOURCE = "aws.agreement-marketplace"
_ENTITLEMENT_REGION = "us-east-1"
_PAGES = 40
_ACTIVE, _ENDED, _SUSPENDED = SubscriptionState.ACTIVE, SubscriptionState.ENDED, SubscriptionState.SUSPENDED
# A direct sale sends each event as Manufacturer and as Proposer; the end of the name is left out.
_EVENTS = {
    "License Updated": _ACTIVE,
    "License Deprovisioned": _ENDED,
    "Purchase Agreement Created": _ACTIVE,
    "Purchase Agreement Amended": _ACTIVE,
    "Purchase Agreement Ended": _ENDED,
}
# An agreement that another takes the place of ends no license.
_GOES_ON = frozenset({"RENEWED", "REPLACED"})
_ACTIONS = {
    "subscribe-success": _ACTIVE,
    "subscribe-fail": _SUSPENDED,
    "unsubscribe-pending": _ENDED,
    "unsubscribe-success": _ENDED,
    "entitlement-updated": _ACTIVE,
}


class AwsAgreements:
    """What the AWS connector knows of agreements; see `connectors.subscriptions.Marketplace`."""

    last_call = timedelta(hours=1)
    takes_hours_after_end = True

    def __init__(self, account: AwsAccount, config: AwsMarketplaceConfig, clock: Clock) -> None:
        self._account = account
        self._config = config
        self._clock = clock
        self._messages = SnsMessages(
            topics=config.sns_topics, base=config.sns_base, clock=clock, timeout_seconds=config.access.timeout_seconds
        )

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Verify a message of SNS by its signature, or an event of an EventBridge destination by its key.

        Errors: Terminal INVALID_SIGNATURE, NOT_CONFIGURED or MALFORMED, or `Transient`. SNS may carry the events of
        EventBridge as well. A certificate is fetched now and then, so a caller on an event loop uses a thread.
        """
        try:
            message: object = json.loads(body)
        except ValueError as error:
            raise Terminal("MALFORMED", "The notice is no JSON.") from error
        if not isinstance(message, dict):
            raise Terminal("MALFORMED", "The notice is no JSON object.")
        given = cast("dict[str, Any]", message)
        if "Signature" in given or "TopicArn" in given:
            self._messages.verify(given)
            return self._from_sns(given)
        sent = {name.lower(): value for name, value in headers.items()}.get("x-api-key", "").encode()
        if not any(hmac.compare_digest(sent, secret.reveal().encode()) for secret in self._config.webhook_secrets):
            raise Terminal("INVALID_SIGNATURE", "The notice is neither signed by SNS nor sent with the key of ours.")
        return _from_event(given, event_id=str(given.get("id") or ""), now=self._clock())

    def _from_sns(self, message: Mapping[str, Any]) -> Notification:
        kind, event_id = str(message["Type"]), str(message.get("MessageId") or "")
        at = _instant(message.get("Timestamp"), self._clock())
        if kind == "SubscriptionConfirmation":
            payload = {"confirm": str(message.get("SubscribeURL") or "")}
            return Notification(event_id=event_id, kind=kind, occurred_at=at, payload=payload)
        if kind != "Notification":
            return Notification(event_id=event_id, kind=kind, occurred_at=at)
        try:
            inner: object = json.loads(str(message.get("Message") or ""))
        except ValueError:
            inner = None
        if member(inner, "detail-type") is not None:
            return _from_event(cast("dict[str, Any]", inner), event_id=event_id, now=at)
        product, customer = (str(member(inner, key) or "") for key in ("product-code", "customer-identifier"))
        action = str(member(inner, "action") or "unknown")[:64]
        payload = {"action": action, "product": product, "customer": customer, "at": at.isoformat()}
        reference = f"{product}:{customer}" if product and customer else None
        return Notification(
            event_id=event_id, kind=action, occurred_at=at, provider_reference=reference, payload=payload
        )

    async def resolve(self, token: str) -> SubscriptionView:
        """The buyer behind the token of the registration page; it must be redeemed at once."""
        try:
            answer = await self._account.call(
                METERING,
                self._config.access.region,
                "resolve_customer",
                {"RegistrationToken": token},
                bad_record=_BAD_TOKEN,
            )
        except BatchRefused as error:
            raise Terminal("INVALID_TOKEN", "AWS does not know this token, or it has expired.") from error
        account, arn, product, customer = (
            str(member(answer, key) or "")
            for key in ("CustomerAWSAccountId", "LicenseArn", "ProductCode", "CustomerIdentifier")
        )
        if arn:
            settings = {"awsCustomerAccountId": account, "licenseArn": _whole_arn(arn)}
        elif product and (customer or account):
            named = {"customerIdentifier": customer} if customer else {"awsCustomerAccountId": account}
            settings = {"productCode": product, **named}
        else:
            raise Transient("AWS answered 200 without a customer in it")
        agreement = str(member(member(answer, "Metadata"), "AgreementId") or "")
        view = SubscriptionView(
            reference=self.reference_of(settings), state=_ACTIVE, provider_status="registered", settings=settings,
            agreement=agreement, offer=product, buyer={"awsAccount": account} if account else {},
            as_of=self._clock(),
        )  # fmt: skip
        return await self._with_entitlements(view)

    async def look(self, payload: Mapping[str, Any]) -> SubscriptionView | None:
        """What a verified notice says of an agreement; a contract's entitlements are read back."""
        if payload.get("confirm"):
            await asyncio.to_thread(self._messages.confirm, str(payload["confirm"]))
            return None
        view = _view_of_event(payload) if "event" in payload else _view_of_action(payload)
        return None if view is None else await self._with_entitlements(view)

    async def refresh(self, reference: str, settings: Mapping[str, str]) -> SubscriptionView | None:
        """What a contract is entitled to now; None for products that are billed by usage alone."""
        if not self._config.entitlements:
            return None
        view = SubscriptionView(
            reference=reference, state=_ACTIVE, provider_status="entitled", settings=settings, as_of=self._clock()
        )
        return await self._with_entitlements(view)

    async def answer(self, payload: Mapping[str, Any]) -> None:
        """AWS waits for no answer."""

    async def activate(self, view: SubscriptionView) -> SubscriptionView:
        """An agreement is active when it is made."""
        return view

    @staticmethod
    def reference_of(settings: Mapping[str, str]) -> str:
        """The license's id, or product and customer of the older style.

        Not the ARN itself: AWS writes its beginning in several ways.
        """
        if settings.get("licenseArn"):
            return _license_id(settings["licenseArn"])
        customer = settings.get("customerIdentifier") or settings.get("awsCustomerAccountId")
        return f"{settings.get('productCode')}:{customer}"

    async def _with_entitlements(self, view: SubscriptionView) -> SubscriptionView:
        """A contract whose every entitlement has expired is over, whatever was told."""
        if not self._config.entitlements or view.state is not _ACTIVE or not view.reference:
            return view
        ends = await self._entitlement_ends(view)
        if ends and max(ends) > self._clock():
            return view
        return replace(view, state=_ENDED, provider_status="expired", ended_at=max(ends, default=self._clock()))

    async def _entitlement_ends(self, view: SubscriptionView) -> list[datetime]:
        """When each entitlement ends at the earliest. An empty page may have a next one."""
        product = view.settings.get("productCode") or view.offer
        wanted = {
            "LICENSE_ARN": view.settings.get("licenseArn"),
            "CUSTOMER_IDENTIFIER": view.settings.get("customerIdentifier"),
        }
        parameters: dict[str, Any] = {
            "ProductCode": product, "Filter": {key: [value] for key, value in wanted.items() if value}, "MaxResults": 25,
        }  # fmt: skip
        ends: list[datetime] = []
        for _ in range(_PAGES):
            answer = await self._account.call(ENTITLEMENT, _ENTITLEMENT_REGION, "get_entitlements", parameters)
            for row in members(answer, "Entitlements"):
                end = member(row, "ExpirationDate")
                ends.append(end if isinstance(end, datetime) else datetime.max.replace(tzinfo=UTC))
            if not member(answer, "NextToken"):
                break
            parameters["NextToken"] = member(answer, "NextToken")
        return ends


_BAD_TOKEN = frozenset({"InvalidTokenException", "ExpiredTokenException", "ValidationException"})


def _from_event(event: Mapping[str, Any], *, event_id: str, now: datetime) -> Notification:
    """An event of EventBridge. What it is not about is named and has no payload."""
    kind = str(event.get("detail-type") or "")[:64]
    if not event_id or not kind:
        raise Terminal("MALFORMED", "The notice has no id or no detail-type.")
    at, detail = _instant(event.get("time"), now), event.get("detail")
    name, _, _ = kind.rpartition(" - ")
    if event.get("source") != SOURCE or name not in _EVENTS:
        return Notification(event_id=event_id, kind=kind, occurred_at=at)
    arn, agreement = member(member(detail, "license"), "arn"), member(detail, "agreement")
    payload = {
        "event": name,
        "license": str(arn or ""),
        "agreement": str(member(agreement, "id") or ""),
        "status": str(member(agreement, "status") or "")[:32],
        "account": str(member(member(detail, "acceptor"), "accountId") or ""),
        "product": str(member(member(detail, "product"), "code") or ""),
        "at": at.isoformat(),
    }
    reference = _license_id(payload["license"]) or payload["agreement"] or None
    return Notification(event_id=event_id, kind=kind, occurred_at=at, provider_reference=reference, payload=payload)


def _view_of_event(payload: Mapping[str, Any]) -> SubscriptionView | None:
    state = _EVENTS[str(payload["event"])]
    if state is _ENDED and payload.get("status") in _GOES_ON:
        return None
    at, arn, account = datetime.fromisoformat(str(payload["at"])), str(payload["license"]), str(payload["account"])
    settings = {"awsCustomerAccountId": account, "licenseArn": _whole_arn(arn)} if arn and account else {}
    return SubscriptionView(
        reference=_license_id(arn), state=state, provider_status=str(payload["event"])[:64], settings=settings,
        agreement=str(payload["agreement"]), offer=str(payload["product"]),
        buyer={"awsAccount": account} if account else {}, ended_at=at if state is _ENDED else None, as_of=at,
    )  # fmt: skip


def _view_of_action(payload: Mapping[str, Any]) -> SubscriptionView | None:
    """The older topics name product and customer; they cannot tell concurrent agreements apart."""
    state, product, customer = _ACTIONS.get(str(payload.get("action"))), payload.get("product"), payload.get("customer")
    if state is None or not product or not customer:
        return None
    at = datetime.fromisoformat(str(payload["at"]))
    return SubscriptionView(
        reference=f"{product}:{customer}", state=state, provider_status=str(payload["action"]),
        settings={"productCode": str(product), "customerIdentifier": str(customer)}, offer=str(product),
        ended_at=at if state is _ENDED else None, as_of=at,
    )  # fmt: skip


def _whole_arn(arn: str) -> str:
    """AWS's own examples leave out the first word of it."""
    return arn if not arn or arn.startswith("arn:") else f"arn:{arn}"


def _license_id(arn: str) -> str:
    return arn.rpartition(":")[2].lower()


def _instant(value: object, now: datetime) -> datetime:
    """The time in a notice; one of the future, or none at all, is now."""
    try:
        found = datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return now
    return min(found, now)
