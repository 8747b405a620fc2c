"""Calls a connector, and makes of whatever comes back an answer that can be stored.

Owns the border to providers' words. A receipt must never be lost because a message was too long, held a character that
the database refuses, or because the connector itself made a mistake: without a receipt the same try begins again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

import structlog

from app.core.period import Period
from app.delivery.registry import Connection
from connectors.base import Document, ListsRequests, Outcome, ProviderEntry, Receipt, Terminal, Transient

log = structlog.get_logger("metrograph.delivery")

Answer: TypeAlias = Sequence[Outcome] | Transient | Terminal
Entries: TypeAlias = Sequence[ProviderEntry] | Transient | Terminal
Reader: TypeAlias = Callable[[Connection, Period], Awaitable[Entries]]
CODE, TEXT, REFERENCE = 64, 2_000, 255
"""How much is kept of a code or a state, of a sentence, and of an identifier."""


async def ask(connection: Connection, document: Document, key: str) -> Answer:
    """Deliver a document: one outcome for each record, or the failure instead of them."""
    try:
        found = await connection.connector.deliver(document, key)
    except (Transient, Terminal) as failure:
        return _storable(failure)
    except Exception as fault:
        # What a connector did before its own mistake is unknown. It must not be tried for ever in silence.
        log.exception("connector failed", connection=connection.name, key=key)
        return Transient(f"The connector failed ({type(fault).__name__})", unknown=True)
    return [_kept(outcome) for outcome in found]


async def look_up(connection: Connection, document: Document) -> Outcome | Transient | Terminal | None:
    """What the provider has under our reference; None when there is nothing."""
    return await _answered(connection, connection.connector.find(document))


async def take_back(connection: Connection, receipt: Receipt) -> Outcome | Transient | Terminal:
    """Void at the provider what was delivered."""
    found = await _answered(connection, connection.connector.void(receipt))
    return found or Terminal("NO_ANSWER", "The connector did not say what became of it")


async def read_back(connection: Connection, reference: str) -> ProviderEntry | Transient | Terminal:
    """The object as the provider shows it now, or why it cannot be read."""
    try:
        return _shown(await connection.connector.status(reference))
    except (Transient, Terminal) as failure:
        return _storable(failure)
    except Exception as fault:
        log.exception("connector failed", connection=connection.name)
        return Transient(f"The connector failed ({type(fault).__name__})")


async def listed(connection: Connection, period: Period) -> Entries:
    """Everything that the provider shows of a period, or why it cannot be read."""
    return await _read(connection, connection.connector.list(period))


async def requested(connection: Connection, period: Period) -> Entries:
    """Every payment request that a marketplace shows of a period, or why they cannot be read."""
    return await _read(connection, cast("ListsRequests", connection.connector).requests(period))


async def _read(connection: Connection, call: Awaitable[Sequence[ProviderEntry]]) -> Entries:
    try:
        return [_shown(entry) for entry in await call]
    except (Transient, Terminal) as failure:
        return _storable(failure)
    except Exception as fault:
        log.exception("connector failed", connection=connection.name)
        return Transient(f"The connector failed ({type(fault).__name__})")


async def shown_now(connection: Connection, reference: str) -> ProviderEntry | None:
    """The object as the provider shows it now; None when it does not answer, and then it is asked again later."""
    found = await read_back(connection, reference)
    if isinstance(found, ProviderEntry):
        return found
    log.warning("not shown by the provider", connection=connection.name, reference=reference, reason=str(found))
    return None


async def _answered(connection: Connection, call: Awaitable[Outcome | None]) -> Outcome | Transient | Terminal | None:
    try:
        found = await call
    except (Transient, Terminal) as failure:
        return _storable(failure)
    except Exception as fault:
        log.exception("connector failed", connection=connection.name)
        return Transient(f"The connector failed ({type(fault).__name__})", unknown=True)
    return None if found is None else _kept(found)


def _kept(outcome: Outcome) -> Outcome:
    return replace(
        outcome,
        provider_reference=storable_text(outcome.provider_reference, REFERENCE),
        provider_status=storable_text(outcome.provider_status, CODE),
        code=storable_text(outcome.code, CODE),
        message=storable_text(outcome.message, TEXT),
        hint=storable_text(outcome.hint, TEXT),
        request_ids=tuple(storable_text(text, REFERENCE) or "" for text in outcome.request_ids[:100]),
    )


def _shown(entry: ProviderEntry) -> ProviderEntry:
    reference, status = storable_text(entry.provider_reference, REFERENCE), storable_text(entry.provider_status, CODE)
    return replace(
        entry, provider_reference=reference or "", provider_status=status or "",
        message=storable_text(entry.message, TEXT), charge=storable_text(entry.charge, REFERENCE),
    )  # fmt: skip


def _storable(failure: Transient | Terminal) -> Transient | Terminal:
    message = storable_text(failure.message, TEXT) or ""
    if isinstance(failure, Transient):
        return Transient(message, wait=failure.wait, unknown=failure.unknown)
    code, hint = storable_text(failure.code, CODE) or "TERMINAL", storable_text(failure.hint, TEXT) or ""
    return Terminal(code, message, hint=hint, stop_connection=failure.stop_connection)


def storable_text(text: str | None, longest: int) -> str | None:
    """The text in characters that PostgreSQL keeps, no longer than its column; None for an empty one."""
    if not text:
        return None
    return text.replace("\0", "").encode(errors="replace").decode()[:longest] or None
