"""A session for one request whose fields may resolve at the same time.

Owns `RequestSession`. The executor runs the fields of a query concurrently and a database session serves one caller at
a time, so calls queue here instead of in every resolver. A task that already holds the session passes straight through.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession


class RequestSession(AsyncSession):
    """An AsyncSession that serves its callers one after the other."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._queue = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        if self._holder is task:
            yield
            return
        async with self._queue:
            self._holder = task
            try:
                yield
            finally:
                self._holder = None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep every other caller out while the block runs; inside it nothing may be awaited that another task reads."""
        async with self._turn():
            yield

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        async with self._turn():
            return await super().execute(*arguments, **options)

    async def scalar(self, *arguments: Any, **options: Any) -> Any:
        async with self._turn():
            return await super().scalar(*arguments, **options)

    async def scalars(self, *arguments: Any, **options: Any) -> Any:
        async with self._turn():
            return await super().scalars(*arguments, **options)

    async def get(self, *arguments: Any, **options: Any) -> Any:
        async with self._turn():
            return await super().get(*arguments, **options)

    async def get_one(self, *arguments: Any, **options: Any) -> Any:
        async with self._turn():
            return await super().get_one(*arguments, **options)

    async def stream(self, *arguments: Any, **options: Any) -> Any:
        async with self._turn():
            return await super().stream(*arguments, **options)

    async def flush(self, *arguments: Any, **options: Any) -> None:
        async with self._turn():
            await super().flush(*arguments, **options)

    async def refresh(self, *arguments: Any, **options: Any) -> None:
        async with self._turn():
            await super().refresh(*arguments, **options)

    async def connection(self, *arguments: Any, **options: Any) -> Any:
        async with self._turn():
            return await super().connection(*arguments, **options)


@asynccontextmanager
async def alone(session: AsyncSession) -> AsyncIterator[None]:
    """`RequestSession.alone`; any other session has one caller only."""
    if isinstance(session, RequestSession):
        async with session.alone():
            yield
    else:
        yield
