"""Counts the SQL statements that a request makes, so that a test can say that lists cost no more than single objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from app.store.engine import Store


@contextmanager
def counted(store: Store) -> Iterator[list[str]]:
    """The statements made on the store's engine while the block runs, savepoints aside."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(store.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(store.engine.sync_engine, "before_cursor_execute", note)
