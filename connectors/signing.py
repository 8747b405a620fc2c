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

from connectors.http import Secret

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
LIKE = f"{PREFIX} and 24 to 64 bytes in base64"


def key_of(secret: Secret) -> bytes | None:
    """The key in a secret, or None when it is not written as `whsec_` and 24 to 64 bytes in base64."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if text.startswith(PREFIX) and 24 <= len(key) <= 64 else None


def signed(body: bytes, *, message_id: str, now: datetime, secrets: Sequence[Secret]) -> dict[str, str]:
    """The headers of a message: id, Unix seconds, and `v1,` signatures, newest secret first and blanks between them.

    What is signed is id, seconds and body with full stops between them.
    """
    seconds = str(int(now.timestamp()))
    content = f"{message_id}.{seconds}.".encode() + body
    headers = {ID: message_id, TIMESTAMP: seconds}
    if secrets:
        headers[SIGNATURE] = " ".join(f"v1,{_signature(secret, content)}" for secret in secrets)
    return headers


def _signature(secret: Secret, content: bytes) -> str:
    key = key_of(secret)
    assert key is not None, "secrets are checked when settings are read"
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
