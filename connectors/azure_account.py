"""One publisher account at Microsoft: its settings, its credentials, and a call to the marketplace's service.

Owns what metering and subscriptions share. Leaves what a call means, and which statuses are failures, to them. The
application is the one of the offer's technical configuration in Partner Center; a tenant has a connection of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import httpx
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import aio as identity

from connectors.base import Problem, Terminal, Transient
from connectors.http import Secret, SettingsError, SettingsTable, create_client, send

# The marketplace's own application and service version; learn.microsoft.com/partner-center/marketplace-offers/
# marketplace-metering-service-apis, November 2026. Fulfilment has the same ones.
SCOPE = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7/.default"
API_VERSION = "2018-08-31"
GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_API_BASE = "https://marketplaceapi.microsoft.com/api"
_MICROSOFT_AUTHORITY = "https://login.microsoftonline.com"
_DEFAULTS = {
    "api_base": "METROGRAPH_AZURE_MARKETPLACE_API_BASE",
    "authority": "METROGRAPH_AZURE_AUTHORITY",
    "static_token": "METROGRAPH_AZURE_STATIC_TOKEN",
    "openid_base": "METROGRAPH_ENTRA_OPENID_BASE",
}


class _Token(Protocol):
    @property
    def token(self) -> str: ...


class Credential(Protocol):
    """What azure-identity's credentials offer; tests and the sandbox put a fixed token in their place."""

    async def get_token(self, *scopes: str) -> _Token:
        """A bearer token for a scope, cached by the credential until shortly before it ends."""
        ...

    async def close(self) -> None:
        """Give back the connections to the authority."""


@dataclass(frozen=True, slots=True)
class StaticCredential:
    """A fixed bearer token; for the sandbox only."""

    secret: Secret

    @property
    def token(self) -> str:
        """The token itself."""
        return self.secret.reveal()

    async def get_token(self, *scopes: str) -> StaticCredential:
        """Always the same token."""
        return self

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureMarketplaceConfig:
    """One publisher account: an application of Partner Center's technical configuration."""

    tenant_id: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    client_certificate: Secret | None = None
    certificate_password: Secret | None = None
    credential: str = "secret"
    unit_price: Decimal = Decimal("0.01")
    dimension: str = "usage_fee"
    api_base: str = _API_BASE
    authority: str = _MICROSOFT_AUTHORITY
    openid_base: str = _MICROSOFT_AUTHORITY
    static_token: Secret | None = None
    timeout_seconds: int = 30

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> AzureMarketplaceConfig:
        """Read `[connections.NAME]`; `SettingsError` with every problem. A static token needs the sandbox."""
        # Only this one may stand in the environment as a value, so it is turned into the reference it would be.
        given = {**table}
        if "static_token" not in given and environ.get(_DEFAULTS["static_token"]):
            given["static_token"] = f"env:{_DEFAULTS['static_token']}"
        addresses = {key: variable for key, variable in _DEFAULTS.items() if key != "static_token"}
        read = SettingsTable(name, given, environ, defaults=addresses)
        is_static = read.has("static_token")
        kinds: dict[object, str] = {kind: kind for kind in ("secret", "certificate", "workload", "managed", "default")}
        kind = read.choice("credential", "secret", among=kinds)
        by_secret = kind == "secret" and not is_static
        by_certificate = kind == "certificate" and not is_static
        is_named = by_secret or by_certificate
        config = cls(
            tenant_id=read.text("tenant_id", None if is_named else "", pattern=GUID, like="a directory's GUID"),
            client_id=read.text("client_id", None if is_named else "", pattern=GUID, like="an application's GUID"),
            client_secret=read.secret("client_secret", required=by_secret),
            client_certificate=read.secret("client_certificate", required=by_certificate),
            certificate_password=read.secret("certificate_password", required=False),
            credential=kind,
            unit_price=read.decimal("unit_price", "0.01"),
            dimension=read.text("dimension", "usage_fee", pattern=r"\S{1,255}", like="a dimension's id"),
            api_base=read.address("api_base", _API_BASE),
            authority=read.address("authority", _MICROSOFT_AUTHORITY),
            openid_base=read.address("openid_base", _MICROSOFT_AUTHORITY),
            static_token=read.secret("static_token", required=False),
            timeout_seconds=read.whole("timeout_seconds", 30, least=1, most=300),
        )
        if not config.authority.startswith("https://"):
            read.fault("authority", "azure-identity takes https only")
        if is_static and environ.get("METROGRAPH_ENVIRONMENT") != "sandbox":
            read.fault("static_token", "is for METROGRAPH_ENVIRONMENT=sandbox only")
        read.finish()
        return config


class AzureAccount:
    """The HTTP client and the credential of one connection; the credential caches its tokens."""

    def __init__(self, config: AzureMarketplaceConfig, *, credential: Credential | None = None) -> None:
        self._credential = credential or _make_credential(config)
        self._client = create_client(config.api_base, connect_seconds=10, read_seconds=config.timeout_seconds)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Any, httpx.Response, str]:
        """(decoded answer or None, response, request id), whatever the status; broken connections are `Transient`."""
        response, request_id = await send(
            self._client,
            method,
            path,
            headers={
                "Authorization": f"Bearer {await self._token()}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
            request_id_header="x-ms-requestid",
            params={"api-version": API_VERSION, **(parameters or {})},
            content=None if body is None else json.dumps(body).encode(),
        )
        try:
            # A quantity must not pass through a float on its way back either.
            answer: Any = json.loads(response.content, parse_float=Decimal)
        except ValueError:
            answer = None
        return answer, response, request_id

    async def close(self) -> None:
        """Close the HTTP client and the credential."""
        await self._client.aclose()
        await self._credential.close()

    async def _token(self) -> str:
        try:
            return (await self._credential.get_token(SCOPE)).token
        except ClientAuthenticationError as error:
            hint = "Check tenant_id, client_id and the secret, and the application's registration."
            message = "Microsoft Entra gives no token to this application."
            raise Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True) from error
        except AzureError as error:
            raise Transient(f"Microsoft Entra cannot be reached ({type(error).__name__})") from error


def _make_credential(config: AzureMarketplaceConfig) -> Credential:
    if config.static_token is not None:
        return StaticCredential(config.static_token)
    options: dict[str, Any] = {"authority": config.authority}
    if config.authority != _MICROSOFT_AUTHORITY:
        options["disable_instance_discovery"] = True
    named = {key: value for key, value in (("tenant_id", config.tenant_id), ("client_id", config.client_id)) if value}
    if config.credential == "managed":
        return identity.ManagedIdentityCredential(client_id=config.client_id or None)
    if config.credential == "workload":
        return identity.WorkloadIdentityCredential(**named, **options)
    if config.credential == "default":
        return identity.DefaultAzureCredential(**options)
    if config.credential == "certificate":
        assert config.client_certificate is not None, "settings were checked when they were read"
        password = None if config.certificate_password is None else config.certificate_password.reveal()
        try:
            return identity.CertificateCredential(
                config.tenant_id,
                config.client_id,
                certificate_data=config.client_certificate.reveal().encode(),
                password=password,
                **options,
            )
        except ValueError as error:
            # azure-identity's words may hold parts of the file.
            problem = Problem("client_certificate", "is no PEM file with a certificate and its private key")
            raise SettingsError("azure", [problem]) from error
    assert config.client_secret is not None, "settings were checked when they were read"
    return identity.ClientSecretCredential(config.tenant_id, config.client_id, config.client_secret.reveal(), **options)
