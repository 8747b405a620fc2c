"""Media types of the GraphQL endpoint: which one answers, and what counts as a JSON request.

Owns the reading of `Accept` and `Content-Type` and the form of a server-sent event; nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

GRAPHQL_RESPONSE = "application/graphql-response+json"
PLAIN_JSON = "application/json"
EVENT_STREAM = "text/event-stream"
ANY = "*/*"
OFFERED = (GRAPHQL_RESPONSE, PLAIN_JSON, EVENT_STREAM)
"""In our order of preference."""


def choose(accept: str | None) -> str | None:
    """The media type to answer with, ANY when the caller leaves it to us, or None when none of ours is accepted."""
    if accept is None or not accept.strip() or accept.strip() == ANY:
        return ANY
    ranges = [_range(part) for part in accept[:1000].split(",")]
    best: tuple[float, int] | None = None
    for position, offered in enumerate(OFFERED):
        # The most specific range decides about a type; an event stream must be named, a wildcard does not mean it.
        matching = [
            (name.count("*"), -quality)
            for name, quality in ranges
            if name == offered or (name in ("*/*", "application/*") and offered != EVENT_STREAM)
        ]
        if not matching:
            continue
        quality = -min(matching)[1]
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, position)
    return None if best is None else OFFERED[best[1]]


def takes_events(accept: str | None) -> bool:
    """Whether a caller names event streams among what it takes, in whatever order."""
    return any(name == EVENT_STREAM and quality > 0 for name, quality in map(_range, (accept or "")[:1000].split(",")))


def settle(accepted: str, *, executed: bool) -> str:
    """The media type of one answer. Where the choice is ours, an answer with data is plain JSON; a refused request is
    `application/graphql-response+json`, under which its status code may tell the truth.
    """
    if accepted == ANY:
        return PLAIN_JSON if executed else GRAPHQL_RESPONSE
    return GRAPHQL_RESPONSE if accepted == EVENT_STREAM and not executed else accepted


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return name, 0.0
    return name, 1.0


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether a request carries plain JSON in UTF-8. Simple forms of browsers are not JSON, so they are refused."""
    name, *parameters = (piece.strip().lower() for piece in headers.get("content-type", "").split(";"))
    charset = [parameter for parameter in parameters if parameter.startswith("charset=")]
    encoding = headers.get("content-encoding", "identity").strip().lower()
    return (
        name == PLAIN_JSON
        and all(parameter[8:].strip('"') in {"utf-8", "utf8"} for parameter in charset)
        and encoding in {"", "identity"}
    )


def as_events(body: bytes) -> bytes:
    """One answer as a stream of server-sent events in distinct-connections mode: the result, then the end."""
    return as_event(body) + LAST_EVENT


def as_event(body: bytes) -> bytes:
    """One result of a stream."""
    return b"event: next\ndata: " + body + b"\n\n"


LAST_EVENT = b"event: complete\ndata:\n\n"
STILL_THERE = b":\n\n"
"""A comment, which clients pass over and proxies take for life."""
