"""The bearer tokens that Microsoft's marketplace puts on its notices: who signed them, and for whom.

Owns the check of one token and the signing keys of one tenant. Leaves the notice to the connector; a good token proves
the sender only, so the operation is read back as well. Source: Partner Center, "Implementing a webhook on the SaaS
service", and Entra's access tokens reference, November 2026.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import jwt

from connectors.base import Clock, Terminal, Transient
from connectors.http import log, member, members

MARKETPLACE = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7"
"""The application that Microsoft's marketplace calls as."""
LEEWAY = timedelta(minutes=2)
REFRESH = timedelta(hours=24)
"""A key that Entra has withdrawn is believed no longer than this."""
PAUSE = timedelta(minutes=5)
"""An unknown key id is asked about this often at most, so that forged tokens make no load at Entra."""
AFTER_FAILURE = timedelta(seconds=10)
"""How long keys that could not be had are not asked for again; meanwhile notices are sent back to come later."""


class EntraTokens:
    """Checks tokens for one application of one tenant. Synchronous: a caller on an event loop uses a thread."""

    def __init__(self, *, openid_base: str, tenant_id: str, client_id: str, clock: Clock, timeout_seconds: int) -> None:
        self._openid_base = openid_base.rstrip("/")
        self._tenant_id = tenant_id.lower()
        self._client_id = client_id.lower()
        self._clock = clock
        self._timeout = timeout_seconds
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: datetime | None = None
        self._failed_at: datetime | None = None
        self._lock = threading.Lock()

    def verify(self, authorization: str) -> Mapping[str, Any]:
        """The claims of `Bearer <token>`.

        Rule: RS256 by a current key of the tenant; our audience and tenant; one of the tenant's two issuers, by the
        token's version; called by the marketplace's application; now within nbf and exp. Errors: Terminal
        INVALID_TOKEN, Transient when the keys cannot be had.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _forged("the notice carries no bearer token")
        try:
            header = jwt.get_unverified_header(token)
            # Told before any key is looked for: with `none` and HS256 the token would choose how it is checked.
            if header.get("alg") != "RS256":
                raise _forged("the token is not signed with RS256")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(str(header.get("kid") or "")),
                algorithms=["RS256"],
                # Times are compared with our own clock below, the rest with what this connection is.
                options={
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
                    "require": ["exp", "nbf", "aud", "iss", "tid"],
                },
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise _forged(f"the token cannot be believed ({type(error).__name__})") from error
        self._check(claims)
        return claims

    def _check(self, claims: Mapping[str, Any]) -> None:
        tenant = self._tenant_id
        # By the version of the token; Entra writes the caller as `appid` in the first and as `azp` in the second.
        issuer, caller = {
            "1.0": (f"https://sts.windows.net/{tenant}/", "appid"),
            "2.0": (f"https://login.microsoftonline.com/{tenant}/v2.0", "azp"),
        }.get(str(claims.get("ver")), ("", ""))
        now = self._clock()
        faults = (
            (not issuer, "the token is of no known version"),
            (str(claims["iss"]).lower() != issuer, "the token is of another issuer"),
            (str(claims["tid"]).lower() != tenant, "the token is of another tenant"),
            (str(claims["aud"]).lower() != self._client_id, "the token is for another application"),
            (str(claims.get(caller)).lower() != MARKETPLACE, "the token was not made for the marketplace"),
            (_instant(claims["nbf"]) > now + LEEWAY, "the token is not valid yet"),
            (_instant(claims["exp"]) <= now - LEEWAY, "the token has expired"),
        )
        for is_fault, reason in faults:
            if is_fault:
                raise _forged(reason)

    def _key(self, kid: str) -> jwt.PyJWK:
        with self._lock:
            now, age = self._clock(), None
            if self._fetched_at is not None:
                age = now - self._fetched_at
            is_due = age is None or age >= REFRESH or (kid not in self._keys and age >= PAUSE)
            if is_due:
                self._refresh(now)
            if kid not in self._keys:
                raise _forged("the token names a key that the tenant does not have")
            return self._keys[kid]

    def _refresh(self, now: datetime) -> None:
        if self._failed_at is not None and now - self._failed_at < AFTER_FAILURE:
            raise Transient("Entra's keys could not be read a moment ago")
        try:
            self._keys, self._fetched_at, self._failed_at = self._fetch(), now, None
        except Transient:
            self._failed_at = now
            raise

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        """The tenant's signing keys, by key id; found through its discovery document."""
        with httpx.Client(timeout=self._timeout, follow_redirects=False) as client:
            document = _read(client, f"{self._openid_base}/{self._tenant_id}/v2.0/.well-known/openid-configuration")
            address = str(member(document, "jwks_uri") or "")
            # The document comes from the base that the settings name; it must not lead to keys of somebody else.
            if urlsplit(address)[:2] != urlsplit(self._openid_base)[:2]:
                raise Transient("Entra's discovery document names no key address of its own")
            rows = members(_read(client, address), "keys")
        found: dict[str, jwt.PyJWK] = {}
        for row in rows:
            if member(row, "kty") == "RSA" and member(row, "use") in ("sig", None) and member(row, "kid"):
                try:
                    found[str(member(row, "kid"))] = jwt.PyJWK(cast("dict[str, Any]", row), algorithm="RS256")
                except jwt.PyJWTError:
                    log.warning("a key of the tenant cannot be read")
        return found


def _read(client: httpx.Client, address: str) -> object:
    try:
        response = client.get(address)
        body: object = response.json() if response.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        raise Transient(f"Entra's keys cannot be read ({type(error).__name__})") from error
    if body is None:
        raise Transient(f"Entra answered {response.status_code} when asked for its keys")
    return body


def _instant(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**33:
        raise _forged("the token's times cannot be read")
    return datetime.fromtimestamp(value, UTC)


def _forged(reason: str) -> Terminal:
    """Words about the token never repeat any of it."""
    return Terminal("INVALID_TOKEN", f"Not taken: {reason}.")
