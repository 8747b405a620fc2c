"""`/marketplace/aws/{connection}/register` and `/marketplace/azure/{connection}/landing`: where a buyer arrives.

Owns the routes: the token that is redeemed, the form that asks who the buyer is, and what is said when it fails. A token
is neither logged nor kept. The form carries a ticket, signed here, for the subscription that was just seen.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import parse_qs
from uuid import UUID

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from app.clock import Clock
from app.delivery import matching
from app.delivery.inbound import Place
from app.delivery.marketplaces import arrive
from app.delivery.registry import Connections
from app.delivery.tables import MarketplaceSubscription
from app.errors import BillingError
from app.pages.arrival import POLICY, QUESTIONS, page
from app.settings import Settings
from app.store import ids
from app.store.engine import Store
from app.web_bodies import bounded_body
from connectors.base import Terminal, Transient
from connectors.subscriptions import SubscriptionState

MAX_BODY, MAX_TOKEN = 32 * 1024, 8 * 1024
TICKET_LIFE = timedelta(hours=2)
AWS, AZURE = "aws_marketplace", "azure_marketplace"
TOKENS = {AWS: "x-amzn-marketplace-token", AZURE: "token"}
"""Where each marketplace puts its token: AWS posts it, Azure has it in the address."""
NAMES = {AWS: "AWS Marketplace", AZURE: "Microsoft Marketplace"}

log = structlog.get_logger("metrograph.marketplaces")


class Arrivals:
    """The two pages of one deployment."""

    def __init__(self, settings: Settings, place: Place) -> None:
        self._seller = settings.seller_name
        self._place = place
        # Without a key of the deployment (a sandbox) tickets are good as long as this process lives.
        self._key = hashlib.sha256(b"arrival\0" + (settings.secret_key or secrets.token_hex()).encode()).digest()

    def route(self, path: str, provider: str) -> Route:
        """The route of one marketplace."""

        async def endpoint(request: Request) -> Response:
            connection = self._place.connections.find(request.path_params["connection"])
            if connection is None or connection.provider != provider:
                return self._page(HTTPStatus.NOT_FOUND, "There is no such page", ["Check the address."], is_bad=True)
            form = await _form(request)
            if form is None:
                text = "What was sent cannot be read. Go back to the marketplace and choose to set up your account."
                return self._page(HTTPStatus.BAD_REQUEST, "That did not work", [text], is_bad=True)
            if form.get("ticket"):
                return await self._answered(form)
            token = form.get(TOKENS[provider], "")
            if provider == AZURE and not token:
                # A plus sign that nobody escaped arrives as a blank; tokens have none.
                token = request.query_params.get("token", "").replace(" ", "+")
            return await self._arrived(provider, connection.name, token)

        return Route(path, endpoint, methods=["GET", "POST"])

    async def _arrived(self, provider: str, name: str, token: str) -> Response:
        connection = self._place.connections.find(name)
        assert connection is not None, "the route has looked"
        stale = [
            f"Go back to {NAMES[provider]}, open your subscription there, and choose to set up your account.",
            "The link from there is good for a short time, and only from there.",
        ]
        if not token or len(token) > MAX_TOKEN:
            return self._page(HTTPStatus.BAD_REQUEST, "Start from your marketplace", stale)
        try:
            row = await arrive(self._place, connection, token)
        except (Terminal, Transient, BillingError) as failure:
            if isinstance(failure, Terminal) and failure.code == "INVALID_TOKEN":
                return self._page(HTTPStatus.BAD_REQUEST, "This link is no longer good", stale, is_bad=True)
            log.warning("a buyer could not be welcomed", connection=name, reason=failure.message)
            text = "We cannot reach the marketplace just now. Your purchase is safe. Try again in a few minutes."
            return self._page(HTTPStatus.SERVICE_UNAVAILABLE, "Please try again", [text], is_bad=True)
        return self._welcome(provider, row)

    def _welcome(self, provider: str, row: MarketplaceSubscription) -> Response:
        """What was bought, and the form when nobody knows yet who bought it."""
        facts = [
            ("Bought at", NAMES[provider]),
            ("Offer", row.offer),
            ("Plan", row.plan),
            ("Quantity", row.quantity),
            ("Reference", ids.to_text("marketplace_subscription", row.id)),
        ]
        if row.state == SubscriptionState.ENDED:
            text = "If you want to use it again, subscribe anew at the marketplace."
            return self._page(HTTPStatus.OK, "This subscription has ended", [text], facts=facts)
        if row.customer_id is not None:
            text = "Your subscription is connected with your account. There is nothing left to do here."
            return self._page(HTTPStatus.OK, "You are all set", [text], facts=facts)
        text = "Thank you for your purchase. We connect it with your account and get in touch with you."
        ticket = self._ticket(row.id)
        return self._page(HTTPStatus.OK, "Welcome", [text], facts=facts, ticket=ticket)

    async def _answered(self, form: dict[str, str]) -> Response:
        subscription_id = self._redeemed(form["ticket"])
        contact = {item.name: form.get(item.name, "").strip()[:200] for item in QUESTIONS}
        missing = [item.label for item in QUESTIONS if not item.is_optional and not contact[item.name]]
        if subscription_id is None or missing or "@" not in contact["email"]:
            text = "Open the link of the marketplace again, and fill in company, name and email."
            return self._page(HTTPStatus.BAD_REQUEST, "That did not work", [text], is_bad=True)
        try:
            async with self._place.store.transaction() as session:
                await matching.give_contact(session, subscription_id, contact, now=self._place.clock())
        except BillingError:
            return self._page(HTTPStatus.SERVICE_UNAVAILABLE, "Please try again", ["In a few minutes."], is_bad=True)
        facts = [("Reference", ids.to_text("marketplace_subscription", subscription_id))]
        return self._page(HTTPStatus.OK, "Thank you", ["We have what we need and get in touch soon."], facts=facts)

    def _ticket(self, subscription_id: UUID) -> str:
        text = f"{subscription_id.hex}.{int((self._place.clock() + TICKET_LIFE).timestamp())}"
        return f"{text}.{self._signature(text)}"

    def _redeemed(self, ticket: str) -> UUID | None:
        """The subscription of a ticket of ours that is still good."""
        text, _, signature = ticket[:300].rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        digits, _, end = text.partition(".")
        return UUID(hex=digits) if datetime.fromtimestamp(int(end), UTC) > self._place.clock() else None

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _page(self, status: HTTPStatus, title: str, paragraphs: list[str], **more: object) -> Response:
        headers = {"Content-Security-Policy": POLICY}
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = "60"
        return HTMLResponse(page(self._seller, title, paragraphs, **more), int(status), headers)  # type: ignore[arg-type]


def marketplace_routes(settings: Settings, store: Store, clock: Clock, connections: Connections) -> list[BaseRoute]:
    """The routes on an open store. They take no API key: a buyer proves itself by its token."""
    arrivals = Arrivals(settings, Place(store, connections, clock.now))
    return [
        arrivals.route("/marketplace/aws/{connection}/register", AWS),
        arrivals.route("/marketplace/azure/{connection}/landing", AZURE),
    ]


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a posted form, the first of each; empty for GET, None when it is too long or no form."""
    try:
        body = await bounded_body(request, at_most=MAX_BODY)
        if body is None:
            return None
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except (ClientDisconnect, UnicodeDecodeError, ValueError):
        return None
    return {name: values[0] for name, values in found.items()}
