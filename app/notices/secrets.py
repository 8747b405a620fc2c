"""The secrets by which receivers know us: made here, told once, stored sealed.

Owns the sealing, with a key that is derived from METROGRAPH_SECRET_KEY; a copy of the database alone signs nothing.
"""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.core.signing import key_of, secret_text
from app.errors import ErrorCode, Unavailable
from app.notices.tables import WebhookEndpoint
from app.settings import Settings

KEY_BYTES, NONCE_BYTES = 32, 12


class Unreadable(Exception):
    """A secret was sealed under another METROGRAPH_SECRET_KEY, or there is none."""


def new_secret() -> str:
    """A fresh secret, `whsec_` and 32 random bytes."""
    return secret_text(os.urandom(KEY_BYTES))


def sealed(secret: str, settings: Settings) -> str:
    """The secret as it is stored. Error: `Unavailable` without METROGRAPH_SECRET_KEY, outside a sandbox."""
    cipher, nonce = _cipher(settings), os.urandom(NONCE_BYTES)
    if cipher is None:
        raise Unavailable(ErrorCode.UNAVAILABLE, "METROGRAPH_SECRET_KEY is not set, so no secret can be stored.")
    return base64.b64encode(nonce + cipher.encrypt(nonce, secret.encode(), None)).decode()


def opened(stored: str, settings: Settings) -> str:
    """The secret that was stored. Error: `Unreadable`."""
    raw, cipher = base64.b64decode(stored), _cipher(settings)
    if cipher is None:
        raise Unreadable
    try:
        return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None).decode()
    except InvalidTag as error:
        raise Unreadable from error


def keys_of(row: WebhookEndpoint, settings: Settings, *, now: datetime) -> list[bytes]:
    """The keys in force, newest first: two while the endpoint rotates. Error: `Unreadable`."""
    stored = [row.sealed_secret]
    if row.sealed_previous is not None and row.previous_until is not None and now < row.previous_until:
        stored.append(row.sealed_previous)
    found = [key_of(opened(text, settings)) for text in stored]
    assert all(found), "what was stored is a secret"
    return [key for key in found if key is not None]


def _cipher(settings: Settings) -> AESGCM | None:
    # Only a sandbox may be without a key of its own; what it keeps is for trying things out.
    secret_key = settings.secret_key or ("sandbox" if settings.is_sandbox else None)
    if secret_key is None:
        return None
    return AESGCM(hashlib.sha256(b"webhook secrets\0" + secret_key.encode()).digest())
