"""Signatures of what connectors send, with secrets that no log shows.

Owns the way from a `Secret` to its key; the form of secrets and headers is that of all messages that we sign, in
`app/core/signing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.core import signing
from connectors.http import Secret

LIKE = signing.LIKE


def key_of(secret: Secret) -> bytes | None:
    """The key in a secret, or None when it is not written as one."""
    return signing.key_of(secret.reveal())


def signed(body: bytes, *, message_id: str, now: datetime, secrets: Sequence[Secret]) -> dict[str, str]:
    """The headers of a message, with a signature for each secret."""
    keys = [key_of(secret) for secret in secrets]
    assert all(keys), "secrets are checked when settings are read"
    return signing.signed(body, message_id=message_id, now=now, keys=[key for key in keys if key])
