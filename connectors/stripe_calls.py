"""What comes back from Stripe: checked answers, pages, the two failures, verified notices.

Owns the translation of the SDK's objects and exceptions into the protocol's. Leaves what to ask, and when, to
`connectors/stripe.py`. An answer is believed only after its id, status and total were seen in it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import stripe

from connectors.base import Notification, Terminal, Transient
from connectors.http import Secret, counting_lost, member, note_lost, wait_from
from connectors.pace import Pace, Turns
from connectors.stripe_invoice import INVOICE_KEY

log = logging.getLogger("metrograph.connectors.stripe")

T = TypeVar("T")

# 100 invoices a page: nobody has more with one customer than this, and every loop is bounded.
MAX_PAGES = 100
# A hundred thousand events in one stretch of a sweep.
MAX_EVENT_PAGES = 1000
# docs.stripe.com/webhooks, November 2026: the default tolerance of the SDK, here in both directions.
TOLERANCE = timedelta(seconds=300)
# Longer than any that Stripe makes, and safe to keep as it is.
_EVENT_ID = re.compile(r"[\w.:-]{1,255}", re.ASCII)
# Codes of docs.stripe.com/error-codes, November 2026, in plain language.
_HINTS = {
    "resource_missing": "Check stripeCustomerId, and that the key belongs to the same account and mode.",
    "idempotency_error": "The document changed after an earlier try; finish or void that one first.",
    "amount_too_small": "The total is below the currency's minimum charge; set skip_zero or bill it later.",
    "amount_too_large": "Split the invoice, or settle it outside Stripe.",
    "customer_tax_location_invalid": "Complete the customer's address in Stripe, or set tax to off.",
    "invoice_not_editable": "Someone finalized or changed the draft in Stripe; compare it with ours.",
}


class PacedClient(stripe.HTTPXClient):
    """Every request on the wire waits for its turn, those that the SDK repeats by itself as well."""

    def __init__(self, per_second: int, *, timeout: int) -> None:
        super().__init__(timeout=timeout)  # pyright: ignore[reportUnknownMemberType]
        self.turns: Turns = Pace(per_second)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Wait, then ask."""
        await self.turns.turn()
        try:
            answer = await super().request_async(method, url, headers, post_data)  # pyright: ignore[reportUnknownMemberType]
        except stripe.APIConnectionError:
            note_lost()
            raise
        if answer[1] >= 500:
            note_lost()
        return answer


class ServerError(Transient):
    """Stripe answered 5xx: the key is spent and the effect may exist. Outside it is an ordinary `Transient`."""


async def call(step: str, request: Awaitable[T], *, writes: bool = True) -> T:
    """Await one SDK request; its exceptions become `Transient` or `Terminal`, and a log line names step and id."""
    with counting_lost() as lost:
        try:
            answer = await request
        except stripe.StripeError as error:
            log.info("stripe %s -> %s (%s)", step, error.http_status, error.request_id)
            raise _translated(error, step, writes=writes, after_lost=bool(lost)) from error
    response = getattr(answer, "last_response", None)
    log.info("stripe %s -> %s (%s)", step, getattr(response, "code", None), getattr(response, "request_id", None))
    return answer


def _translated(error: stripe.StripeError, step: str, *, writes: bool, after_lost: bool) -> Exception:
    """Retry later: network, 409, 429, 5xx, unreadable 200. Never unchanged: 400, 402, 403, 404. Stop all: 401.

    `after_lost`: the SDK repeated a request whose answer was lost, and this is how the repeat ended.
    """
    status = error.http_status
    code = _code(error)
    message = f"Stripe, {step}: {error.user_message or code or status}"
    if isinstance(error, stripe.APIConnectionError):
        return Transient(f"Stripe did not answer ({step})", unknown=writes)
    if status == 401:
        # Stripe's own sentence repeats a part of the key.
        hint = "Replace the connection's api_key; no delivery of this account can work before."
        return Terminal("AUTHENTICATION", "Stripe does not accept the API key.", hint=hint, stop_connection=True)
    if status == 429 or status == 409:
        # 409: an earlier request with our key is still under way.
        return Transient(message, wait=wait_from(error.headers or {}), unknown=writes and (after_lost or status == 409))
    if status is not None and status >= 500:
        return ServerError(message, wait=wait_from(error.headers or {}), unknown=writes)
    if status in (400, 402, 403, 404):
        hint = _HINTS.get(code, "Correct what Stripe names and retry; a repeat without a change will not help.")
        return Terminal(code.upper(), message, hint=hint)
    # A 200 that is not JSON: something between us and Stripe answered, or the answer was cut.
    return Transient(f"Stripe's answer cannot be read ({step}, {status})", unknown=writes)


def _code(error: stripe.StripeError) -> str:
    """The code of the body: `error.code` itself is None on rate limits (SDK 16.1, measured)."""
    inner = member(error.json_body, "error")
    named = (member(inner, "code"), member(inner, "type"), error.code)
    return str(next((name for name in named if name), "rejected"))


def checked(answer: object) -> stripe.Invoice:
    """The invoice of a 200, once it proves to be one: the SDK also passes `{}` and `{"error": …}` (measured)."""
    whole = isinstance(answer, stripe.Invoice) and str(getattr(answer, "id", "")).startswith("in_")
    if not whole or not isinstance(getattr(answer, "total", None), int) or not getattr(answer, "status", None):
        raise Transient("Stripe answered 200 without an invoice in it", unknown=True)
    return cast("stripe.Invoice", answer)


async def all_invoices(client: stripe.StripeClient, filters: dict[str, Any]) -> list[stripe.Invoice]:
    """Every page of a filtered invoice list, newest first. `Terminal` past the bound, since half a look-up is none."""
    pages = every_page("list", client.v1.invoices.list_async, filters, most=MAX_PAGES)
    return [checked(invoice) async for invoice in pages]


async def all_events(client: stripe.StripeClient, filters: dict[str, Any]) -> list[Notification]:
    """Every page of a filtered list of events, newest first."""
    pages = every_page("events", client.v1.events.list_async, filters, most=MAX_EVENT_PAGES)
    return [notification(event.to_dict()) async for event in pages]


async def every_page(
    step: str, fetch: Callable[[Any], Awaitable[Any]], filters: dict[str, Any], *, most: int
) -> AsyncIterator[Any]:
    """The items of a list page by page. `Terminal` past the bound, `Transient` for a 200 that is no list."""
    parameters: Any = {"limit": 100, **filters}
    for _ in range(most):
        page = await call(step, fetch(parameters), writes=False)
        if not isinstance(getattr(page, "data", None), list):
            raise Transient("Stripe answered 200 without a list in it")
        for item in page.data:
            yield item
        if not page.has_more:
            return
        parameters = {**parameters, "starting_after": page.data[-1].id}
    raise Terminal("TOO_MANY", f"More than {most * 100} match ({step}).", hint="Ask for a shorter time, or archive.")


def metadata_of(item: object, key: str) -> str | None:
    """One metadata value, or None."""
    metadata = getattr(item, "metadata", None)
    return None if metadata is None else cast("dict[str, str]", metadata.to_dict()).get(key)


def instant_of(seconds: int | None) -> datetime | None:
    """Unix seconds as an instant."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def verified_notice(
    headers: Mapping[str, str], body: bytes, *, secrets: Sequence[Secret], now: datetime
) -> Notification:
    """Verify `Stripe-Signature` over the raw body, then read the notice.

    Any secret and any v1 value may match (rotation). The time may be 300 s off in either direction; the SDK checks the
    past only, and by the wall clock. `Terminal` SIGNATURE otherwise. Source: docs.stripe.com/webhooks, November 2026.
    """
    header = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamp = next((v for name, _, v in pairs if name == "t" and v.isascii() and v.isdecimal() and len(v) < 12), None)
    if stamp is None:
        raise Terminal("SIGNATURE", "The Stripe-Signature header has no time.")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
        raise Terminal("SIGNATURE", "The notice was signed too long ago, or in the future.")
    signed = stamp.encode() + b"." + body
    ours = [hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    theirs = [value.encode() for name, _, value in pairs if name == "v1"]
    if not any(hmac.compare_digest(mine.encode(), other) for mine in ours for other in theirs):
        raise Terminal("SIGNATURE", "No signature of the notice matches a webhook secret of this connection.")
    return _notice(body)


def _notice(body: bytes) -> Notification:
    """The notice in a verified body."""
    try:
        return notification(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise Terminal("BAD_NOTICE", "The body of the notice is not JSON.") from error


def notification(event: Any) -> Notification:
    """A snapshot or a thin event, of whatever API version; kinds that concern no invoice have no reference.

    Versions differ in the object, so only what all of them have is read: its id, its metadata, the invoice it names.
    """
    try:
        kind, created = str(event["type"]), event["created"]
        # Thin events write an RFC 3339 time and name a related object; snapshots write seconds and carry the object.
        occurred = datetime.fromisoformat(created) if isinstance(created, str) else datetime.fromtimestamp(created, UTC)
        subject: Any = event["related_object"] if event.get("related_object") else event["data"]["object"]
        named: list[Any] = [subject.get("id"), subject.get("invoice")]
        identifier = str(event["id"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise Terminal("BAD_NOTICE", "The body of the notice is not a Stripe event.") from error
    if occurred.tzinfo is None or not _EVENT_ID.fullmatch(identifier):
        raise Terminal("BAD_NOTICE", "The event has no id or no time that could be kept.")
    invoice = next((name for name in named if isinstance(name, str) and name.startswith("in_")), None)
    metadata = member(subject, "metadata")
    reference = member(metadata, INVOICE_KEY)
    shows_invoice = member(subject, "object") == "invoice" and isinstance(metadata, dict)
    return Notification(
        event_id=identifier,
        kind=kind.removeprefix("v1."),
        occurred_at=occurred,
        provider_reference=invoice,
        reference=reference if isinstance(reference, str) else None,
        is_foreign=shows_invoice and not isinstance(reference, str),
        payload={"apiVersion": str(event.get("api_version"))[:64]} if event.get("api_version") else {},
    )
