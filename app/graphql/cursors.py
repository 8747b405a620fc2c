"""Cursors: the opaque text of a position in a sorted list.

Owns their form. A cursor carries the sort values of its row and a checksum over them and the order, so that a cursor of
another list, or one made up, is refused in plain words instead of meeting the database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.money import canonical
from app.errors import ErrorCode, InvalidInput

CHECK_BYTES = 9
MAX_CURSOR = 2_000


def write_cursor(values: Sequence[Any], *, order: str) -> str:
    """The opaque text of a position."""
    body = json.dumps([_out(value) for value in values], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(body, order) + body).rstrip(b"=").decode()


def read_cursor(cursor: str, *, order: str, size: int) -> list[Any]:
    """The position that a cursor of this order names; InvalidInput for any other text."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        check, body = raw[:CHECK_BYTES], raw[CHECK_BYTES:]
        if len(cursor) <= MAX_CURSOR and hmac.compare_digest(check, _check(body, order)):
            values = [_in(value) for value in json.loads(body)]
            if len(values) == size:
                return values
    except (binascii.Error, ValueError):
        pass
    raise InvalidInput(
        ErrorCode.INVALID, "after is not a cursor of this list; pass an endCursor of it.", path=("after",)
    )


def _check(body: bytes, order: str) -> bytes:
    return hashlib.blake2b(body, digest_size=CHECK_BYTES, key=b"metrograph cursor", salt=_salt(order)).digest()


def _salt(order: str) -> bytes:
    return hashlib.blake2b(order.encode(), digest_size=16).digest()


def _out(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, UUID):
        return {"u": value.hex}
    if isinstance(value, Decimal):
        return {"d": canonical(value)}
    assert isinstance(value, (str, int)), f"{type(value).__name__} cannot be in a cursor"
    return value


def _in(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, text)] = value.items()
    return {"t": datetime.fromisoformat, "u": lambda digits: UUID(hex=digits), "d": Decimal}[kind](text)
