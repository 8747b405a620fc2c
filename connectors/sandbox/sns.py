"""A stand-in for Amazon SNS: signed messages, the certificate that proves them, and confirmations.

Owns one key with its certificate for each run. Leaves what a message says to whoever orders it. Signature version 1 is
SHA-1, version 2 SHA-256.
"""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.store import SandboxStore

_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303


def routes(store: SandboxStore) -> list[Route]:
    """The certificate, the confirmation, and a control route that signs a message."""

    async def certificate(request: Request) -> Response:
        await store.count("sns", "certificate", request.url.path)
        now = store.clock()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(_key().public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=365))
            .sign(_key(), hashes.SHA256())
        )
        return Response(made.public_bytes(serialization.Encoding.PEM), media_type="application/x-pem-file")

    async def confirm(request: Request) -> Response:
        await store.count("sns", f"confirm {request.query_params.get('Token', '')}", request.url.path)
        return Response("<ConfirmSubscriptionResponse/>", media_type="text/xml")

    async def messages(request: Request) -> JSONResponse:
        order: dict[str, Any] = await request.json()
        return JSONResponse(signed(order, base=str(request.base_url).rstrip("/"), now=store.clock().isoformat()))

    return [
        Route("/sns/SimpleNotificationService-{id}.pem", certificate),
        Route("/sns/confirm", confirm),
        Route("/_sandbox/sns/messages", messages, methods=["POST"]),
    ]


def signed(order: dict[str, Any], *, base: str, now: str) -> dict[str, Any]:
    """A message with its signature: `topic`, `message`, `type`, `version`; `id` to send one again."""
    kind, version = order.get("type", "Notification"), str(order.get("version", "2"))
    message: dict[str, Any] = {
        "Type": kind,
        "MessageId": order.get("id") or str(uuid.uuid4()),
        "TopicArn": order["topic"],
        "Message": order.get("message", ""),
        "Timestamp": order.get("at", now),
    }
    if kind != "Notification":
        message |= {"Token": "sandbox-token", "SubscribeURL": f"{base}/sns/confirm?Token=sandbox-token"}
    elif order.get("subject"):
        message["Subject"] = order["subject"]
    text = "".join(f"{name}\n{message[name]}\n" for name in sorted(message))
    signature = _key().sign(text.encode(), padding.PKCS1v15(), _HASHES[version])
    return message | {
        "SignatureVersion": version,
        "Signature": base64.b64encode(signature).decode(),
        "SigningCertURL": f"{base}/sns/SimpleNotificationService-1.pem",
    }


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
