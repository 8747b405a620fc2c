"""A stand-in for Microsoft Entra: the tenant's signing keys, and tokens as Microsoft's marketplace brings them.

Owns keys, their rotation, and the making of tokens, good ones and forged ones. Leaves what a token is worth to whoever
checks it. Keys are made here and are worth nothing anywhere else.
"""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from connectors.sandbox.store import SandboxStore

MARKETPLACE = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7"
TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
CLIENT = "bbbbbbbb-0000-4000-8000-000000000002"


def routes(store: SandboxStore) -> list[Route]:
    """Discovery and keys below `/entra`, and two control routes."""

    async def discovery(request: Request) -> JSONResponse:
        tenant = request.path_params["tenant"]
        await store.count("entra", "discovery", request.url.path)
        keys = str(request.url_for("entra_keys", tenant=tenant))
        return JSONResponse({"issuer": f"https://login.microsoftonline.com/{tenant}/v2.0", "jwks_uri": keys})

    async def keys(request: Request) -> JSONResponse:
        await store.count("entra", "keys", request.url.path)
        await _newest(store)
        rows = await store.rows("select kid, pem from sandbox.signing_keys order by seq desc limit 2")
        return JSONResponse({"keys": [_public(row["kid"], row["pem"]) for row in rows]})

    async def tokens(request: Request) -> JSONResponse:
        return JSONResponse({"token": await token(store, await request.json())})

    async def rotate(_: Request) -> JSONResponse:
        return JSONResponse({"kid": (await _make(store))[0]})

    return [
        Route("/entra/{tenant}/v2.0/.well-known/openid-configuration", discovery),
        Route("/entra/{tenant}/discovery/v2.0/keys", keys, name="entra_keys"),
        Route("/_sandbox/entra/tokens", tokens, methods=["POST"]),
        Route("/_sandbox/entra/rotate", rotate, methods=["POST"]),
    ]


async def token(store: SandboxStore, order: dict[str, Any]) -> str:
    """A token as the marketplace's application gets it. `version` is 1 or 2, `claims` replaces some, `alg` and `kid`
    forge: `none`, or `HS256` signed with the public key's text."""
    kid, pem = await _newest(store)
    now, version = store.clock(), order.get("version", 2)
    by_version = {
        1: {"ver": "1.0", "iss": f"https://sts.windows.net/{TENANT}/", "appid": MARKETPLACE},
        2: {"ver": "2.0", "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "azp": MARKETPLACE},
    }[version]
    claims = {
        "aud": CLIENT, "tid": TENANT, "iat": int(now.timestamp()), "nbf": int(now.timestamp()),
        "exp": int((now + timedelta(hours=1)).timestamp()), **by_version, **order.get("claims", {}),
    }  # fmt: skip
    claims = {key: value for key, value in claims.items() if value is not None}
    alg, headers = order.get("alg", "RS256"), {"kid": order.get("kid", kid)}
    if alg == "none":
        return jwt.encode(claims, "", algorithm="none", headers=headers)
    if alg == "HS256":
        return jwt.encode(claims, f"{_public(kid, pem)['n']}{pem[:64]}", algorithm="HS256", headers=headers)
    signer = pem if order.get("signer") != "stranger" else _new_pem()
    return jwt.encode(claims, signer, algorithm=alg, headers=headers)


async def _newest(store: SandboxStore) -> tuple[str, str]:
    rows = await store.rows("select kid, pem from sandbox.signing_keys order by seq desc limit 1")
    return (rows[0]["kid"], rows[0]["pem"]) if rows else await _make(store)


async def _make(store: SandboxStore) -> tuple[str, str]:
    kid, pem = uuid.uuid4().hex, _new_pem()
    await store.rows("insert into sandbox.signing_keys (kid, pem) values (%s, %s) returning kid", [kid, pem])
    return kid, pem


def _new_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _public(kid: str, pem: str) -> dict[str, Any]:
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey), "the stand-in makes RSA keys only"
    return {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
