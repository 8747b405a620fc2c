"""Who is calling over HTTP: the key in the Authorization header, the address behind trusted proxies, the user agent.

Owns the reading of these headers. The request's `Actor` carries them on, so that the audit log can name them.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.keys import authenticate
from app.actor import Actor


def bearer(authorization: str | None) -> str | None:
    """The secret in an Authorization header, or None when there is none of our kind."""
    kind, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    return secret if kind.lower() == "bearer" and secret and secret.isascii() else None


def client_address(peer: str | None, forwarded: Sequence[str], *, trusted_proxies: int) -> str | None:
    """The caller's address. Each trusted proxy vouches for one entry of X-Forwarded-For, counted from the right.

    Entries further left were written by the caller and prove nothing.
    """
    hops = [entry.strip() for header in forwarded for entry in header.split(",")] + [peer or ""]
    named = hops[max(len(hops) - 1 - trusted_proxies, 0)]
    for candidate in (named, peer or ""):
        try:
            return str(ipaddress.ip_address(candidate.strip("[]")))
        except ValueError:
            continue
    return None


async def identify(
    session: AsyncSession,
    secret: str,
    *,
    now: datetime,
    bootstrap: str | None,
    ip_address: str | None,
    user_agent: str | None,
    request_id: str | None,
) -> Actor | None:
    """The caller with everything that the audit log wants to know, or None when the key does not count."""
    actor = await authenticate(session, secret, now=now, bootstrap=bootstrap)
    if actor is None:
        return None
    return dataclasses.replace(actor, ip_address=ip_address, user_agent=user_agent, request_id=request_id)
