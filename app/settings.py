"""What the environment says, read once at start and validated whole.

Owns the names of `docs/settings.md`, their defaults and their checks. Every problem is listed at once with its
variable; after that the values are a frozen dataclass that is passed on, and nothing else reads the environment.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.errors import settings_problem

PREFIX = "METROGRAPH_"
DEMO_FILE = "demo.toml"
"""A demo keeps its settings beside its database, so that later commands on the same folder find its day and keys."""

DATABASES = ("postgresql://", "postgres://", "postgresql+psycopg://", "postgresql+asyncpg://")
WEB = ("http://", "https://")

KNOWN = frozenset(
    PREFIX + name
    for name in (
        "DATA_DIR",
        "EVENT_STORE",
        "SECRET_KEY",
        "BOOTSTRAP_KEY",
        "ENVIRONMENT",
        "CLOCK",
        "STRIPE_API_BASE",
        "AZURE_MARKETPLACE_API_BASE",
        "AZURE_AUTHORITY",
        "AZURE_STATIC_TOKEN",
        "ENTRA_OPENID_BASE",
        "CONNECTIONS",
        "ALLOW_PRIVATE_WEBHOOKS",
        "TRUSTED_PROXIES",
        "FAILPOINT",
        "LOG_LEVEL",
        "SELLER_NAME",
        "SELLER_DETAILS",
    )
)


class BadSettings(Exception):
    """Settings that cannot be used; `problems` has one line for each, naming its variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("Settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Secrets are kept out of `repr`."""

    environment: str = "production"
    database_url: str | None = field(default=None, repr=False)
    data_dir: Path = Path()
    event_store: str = "postgres"
    secret_key: str | None = field(default=None, repr=False)
    bootstrap_key: str | None = field(default=None, repr=False)
    clock_source: str | None = None
    connections_file: Path | None = None
    stripe_api_base: str | None = None
    aws_metering_endpoint: str | None = None
    azure_api_base: str = "https://marketplaceapi.microsoft.com/api"
    azure_authority: str | None = None
    azure_static_token: str | None = field(default=None, repr=False)
    entra_openid_base: str = "https://login.microsoftonline.com"
    allow_private_webhooks: bool = False
    trusted_proxies: int = 0
    failpoint: str | None = None
    log_level: str = "info"
    seller_name: str = "Metrograph"
    seller_details: tuple[str, ...] = ()
    demo: bool = False

    @property
    def is_sandbox(self) -> bool:
        """Whether the test clock and the sandbox providers may exist."""
        return self.environment == "sandbox"

    def clock(self) -> Clock:
        """The clock of this deployment."""
        return Clock(self.clock_source)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the environment; `BadSettings` lists every problem."""
    given = {key: value for key, value in (os.environ if environ is None else environ).items() if value != ""}
    data_dir = Path(given.get("METROGRAPH_DATA_DIR") or _user_folder(given)).expanduser()
    demo = {} if given.get("DATABASE_URL") else _demo_settings(data_dir)
    given = {**demo, **given}
    problems = [
        settings_problem(name, given[name], "no such setting; see docs/settings.md")
        for name in sorted(given)
        if name.startswith(PREFIX) and name not in KNOWN
    ]
    settings = Settings(
        environment=given.get("METROGRAPH_ENVIRONMENT", "production"),
        database_url=given.get("DATABASE_URL"),
        data_dir=data_dir,
        event_store=given.get("METROGRAPH_EVENT_STORE", "postgres"),
        secret_key=given.get("METROGRAPH_SECRET_KEY"),
        bootstrap_key=given.get("METROGRAPH_BOOTSTRAP_KEY"),
        clock_source=given.get("METROGRAPH_CLOCK"),
        connections_file=_path(given.get("METROGRAPH_CONNECTIONS")),
        stripe_api_base=given.get("METROGRAPH_STRIPE_API_BASE"),
        aws_metering_endpoint=given.get("AWS_ENDPOINT_URL_MARKETPLACE_METERING"),
        azure_api_base=given.get("METROGRAPH_AZURE_MARKETPLACE_API_BASE", Settings().azure_api_base).rstrip("/"),
        azure_authority=given.get("METROGRAPH_AZURE_AUTHORITY"),
        azure_static_token=given.get("METROGRAPH_AZURE_STATIC_TOKEN"),
        entra_openid_base=given.get("METROGRAPH_ENTRA_OPENID_BASE", Settings().entra_openid_base).rstrip("/"),
        allow_private_webhooks=_flag(given, "METROGRAPH_ALLOW_PRIVATE_WEBHOOKS", problems),
        trusted_proxies=_whole(given, "METROGRAPH_TRUSTED_PROXIES", problems),
        failpoint=given.get("METROGRAPH_FAILPOINT"),
        log_level=given.get("METROGRAPH_LOG_LEVEL", "info").lower(),
        seller_name=given.get("METROGRAPH_SELLER_NAME", Settings().seller_name).strip(),
        seller_details=tuple(part.strip() for part in given.get("METROGRAPH_SELLER_DETAILS", "").split("|") if part),
        demo=bool(demo),
    )
    problems += _problems(settings)
    if problems:
        raise BadSettings(problems)
    return settings


def data_dir_from_environment() -> Path | None:
    """The folder that METROGRAPH_DATA_DIR names, or None."""
    return _path(os.environ.get("METROGRAPH_DATA_DIR"))


def require_secret(settings: Settings) -> None:
    """Serving outside a demo needs a secret key of at least 32 characters."""
    if settings.secret_key is None and not settings.is_sandbox:
        raise BadSettings(
            [settings_problem("METROGRAPH_SECRET_KEY", "", "required outside the demo: at least 32 random characters")]
        )


def _problems(settings: Settings) -> list[str]:
    found = [
        settings_problem(name, value, accepted) for name, value, is_fine, accepted in _checks(settings) if not is_fine
    ]
    if not settings.is_sandbox:
        sandbox_only = {
            "METROGRAPH_CLOCK": settings.clock_source,
            "METROGRAPH_AZURE_STATIC_TOKEN": settings.azure_static_token,
            "METROGRAPH_ALLOW_PRIVATE_WEBHOOKS": settings.allow_private_webhooks or None,
            "METROGRAPH_FAILPOINT": settings.failpoint,
        }
        needs_sandbox = "only with METROGRAPH_ENVIRONMENT=sandbox"
        found += [settings_problem(name, "(set)", needs_sandbox) for name, value in sandbox_only.items() if value]
    try:
        settings.clock().now()
    except (ValueError, OSError):
        accepted = "an instant such as 2026-11-01T00:00:00Z, or a file that holds one"
        found.append(settings_problem("METROGRAPH_CLOCK", settings.clock_source, accepted))
    return found


def _checks(settings: Settings) -> list[tuple[str, object, bool, str]]:
    """(variable, value to show, is it fine, what would be accepted) for each setting. Secrets are never shown."""
    url, secret, bootstrap = settings.database_url, settings.secret_key, settings.bootstrap_key
    seller, details = settings.seller_name, settings.seller_details
    file, level, hidden = settings.connections_file, settings.log_level, "(hidden)"
    environments, levels = ("production", "sandbox"), ("debug", "info", "warning", "error")
    addresses = {
        "METROGRAPH_STRIPE_API_BASE": (settings.stripe_api_base, WEB),
        "AWS_ENDPOINT_URL_MARKETPLACE_METERING": (settings.aws_metering_endpoint, WEB),
        "METROGRAPH_AZURE_MARKETPLACE_API_BASE": (settings.azure_api_base, WEB),
        "METROGRAPH_AZURE_AUTHORITY": (settings.azure_authority, ("https://",)),
        "METROGRAPH_ENTRA_OPENID_BASE": (settings.entra_openid_base, WEB),
    }
    return [
        ("METROGRAPH_ENVIRONMENT", settings.environment, settings.environment in environments, "production or sandbox"),
        ("DATABASE_URL", hidden, url is None or url.startswith(DATABASES), "postgresql://user:password@host/database"),
        ("METROGRAPH_EVENT_STORE", settings.event_store, settings.event_store == "postgres", "only postgres so far"),
        ("METROGRAPH_SECRET_KEY", hidden, secret is None or len(secret) >= 32, "at least 32 characters"),
        ("METROGRAPH_BOOTSTRAP_KEY", hidden, bootstrap is None or len(bootstrap) >= 24, "at least 24 characters"),
        ("METROGRAPH_CONNECTIONS", file, file is None or file.is_file(), "no such file"),
        ("METROGRAPH_LOG_LEVEL", level, level in levels, ", ".join(levels)),
        ("METROGRAPH_SELLER_NAME", seller, 0 < len(seller) <= 200 and seller.isprintable(), "1 to 200 characters"),
        (
            "METROGRAPH_SELLER_DETAILS",
            details,
            len(details) <= 10 and all(map(_is_line, details)),
            "at most 10 lines of 200 characters, with | between them",
        ),
        *(
            (name, address, address is None or address.startswith(schemes), f"an address with {' or '.join(schemes)}")
            for name, (address, schemes) in addresses.items()
        ),
    ]


def _is_line(text: str) -> bool:
    return len(text) <= 200 and text.isprintable()


def _whole(given: Mapping[str, str], name: str, problems: list[str]) -> int:
    text = given.get(name, "0")
    if text.isascii() and text.isdigit() and len(text) < 4:
        return int(text)
    problems.append(settings_problem(name, text, "a whole number from 0 to 999"))
    return 0


def _flag(given: Mapping[str, str], name: str, problems: list[str]) -> bool:
    text = given.get(name, "0")
    if text not in ("0", "1"):
        problems.append(settings_problem(name, text, "1 or 0"))
    return text == "1"


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _user_folder(given: Mapping[str, str]) -> str:
    home = given.get("HOME") or "."
    return str(Path(given.get("XDG_DATA_HOME") or Path(home) / ".local" / "share") / "metrograph")


def _demo_settings(data_dir: Path) -> dict[str, str]:
    file = data_dir / DEMO_FILE
    if not file.is_file():
        return {}
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings([settings_problem("METROGRAPH_DATA_DIR", data_dir, f"its {DEMO_FILE}: {error}")]) from error
    return {str(key): str(value) for key, value in content.items()}
