"""What lower slices may ask about provider accounts, without knowing any connector.

Owns the protocol only. The delivery slice implements it from the connections that are configured; doors hand it down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from app.errors import ErrorCode, InvalidInput


class ProviderDirectory(Protocol):
    """The provider accounts of this deployment."""

    def resolve(self, provider: str, connection: str | None, settings: Mapping[str, str]) -> str:
        """The connection that a customer's billing configuration uses, after checking its settings.

        Errors: `InvalidInput` PROVIDER_NOT_CONFIGURED when no account fits or `connection` is needed to choose one,
        INVALID with every problem of `settings`.
        """
        ...

    def has_account(self, provider: str, connection: str | None) -> bool:
        """Whether there is an account of the provider; with `connection`, whether that is one."""
        ...

    def takes_currency(self, provider: str, currency: str) -> bool:
        """Whether invoices in this currency can be delivered to the provider at all."""
        ...

    def is_metered(self, provider: str) -> bool:
        """Whether the provider is sent usage by the hour instead of invoices."""
        ...


class NoProviders:
    """A deployment without provider accounts: nothing can be routed, so no route can be wrong."""

    def resolve(self, provider: str, connection: str | None, settings: Mapping[str, str]) -> str:
        """See `ProviderDirectory.resolve`."""
        raise InvalidInput(
            ErrorCode.PROVIDER_NOT_CONFIGURED,
            "No provider accounts are configured; name their file in METROGRAPH_CONNECTIONS.",
            path=("input", "provider"),
        )

    def has_account(self, provider: str, connection: str | None) -> bool:
        """See `ProviderDirectory.has_account`."""
        return False

    def takes_currency(self, provider: str, currency: str) -> bool:
        """See `ProviderDirectory.takes_currency`."""
        return True

    def is_metered(self, provider: str) -> bool:
        """See `ProviderDirectory.is_metered`."""
        return False
