"""Top-level GraphQL errors: the few that are not `userErrors`, and the mask over everything unknown.

Owns the closed list of `extensions.code`. Callers' mistakes inside a mutation become `userErrors` in `fields.py`;
here is what stands outside a payload: authentication, permission, bad documents, limits and faults. The words of an
unknown exception are logged with the request id and never sent.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError

from app.errors import BillingError, InvalidInput, LimitExceeded, NotFound, NotPermitted, Unavailable
from app.store.engine import BUSY, GONE

log = structlog.get_logger("metrograph.graphql")


class Code(StrEnum):
    """`extensions.code` of a top-level error."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BAD_REQUEST = "BAD_REQUEST"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class ApiError(GraphQLError):
    """An error whose message is ours and may be shown. `status` is the HTTP status when nothing was executed."""

    def __init__(
        self, code: Code | str, message: str, *, status: int = HTTPStatus.BAD_REQUEST, **extensions: Any
    ) -> None:
        super().__init__(message, extensions={"code": str(code), **extensions})
        self.status = status


FAMILIES: tuple[tuple[type[BillingError], Code], ...] = (
    (NotPermitted, Code.FORBIDDEN),
    (NotFound, Code.NOT_FOUND),
    (InvalidInput, Code.BAD_USER_INPUT),
    (LimitExceeded, Code.LIMIT_EXCEEDED),
    (Unavailable, Code.UNAVAILABLE),
    (BillingError, Code.CONFLICT),
)
"""Family of a BillingError raised outside a mutation -> top-level code; the first that fits."""


def forbidden(scope: str) -> ApiError:
    """The key is known and lacks this scope."""
    return ApiError(
        Code.FORBIDDEN, f"This key lacks the scope '{scope}'.", status=HTTPStatus.FORBIDDEN, requiredScope=scope
    )


def unauthenticated(message: str) -> ApiError:
    """No key, or one that does not count."""
    return ApiError(Code.UNAUTHENTICATED, message, status=HTTPStatus.UNAUTHORIZED)


def retryable(error: BaseException) -> bool:
    """True when the database ended the transaction for the sake of others: the same work may pass at once."""
    cause = _cause(error) if isinstance(error, GraphQLError) else error
    if isinstance(cause, DBAPIError):
        cause = cause.orig
    return isinstance(cause, (pg.DeadlockDetected, pg.SerializationFailure))


def is_outage(error: GraphQLError) -> bool:
    """True when the database is busy or gone: nothing is wrong with the request."""
    cause = _cause(error)
    if isinstance(cause, DBAPIError):
        cause = cause.orig
    return isinstance(cause, (Unavailable, *BUSY, *GONE))


def public(error: GraphQLError, *, request_id: str) -> dict[str, Any]:
    """An error as it is sent: ours with its code, library errors about the document as they are, faults masked."""
    cause = _cause(error)
    found: dict[str, Any] = {}
    if isinstance(cause, BillingError):
        code = next(code for family, code in FAMILIES if isinstance(cause, family))
        found = {"message": cause.message, "extensions": {"code": str(code), "reason": str(cause.code)}}
        if cause.path:
            found["extensions"]["argument"] = list(cause.path)
    elif is_outage(error):
        log.warning("the database is busy or gone", request_id=request_id, exc_info=cause)
        found = {"message": "The database is busy or restarting; nothing was changed, try again.",
                 "extensions": {"code": str(Code.UNAVAILABLE)}}  # fmt: skip
    elif cause is not None and not isinstance(cause, GraphQLError):
        log.error("fault in a resolver", request_id=request_id, path=error.path, exc_info=cause)
        found = {"message": f"Something went wrong on our side; the request id is {request_id}.",
                 "extensions": {"code": str(Code.INTERNAL)}}  # fmt: skip
    else:
        shown = cause or error
        extensions = dict(shown.extensions or error.extensions or {})
        extensions.setdefault("code", str(_document_code(error)))
        found = {"message": error.message[:1000], "extensions": extensions}
    found["extensions"]["requestId"] = request_id
    if error.locations:
        found["locations"] = [{"line": spot.line, "column": spot.column} for spot in error.locations]
    if error.path is not None:
        found["path"] = list(error.path)
    return found


def _document_code(error: GraphQLError) -> Code:
    if isinstance(error, GraphQLSyntaxError):
        return Code.PARSE_FAILED
    # Without a path nothing ran: the document or the variables are wrong. With one, an argument was.
    return Code.BAD_USER_INPUT if error.path or "ariable" in error.message else Code.VALIDATION_FAILED


def _cause(error: GraphQLError) -> BaseException | None:
    """The exception below the wrappers that the executor puts around it."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause
