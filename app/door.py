"""Who may come in over HTTP, for every route alike: keys, addresses, idempotency keys.

Owns the wiring between requests and the access slice; GraphQL and `/v1/events` share it, so a key means the same at
both. Scopes are checked by the fields and routes themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from app.access import callers, idempotency
from app.actor import Actor
from app.errors import Conflict
from app.graphql.answers import Stored
from app.graphql.context import Authenticate, Context
from app.graphql.errors import ApiError, unauthenticated
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """Reads callers and idempotency keys from requests."""

    settings: Settings

    def authenticator(self, connection: HTTPConnection, *, authorization: str | None = None) -> Authenticate:
        """How to find the caller of a request in a transaction. UNAUTHENTICATED at once when it carries no key."""
        secret = callers.bearer(connection.headers.get("authorization") or authorization)
        if secret is None:
            raise unauthenticated("Send an API key: Authorization: Bearer <key>.")
        address = callers.client_address(
            connection.client.host if connection.client else None,
            connection.headers.getlist("x-forwarded-for"),
            trusted_proxies=self.settings.trusted_proxies,
        )

        async def authenticate(session: AsyncSession, now: datetime) -> Actor:
            actor = await callers.identify(
                session,
                secret,
                now=now,
                bootstrap=self.settings.bootstrap_key,
                ip_address=address,
                user_agent=connection.headers.get("user-agent"),
                request_id=request_id(connection),
            )
            if actor is None:
                raise unauthenticated("The API key is unknown, expired or revoked.")
            return actor

        return authenticate

    async def recall(self, context: Context, key: str, fingerprint: str) -> Stored | None:
        """The stored answer of a caller's idempotency key. 409 when it belongs to another request or is in use."""
        assert context.actor.key_id is not None
        try:
            found = await idempotency.begin(
                context.session, key_id=context.actor.key_id, key=key, fingerprint=fingerprint, now=context.now
            )
        except Conflict as error:
            raise ApiError(str(error.code), error.message, status=HTTPStatus.CONFLICT) from error
        return None if found is None else Stored(found.status, found.media_type, found.body)

    async def keep(self, context: Context, key: str, fingerprint: str, answer: Stored) -> None:
        """Keep an answer in the transaction that made it true."""
        assert context.actor.key_id is not None
        await idempotency.finish(
            context.session,
            key_id=context.actor.key_id,
            key=key,
            fingerprint=fingerprint,
            status=answer.status,
            media_type=answer.media_type,
            body=answer.body,
            now=context.now,
        )


def request_id(connection: HTTPConnection) -> str:
    """The id that the middleware gave this request."""
    return str(connection.scope.get("state", {}).get("request_id", ""))
