"""Subscriptions of Azure Marketplace (SaaS fulfilment, version 2): resolve, activate, operations, and their notices.

Owns what Microsoft tells about a buyer and what it is told back. Leaves the landing page and what is stored to the
gateway. A notice is believed for its sender only: the operation and the subscription are read back before anything
follows. Source: Partner Center, "SaaS fulfillment subscription APIs v2" and "operations APIs", November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from connectors.azure_account import GUID, AzureAccount, AzureMarketplaceConfig
from connectors.base import Clock, Notification, Terminal, Transient
from connectors.entra_tokens import EntraTokens
from connectors.http import is_like, member, wait_from
from connectors.subscriptions import SubscriptionState, SubscriptionView

_PATH = "/saas/subscriptions"
_STATES = {
    "PendingFulfillmentStart": SubscriptionState.PENDING,
    "Subscribed": SubscriptionState.ACTIVE,
    "Suspended": SubscriptionState.SUSPENDED,
    "Unsubscribed": SubscriptionState.ENDED,
}
# The two that wait for a word of ours; silence for ten seconds is acceptance. Everything else is told when it is done.
_ANSWERED = frozenset({"ChangePlan", "ChangeQuantity", "Reinstate"})
_OPEN = frozenset({"NotStarted", "InProgress"})


class AzureFulfilment:
    """What the Azure connector knows of subscriptions; see `connectors.subscriptions.Marketplace`."""

    # Usage from before the end is taken for its 24 hours; we go on for the two hours that the seller is promised
    # (semantics 7.5), in the hours before the end.
    last_call = timedelta(hours=2)
    takes_hours_after_end = False

    def __init__(self, account: AzureAccount, config: AzureMarketplaceConfig, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._tokens = None
        if config.tenant_id and config.client_id:
            self._tokens = EntraTokens(
                openid_base=config.openid_base,
                tenant_id=config.tenant_id,
                client_id=config.client_id,
                clock=clock,
                timeout_seconds=config.timeout_seconds,
            )

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Check the notice's token and say what it is about. Terminal INVALID_TOKEN or MALFORMED, or `Transient`.

        Reads Entra's keys now and then, so a caller on an event loop uses a thread. The schema may grow, so what is
        not needed is not looked at.
        """
        if self._tokens is None:
            hint = "Set tenant_id and client_id of the connection."
            raise Terminal("NOT_CONFIGURED", "The connection names no application that notices are for.", hint=hint)
        given = {name.lower(): value for name, value in headers.items()}
        self._tokens.verify(given.get("authorization", ""))
        try:
            payload: object = json.loads(body)
        except ValueError as error:
            raise Terminal("MALFORMED", "The notice is no JSON.") from error
        operation, subscription, action = (
            str(member(payload, key) or "") for key in ("id", "subscriptionId", "action")
        )
        if not is_like(operation, GUID) or not is_like(subscription, GUID) or not action:
            raise Terminal("MALFORMED", "The notice names no operation, subscription and action.")
        return Notification(
            # One operation may be told of twice: while it waits for an answer, and when it is done.
            event_id=f"{operation}:{str(member(payload, 'status') or '')[:32]}",
            kind=action[:64],
            occurred_at=self._clock(),
            provider_reference=subscription.lower(),
            payload={"operation": operation.lower(), "subscription": subscription.lower(), "action": action[:64]},
        )

    async def resolve(self, token: str) -> SubscriptionView:
        """The subscription behind the token of the landing page, which is good for about a day."""
        answer = await self._ask("POST", f"{_PATH}/resolve", headers={"x-ms-marketplace-token": token}, token=True)
        view = _view(member(answer, "subscription") or answer)
        if view.reference:
            return view
        # Older answers have the id outside and little else.
        return await self._subscription(str(member(answer, "id") or ""))

    async def look(self, payload: Mapping[str, Any]) -> SubscriptionView | None:
        """The subscription as it stands now, and whether the operation waits for an answer.

        An operation that Microsoft no longer knows changes nothing by itself: the subscription tells what became of it.
        """
        reference, operation = str(payload["subscription"]), str(payload["operation"])
        found = await self._ask("GET", f"{_PATH}/{reference}/operations/{operation}", missing=True)
        view = await self.refresh(reference, {})
        if view is None:
            return None
        status, action = str(member(found, "status") or ""), str(member(found, "action") or "")
        if status not in _OPEN or action not in _ANSWERED:
            return view
        return replace(view, waits_for_answer=True)

    async def refresh(self, reference: str, settings: Mapping[str, str]) -> SubscriptionView | None:
        """The subscription as it stands now; None when Microsoft knows none of this id."""
        return await self._subscription(reference, missing=True)

    @staticmethod
    def reference_of(settings: Mapping[str, str]) -> str:
        """The subscription that a customer's settings name."""
        return settings.get("azureSubscriptionId", "").lower()

    async def answer(self, payload: Mapping[str, Any]) -> None:
        """Accept the operation. One that a newer update has overtaken, or that is done, needs no answer any more."""
        path = f"{_PATH}/{payload['subscription']}/operations/{payload['operation']}"
        await self._ask("PATCH", path, body={"status": "Success"}, settled=(404, 409))

    async def activate(self, view: SubscriptionView) -> SubscriptionView:
        """Begin billing with what was bought. A subscription that is active already is told by what it shows."""
        body: dict[str, Any] = {"planId": view.plan}
        if view.quantity:
            body["quantity"] = int(view.quantity)
        refused: Terminal | None = None
        try:
            await self._ask("POST", f"{_PATH}/{view.reference}/activate", body=body)
        except Terminal as error:
            refused = error
        now = await self._subscription(view.reference)
        if refused is not None and now.state is SubscriptionState.PENDING:
            raise refused
        return now

    async def _subscription(self, reference: str, *, missing: bool = False) -> Any:
        answer = await self._ask("GET", f"{_PATH}/{quote(reference, safe='')}", missing=missing)
        if answer is None:
            return None
        view = _view(answer)
        if view.reference != reference.lower():
            raise Transient("Azure answered 200 without the subscription in it")
        return view

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        missing: bool = False,
        token: bool = False,
        settled: tuple[int, ...] = (),
    ) -> Any:
        """The decoded answer. With `missing` a 404 is None; a `settled` status is taken for done; the rest is raised."""
        answer, response, _ = await self._account.call(method, path, body=body, headers=headers)
        status = response.status_code
        if (missing and status == 404) or status in settled:
            return None
        if token and status in (400, 404):
            raise Terminal("INVALID_TOKEN", "The marketplace does not know this token, or it has expired.")
        if not 200 <= status < 300:
            _raise_for(response, answer)
        if method != "GET" and not token:
            return answer
        if not isinstance(answer, dict):
            raise Transient("Azure answered 200 with something else than a subscription")
        return answer  # pyright: ignore[reportUnknownVariableType]


def _raise_for(response: httpx.Response, answer: object) -> NoReturn:
    """401 and 403 stop the account; 429 and 5xx pass; anything else needs a person."""
    status = response.status_code
    told = member(answer, "message") or member(member(answer, "error"), "message") or response.reason_phrase
    message = f"Azure answered {status}: {told}"
    if status in (401, 403):
        hint = "Check that the application is the one of the offer's technical configuration, and its secret."
        raise Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True)
    if status == 429 or status >= 500:
        raise Transient(message, wait=wait_from(response.headers))
    raise Terminal(f"HTTP_{status}", message, hint="Look at the subscription in Partner Center.")


def _view(row: object) -> SubscriptionView:
    """One subscription. Quantities come as numbers, texts, nothing at all; only whole positive ones are kept."""
    reference = str(member(row, "id") or "").lower()
    plan, status = str(member(row, "planId") or ""), str(member(row, "saasSubscriptionStatus") or "")
    quantity = str(member(row, "quantity") or "").partition(".")[0]
    people = {
        "purchaser": str(member(member(row, "purchaser"), "emailId") or ""),
        "beneficiary": str(member(member(row, "beneficiary"), "emailId") or ""),
        "tenant": str(member(member(row, "beneficiary"), "tenantId") or ""),
        "name": str(member(row, "name") or ""),
    }
    return SubscriptionView(
        reference=reference,
        # A word that we do not know must not start or stop billing: it waits, visibly.
        state=_STATES.get(status, SubscriptionState.SUSPENDED),
        provider_status=status or "unknown",
        settings={"azureSubscriptionId": reference, "planId": plan},
        offer=str(member(row, "offerId") or ""),
        plan=plan,
        quantity=quantity if quantity.isdecimal() and int(quantity) > 0 else "",
        buyer={key: value[:200] for key, value in people.items() if value},
    )
