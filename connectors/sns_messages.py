"""Messages of Amazon SNS over HTTPS: who signed them, and from which topic.

Owns the check of one message and the certificates. Leaves what a message says to the connector. Synchronous, because a
certificate is fetched now and then. Source: Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS
messages", November 2026.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connectors.base import Clock, Terminal, Transient
from connectors.http import is_like, member

_HOST = r"sns\.[a-z]{2,4}(-[a-z]+)+-\d+\.amazonaws\.com(\.cn)?"
_NOTICE = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": _NOTICE,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303
MAX_CERTIFICATE, MAX_KEPT = 64 * 1024, 16


class SnsMessages:
    """Checks messages of the topics that a connection names. `base` is a stand-in's address; SNS itself without it."""

    def __init__(self, *, topics: tuple[str, ...], base: str, clock: Clock, timeout_seconds: int) -> None:
        self._topics = frozenset(topics)
        self._base = base
        self._clock = clock
        self._timeout = timeout_seconds
        self._certificates: dict[str, x509.Certificate] = {}
        self._lock = threading.Lock()

    def verify(self, message: Mapping[str, Any]) -> None:
        """Refuse what is not signed by SNS for one of our topics.

        Rule: a known type; a topic of ours; a certificate of an SNS host that is valid now; its signature over the
        signed members. Errors: Terminal INVALID_SIGNATURE or NOT_CONFIGURED, Transient when no certificate is had.
        """
        if not self._topics:
            hint = "List the topics in sns_topics of the connection."
            raise Terminal("NOT_CONFIGURED", "The connection names no SNS topic.", hint=hint)
        kind = str(member(message, "Type") or "")
        algorithm = _HASHES.get(str(member(message, "SignatureVersion") or ""))
        if kind not in _SIGNED or algorithm is None:
            raise _forged("its type or signature version is not known")
        # Before anything is fetched: a stranger must not make us ask for certificates.
        if member(message, "TopicArn") not in self._topics:
            raise _forged("it is of a topic that the connection does not name")
        certificate = self._certificate(str(member(message, "SigningCertURL") or ""))
        now = self._clock()
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise _forged("its certificate is not valid now")
        key = certificate.public_key()
        text = "".join(f"{name}\n{message[name]}\n" for name in _SIGNED[kind] if message.get(name) is not None)
        try:
            signature = base64.b64decode(str(member(message, "Signature") or ""), validate=True)
            if not isinstance(key, rsa.RSAPublicKey):
                raise _forged("its certificate holds no RSA key")
            key.verify(signature, text.encode(), padding.PKCS1v15(), algorithm)
        except (InvalidSignature, UnsupportedAlgorithm, binascii.Error, ValueError) as error:
            raise _forged("its signature is wrong") from error

    def confirm(self, address: str) -> None:
        """Say yes to SNS: open the address of a verified SubscriptionConfirmation. Repeating it is harmless."""
        self._is_sns(address)
        self._get(address)

    def _certificate(self, address: str) -> x509.Certificate:
        self._is_sns(address)
        if not urlsplit(address).path.endswith(".pem"):
            raise _forged("its certificate's address is none of SNS")
        with self._lock:
            if address not in self._certificates:
                try:
                    found = x509.load_pem_x509_certificate(self._get(address))
                except ValueError as error:
                    raise _forged("its certificate cannot be read") from error
                if len(self._certificates) >= MAX_KEPT:
                    self._certificates.clear()
                self._certificates[address] = found
            return self._certificates[address]

    def _is_sns(self, address: str) -> None:
        """Only hosts of SNS itself: whoever may choose the host may choose the key."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as error:
            raise _forged("an address in it cannot be read") from error
        if self._base:
            is_fine = parts[:2] == urlsplit(self._base)[:2]
        else:
            is_fine = (
                parts.scheme == "https" and is_like(parts.netloc, _HOST) and port is None and parts.username is None
            )
        if not is_fine:
            raise _forged("an address in it is none of SNS")

    def _get(self, address: str) -> bytes:
        try:
            with httpx.Client(timeout=self._timeout, follow_redirects=False) as client:
                response = client.get(address)
        except httpx.HTTPError as error:
            raise Transient(f"SNS cannot be reached ({type(error).__name__})") from error
        if response.status_code != 200 or len(response.content) > MAX_CERTIFICATE:
            raise Transient(f"SNS answered {response.status_code}")
        return response.content


def _forged(reason: str) -> Terminal:
    return Terminal("INVALID_SIGNATURE", f"The message is not taken: {reason}.")
