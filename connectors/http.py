"""The outer edge of every connector: settings tables, secrets and one HTTP client.

Owns how a `[connections.NAME]` table is read (every problem at once), `Secret` (never shown), and the httpx client with
its timeouts, request ids and logs without bodies. Leaves meaning to the connectors. Reading settings and talking HTTP
are the two places where a key could leak, so they stand in one file.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import httpx

from connectors.base import Problem, Terminal, Transient

log = logging.getLogger("metrograph.connectors")

T = TypeVar("T")


class SettingsError(ValueError):
    """A connection's table cannot be used; `problems` holds every reason."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"connections.{name}.{fault.key}: {fault.message}" for fault in problems))


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A value that no log, repr or error shows; `reveal` is called where the provider's client is built."""

    _value: str

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


class SettingsTable:
    """Reads one table key by key and collects problems; `finish` raises them together and names unknown keys.

    `defaults` maps a key to the environment variable that fills it when the table lacks it.
    """

    def __init__(
        self,
        name: str,
        table: Mapping[str, Any],
        environ: Mapping[str, str],
        *,
        defaults: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._environ = environ
        from_environment = {
            key: environ[variable] for key, variable in (defaults or {}).items() if environ.get(variable)
        }
        self._table: dict[str, Any] = {**from_environment, **table}
        self._known = {"provider"}
        self.problems: list[Problem] = []

    def fault(self, key: str, message: str) -> None:
        """Remember a problem."""
        self.problems.append(Problem(key, message))

    def has(self, key: str) -> bool:
        """True when the table or the environment gives the key."""
        return key in self._table

    def text(self, key: str, default: str | None = None, *, pattern: str = r".+", like: str = "a text") -> str:
        """A text that matches the pattern whole; without a default the key is required."""
        return self._read(key, default, "", like, lambda value: _matching(value, pattern))

    def choice(self, key: str, default: str, *, among: Mapping[object, str]) -> str:
        """One of the given spellings, translated to its meaning."""
        like = "one of " + ", ".join(str(spelling).lower() for spelling in among)
        return self._read(key, default, default, like, lambda v: among.get(v) if isinstance(v, str | bool) else None)

    def flag(self, key: str, default: bool) -> bool:
        """true or false; a customer's settings are texts, so both spellings count."""
        return self._read(key, default, default, "true or false", _flag)

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        """A whole number within bounds, also written as a text."""
        like = f"a whole number from {least} to {most}"
        return self._read(key, default, default, like, lambda value: _whole(value, least, most))

    def decimal(self, key: str, default: str) -> Decimal:
        """A positive exact number, written as a text; a TOML float is refused because it is not exact."""
        return self._read(key, Decimal(default), Decimal(default), f'a text such as "{default}"', _positive)

    def address(self, key: str, default: str | None) -> str:
        """An http(s) base address without a trailing slash, user or query; plain http is for stand-ins near by."""
        like = "an address such as https://host/path"
        return self._read(key, default, "", like, lambda value: _address(value))

    def secret(self, key: str, *, required: bool = True) -> Secret | None:
        """A secret by reference: `env:NAME` or `file:PATH`; a value in the file itself is refused."""
        if key not in self._table and not required:
            self._known.add(key)
            return None
        return self._read(key, None, Secret(""), "env:NAME or file:PATH, never the secret itself", self._resolve(key))

    def secrets(self, key: str) -> tuple[Secret, ...]:
        """A list of references, newest first, so that a secret can be rotated; empty when absent."""

        def resolve_all(value: object) -> tuple[Secret, ...] | None:
            if not isinstance(value, list | tuple):
                return None
            references: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            found = [self._resolve(key)(reference) for reference in references]
            return tuple(item for item in found if item is not None) if all(found) else None

        return self._read(key, (), (), "a list of env:NAME or file:PATH", resolve_all)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty when absent."""

        def all_texts(value: object) -> tuple[str, ...] | None:
            if not isinstance(value, list | tuple):
                return None
            items: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            found = tuple(item for item in items if isinstance(item, str))
            return found if len(found) == len(items) else None

        return self._read(key, (), (), "a list of texts", all_texts)

    def pairs(self, key: str, *, names: str, values: str, most: int, like: str) -> Mapping[str, str]:
        """A table of texts, whose names and values match their patterns whole; empty when absent."""

        def all_pairs(value: object) -> Mapping[str, str] | None:
            if not isinstance(value, Mapping) or len(cast("Mapping[object, object]", value)) > most:
                return None
            items = cast("Mapping[object, object]", value).items()
            found = {str(_matching(name, names)): str(_matching(text, values)) for name, text in items}
            is_fine = all(_matching(name, names) and _matching(text, values) for name, text in items)
            return found if is_fine else None

        return self._read(key, {}, {}, like, all_pairs)

    def finish(self) -> None:
        """Raise `SettingsError` when anything was wrong."""
        for key in sorted(set(self._table) - self._known):
            self.fault(key, f"unknown key; known are {', '.join(sorted(self._known))}")
        if self.problems:
            raise SettingsError(self._name, self.problems)

    def _read(self, key: str, default: T | None, stand_in: T, like: str, parse: Callable[[Any], T | None]) -> T:
        self._known.add(key)
        if key not in self._table:
            if default is None:
                self.fault(key, f"is required: {like}")
            return stand_in if default is None else default
        value = parse(self._table[key])
        if value is None:
            # The value is not repeated: someone may have put a secret where its reference belongs.
            self.fault(key, f"expected {like}")
            return stand_in
        return value

    def _resolve(self, key: str) -> Callable[[object], Secret | None]:
        def resolve(value: object) -> Secret | None:
            kind, _, place = value.partition(":") if isinstance(value, str) else ("", "", "")
            if kind not in ("env", "file") or not place:
                return None
            try:
                found = self._environ.get(place, "") if kind == "env" else Path(place).read_text(encoding="utf-8")
            except OSError as error:
                self.fault(key, f"{place} cannot be read: {error.strerror}")
                return None
            if not found.strip():
                self.fault(key, f"{kind}:{place} is empty or missing")
                return None
            return Secret(found.strip())

        return resolve


def is_like(text: str, pattern: str) -> bool:
    """Whether the whole text is of the pattern."""
    return re.fullmatch(pattern, text) is not None


def _matching(value: object, pattern: str) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


_FLAGS: Mapping[object, bool] = {True: True, False: False, "true": True, "false": False}


def _flag(value: object) -> bool | None:
    return _FLAGS.get(value) if isinstance(value, str | bool) else None


def _whole(value: object, least: int, most: int) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None


def _positive(value: object) -> Decimal | None:
    try:
        number = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else Decimal(0)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None


def _address(value: object) -> str | None:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        return None
    return parts.geturl().rstrip("/")


def problems_of(read: Callable[[Mapping[str, str]], object], settings: Mapping[str, str]) -> list[Problem]:
    """Every problem that reading a customer's side finds; empty when it is complete."""
    try:
        read(settings)
    except SettingsError as error:
        return list(error.problems)
    return []


def customer_of(read: Callable[[Mapping[str, str]], T], settings: Mapping[str, str]) -> T:
    """The customer's side of a frozen document. Error: `Terminal` CUSTOMER_SETTINGS."""
    try:
        return read(settings)
    except SettingsError as error:
        raise Terminal("CUSTOMER_SETTINGS", str(error), hint="Complete the billing configuration.") from error


def create_client(
    base_url: str, *, connect_seconds: int, read_seconds: int, headers: Mapping[str, str] | None = None
) -> httpx.AsyncClient:
    """One client for each connection: bounded waits, no redirects, every request with an id of ours."""
    return httpx.AsyncClient(
        base_url=base_url,
        headers=dict(headers or {}),
        timeout=httpx.Timeout(read_seconds, connect=connect_seconds),
        follow_redirects=False,
    )


async def send(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    request_id_header: str,
    **options: Any,
) -> tuple[httpx.Response, str]:
    """Make one call and give (response, request id). Any status comes back; a broken connection is `Transient`.

    A connection that never opened had no effect; one that broke later may have had it (`unknown`).
    """
    request_id = str(uuid.uuid4())
    try:
        response = await client.request(method, path, headers={**headers, request_id_header: request_id}, **options)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Transient(f"{client.base_url.host} cannot be reached ({type(error).__name__})") from error
    except httpx.TransportError as error:
        raise Transient(f"{client.base_url.host} did not answer ({type(error).__name__})", unknown=True) from error
    # Method, path, status and ids only: bodies and headers may hold tokens and customers' data.
    log.info("provider call %s %s -> %d (%s)", method, path, response.status_code, request_id)
    return response, request_id


_LOST: ContextVar[list[None] | None] = ContextVar("lost answers", default=None)


@contextmanager
def counting_lost() -> Generator[list[None], None, None]:
    """Has an entry for each answer that was lost inside, also of requests that an SDK then repeated by itself."""
    found: list[None] = []
    token = _LOST.set(found)
    try:
        yield found
    finally:
        _LOST.reset(token)


def note_lost() -> None:
    """A request may have had an effect, and its answer did not come, or said nothing."""
    found = _LOST.get()
    if found is not None:
        found.append(None)


def wait_from(headers: Mapping[str, str]) -> timedelta | None:
    """The wait that `Retry-After` asks for, at most an hour; None when it is absent or a date."""
    value = headers.get("retry-after") or headers.get("Retry-After") or ""
    return timedelta(seconds=min(int(value), 3600)) if value.isdecimal() and len(value) < 10 else None


def member(value: object, key: str) -> Any:
    """One key of a decoded answer; None when it is absent or the answer is no object at all."""
    return cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None


def members(value: object, key: str) -> list[object]:
    """A list in a decoded answer; empty when the provider, or something in its place, sent none."""
    found = member(value, key)
    return cast("list[object]", found) if isinstance(found, list) else []
