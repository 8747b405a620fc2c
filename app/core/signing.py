"""Signatures of what we send: Standard Webhooks, symmetric (standardwebhooks.com, specification of November 2026).

Owns the three headers and the form of a secret. Every message carries its own id, by which receivers tell repeats, and
one signature for each secret in force, so that a secret can be rotated without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
LIKE = f"{PREFIX} and 24 to 64 bytes in base64"


def secret_text(key: bytes) -> str:
    """A key as receivers are told it."""
    assert 24 <= len(key) <= 64, "keys have 24 to 64 bytes"
    return PREFIX + base64.b64encode(key).decode()


def key_of(text: str) -> bytes | None:
    """The key in a secret, or None when it is not written as `whsec_` and 24 to 64 bytes in base64."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if text.startswith(PREFIX) and 24 <= len(key) <= 64 else None


def signed(body: bytes, *, message_id: str, now: datetime, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers of a message: id, Unix seconds, and `v1,` signatures, newest key first and blanks between them.

    What is signed is id, seconds and body with full stops between them.
    """
    seconds = str(int(now.timestamp()))
    content = f"{message_id}.{seconds}.".encode() + body
    headers = {ID: message_id, TIMESTAMP: seconds}
    if keys:
        headers[SIGNATURE] = " ".join(f"v1,{_signature(key, content)}" for key in keys)
    return headers


def _signature(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
