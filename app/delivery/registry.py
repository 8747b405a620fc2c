"""The provider accounts of this deployment, each with its connector.

Owns loading: connectors come from the entry-point group, so that one can come from another distribution; accounts come
from the file named by METROGRAPH_CONNECTIONS, or are the sandbox's. Secrets never leave the connector's own config.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from app.errors import ErrorCode, InvalidInput
from app.settings import BadSettings
from connectors.base import Capabilities, Connector, Problem

GROUP = "metrograph.connectors"


@dataclass(frozen=True, slots=True)
class Connection:
    """One provider account. `unit_price` and `dimension` say how money becomes usage at a marketplace; `takes_requests`:
    customers may name what payments are asked of (`Capabilities.requested_by`)."""

    name: str
    provider: str
    connector: Connector
    unit_price: Decimal
    dimension: str
    takes_requests: bool = False

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do."""
        return self.connector.capabilities


class Connections:
    """All accounts by name. Implements `app.providers.ProviderDirectory`."""

    def __init__(self, connections: Mapping[str, Connection]) -> None:
        self._by_name = dict(connections)

    def find(self, name: str) -> Connection | None:
        """The account of that name, or None when it is configured no more."""
        return self._by_name.get(name)

    def all(self) -> list[Connection]:
        """Every account, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def resolve(self, provider: str, connection: str | None, settings: Mapping[str, str]) -> str:
        """See `ProviderDirectory.resolve`."""
        fitting = [item for item in self.all() if item.provider == provider and connection in (None, item.name)]
        if len(fitting) != 1:
            names = ", ".join(item.name for item in self.all() if item.provider == provider) or "none"
            raise InvalidInput(
                ErrorCode.PROVIDER_NOT_CONFIGURED,
                f"No single {provider[:40]!r} connection fits {connection!r}; configured: {names}.",
                path=("input", "connection"),
            )
        problems = fitting[0].connector.validate_customer(settings)
        for key in fitting[0].capabilities.requested_by:
            if key in settings and not fitting[0].takes_requests:
                problems.append(
                    Problem(key, f"needs an account with payment_requests = true; {fitting[0].name} has not")
                )
        if problems:
            raise InvalidInput(
                ErrorCode.INVALID,
                "; ".join(f"{problem.key}: {problem.message}" for problem in problems),
                path=("input", "settings"),
            )
        return fitting[0].name

    def has_account(self, provider: str, connection: str | None) -> bool:
        """See `ProviderDirectory.has_account`."""
        return any(item.provider == provider and connection in (None, item.name) for item in self.all())

    def takes_currency(self, provider: str, currency: str) -> bool:
        """See `ProviderDirectory.takes_currency`."""
        fitting = [item for item in self.all() if item.provider == provider]
        return all(item.capabilities.currencies is None or currency in item.capabilities.currencies for item in fitting)

    def is_metered(self, provider: str) -> bool:
        """See `ProviderDirectory.is_metered`."""
        return any(item.capabilities.mode == "metering" for item in self.all() if item.provider == provider)

    async def close(self) -> None:
        """Close every connector."""
        for connection in self._by_name.values():
            await connection.connector.close()


def installed_connectors() -> dict[str, EntryPoint]:
    """Every installed connector by its provider's name; built-in ones use the same door as foreign ones.

    Each is loaded when an account names it: nobody waits for the SDK of a provider that is not used.
    """
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def read_tables(file: Path | None) -> dict[str, dict[str, Any]]:
    """The `[connections.NAME]` tables of the file; empty without one. `BadSettings` when it is not such a file."""
    if file is None:
        return {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings([f"METROGRAPH_CONNECTIONS={str(file)!r}: {error}"]) from error
    tables = content.get("connections", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise BadSettings(
            [f"METROGRAPH_CONNECTIONS={str(file)!r}: write one [connections.NAME] table for each account"]
        )
    return tables


def connect(
    tables: Mapping[str, Mapping[str, Any]], *, environ: Mapping[str, str], now: Callable[[], datetime]
) -> Connections:
    """Build every account. `BadSettings` lists all problems of all tables."""
    installed = installed_connectors()
    problems: list[str] = []
    made: dict[str, Connection] = {}
    for name, table in tables.items():
        point = installed.get(str(table.get("provider")))
        if point is None:
            problems.append(f"connections.{name}.provider: one of {', '.join(installed)} is needed")
            continue
        connector_class = point.load()
        try:
            config = connector_class.Config.from_table(name, table, environ)
        except ValueError as error:
            problems.append(str(error))
            continue
        made[name] = Connection(
            name=name,
            provider=str(table["provider"]),
            connector=connector_class(config, now),
            unit_price=getattr(config, "unit_price", Decimal("0.01")),
            dimension=getattr(config, "dimension", ""),
            takes_requests=getattr(config, "payment_requests", False),
        )
    if problems:
        raise BadSettings(problems)
    return Connections(made)
