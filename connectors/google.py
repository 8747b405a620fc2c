"""Access tokens for Google's APIs, by the google-auth library (extra `gcp`).

Owns how a connection names its credentials: a file (a service account's key, or workload identity federation), or
whatever the machine offers. The library is synchronous, so tokens are fetched in a thread.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from connectors.base import Terminal, Transient
from connectors.http import Secret

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Tokens(Protocol):
    """Where bearer tokens come from."""

    async def token(self) -> str:
        """A token that is valid now. Errors: `Terminal` AUTHENTICATION, `Transient`."""
        ...


@dataclass(frozen=True, slots=True)
class StaticTokens:
    """One fixed token; for the sandbox only."""

    secret: Secret

    async def token(self) -> str:
        """Always the same one."""
        return self.secret.reveal()


class GoogleTokens:
    """Tokens of a credentials file, or of the machine's own identity when none is named; kept until they end."""

    def __init__(self, credentials_file: str) -> None:
        self._file = credentials_file
        self._credentials: Any = None
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """The token at hand, or a fresh one."""
        async with self._fetching:
            return await asyncio.to_thread(self._fetch)

    def _fetch(self) -> str:
        failures: Any = import_module("google.auth.exceptions")
        transport: Any = import_module("google.auth.transport.requests")
        try:
            if self._credentials is None:
                self._credentials = _of_file(Path(self._file)) if self._file else _of_the_machine()
            if not self._credentials.valid:
                self._credentials.refresh(transport.Request())
        except failures.TransportError as error:
            raise Transient(f"Google's token service cannot be reached ({type(error).__name__})") from error
        except (failures.GoogleAuthError, OSError, ValueError, KeyError, TypeError) as error:
            # The library's own text may quote the answer of a token service, or the file, so it is not repeated.
            message = f"Google gives no token to these credentials ({type(error).__name__})."
            hint = "Check credentials_file, and that the account may report usage of the service."
            raise Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True) from error
        return str(self._credentials.token)


def _of_the_machine() -> Any:
    library: Any = import_module("google.auth")
    return library.default(scopes=[SCOPE])[0]


def _of_file(file: Path) -> Any:
    """The credentials of a file, by its type: a service account's key, or an identity of another cloud."""
    content: Any = json.loads(file.read_text(encoding="utf-8"))
    kind = content["type"]
    if kind == "service_account":
        accounts: Any = import_module("google.oauth2.service_account")
        return accounts.Credentials.from_service_account_info(content, scopes=[SCOPE])
    if kind != "external_account":
        raise ValueError("the file is neither a service account's key nor an external account")
    is_aws = str(content["credential_source"].get("environment_id", "")).startswith("aws")
    federated: Any = import_module("google.auth.aws" if is_aws else "google.auth.identity_pool")
    return federated.Credentials.from_info(content, scopes=[SCOPE])


def fault_of(credentials_file: str) -> str | None:
    """Why these credentials cannot be used, as far as it can be told without asking anybody; None otherwise."""
    try:
        import_module("google.auth.transport.requests")
    except ImportError:
        return "google-auth is not installed; install metrograph[gcp]"
    if credentials_file and not Path(credentials_file).is_file():
        return "there is no such file"
    return None
