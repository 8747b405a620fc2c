"""`POST /v1/events`: usage over plain HTTP, in JSON or as CloudEvents.

Owns the route: its body limit, its answers, its idempotency key. Checking and storing are the usage slice's, the same
as for GraphQL and files. A refused batch names every bad event; nothing of it is stored.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.access import idempotency
from app.actor import Actor
from app.clock import Clock
from app.door import HttpDoor
from app.errors import BillingError, ErrorCode, InvalidInput, LimitExceeded, NotPermitted
from app.graphql.errors import ApiError
from app.settings import Settings
from app.store.engine import Store
from app.usage.checking import BatchRefused
from app.usage.incoming import decode
from app.usage.service import IngestResult, ingest
from app.web_bodies import bounded_body

MAX_BODY = 8 * 1024 * 1024
MAX_KEY = 255
SCOPE = "usage:write"
HISTORY_SCOPE = "admin"


def usage_routes(settings: Settings, store: Store, clock: Clock) -> list[BaseRoute]:
    """The ingest route on an open store."""
    door = HttpDoor(settings)

    async def events(request: Request) -> Response:
        try:
            authenticate = door.authenticator(request)
            body = await _whole_body(request)
            key = _idempotency_key(request)
            async with store.transaction() as session:
                now = clock.now()
                actor = await authenticate(session, now)
                return await _answered(session, request, actor, body, key=key, now=now)
        except ApiError as error:
            return _refusal(error.status, [{"code": str((error.extensions or {})["code"]), "message": error.message}])
        except BatchRefused as refused:
            return _refusal(refused.status, [_problem(item) for item in refused.problems])
        except BillingError as error:
            return _refusal(error.status, [{"code": str(error.code), "message": error.message}])

    return [Route("/v1/events", events, methods=["POST"])]


async def _answered(
    session: AsyncSession, request: Request, actor: Actor, body: bytes, *, key: str | None, now: Any
) -> Response:
    if not actor.may(SCOPE):
        raise NotPermitted(ErrorCode.NOT_PERMITTED, f"This key lacks the scope '{SCOPE}'.")
    historical = request.query_params.get("allowHistorical") == "true"
    if historical and not actor.may(HISTORY_SCOPE):
        raise NotPermitted(ErrorCode.NOT_PERMITTED, f"allowHistorical needs the scope '{HISTORY_SCOPE}'.")
    fingerprint = hashlib.sha256(b"\0".join((request.url.query.encode(), body))).hexdigest()
    assert actor.key_id is not None, "callers over HTTP have a key"
    if key is not None:
        stored = await idempotency.begin(session, key_id=actor.key_id, key=key, fingerprint=fingerprint, now=now)
        if stored is not None:
            headers = {"Content-Type": stored.media_type, "Idempotency-Replayed": "true"}
            return Response(stored.body, stored.status, headers=headers)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    found = await ingest(
        session, decode(body, media_type=media_type), actor=actor, now=now, source="http", allow_historical=historical
    )
    answer = orjson.dumps(_result(found))
    if key is not None:
        await idempotency.finish(
            session,
            key_id=actor.key_id,
            key=key,
            fingerprint=fingerprint,
            status=HTTPStatus.OK,
            media_type="application/json",
            body=answer,
            now=now,
        )
    return Response(answer, media_type="application/json")


def _result(found: IngestResult) -> dict[str, Any]:
    return {
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "conflicts": [
            {"index": item.index, "transactionId": item.transaction_id, "message": item.message}
            for item in found.conflicts
        ],
    }


async def _whole_body(request: Request) -> bytes:
    """The body; one that is encoded or too long is refused."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise InvalidInput(ErrorCode.INVALID, "Content-Encoding is not understood; send the body as it is.")
    body = await bounded_body(request, at_most=MAX_BODY)
    if body is None:
        raise LimitExceeded(ErrorCode.LIMIT_EXCEEDED, f"The body is larger than {MAX_BODY} bytes; split the batch.")
    return body


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidInput(ErrorCode.INVALID, f"Idempotency-Key takes 1 to {MAX_KEY} printable ASCII characters.")
    return key


def _problem(problem: Any) -> dict[str, Any]:
    return {"index": problem.index, "code": str(problem.code), "message": problem.message}


def _refusal(status: int, errors: list[dict[str, Any]]) -> Response:
    headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps({"errors": errors}), status, headers=headers, media_type="application/json")
