"""A session for one request whose fields may resolve at the same time.

Owns `RequestSession`. The executor runs the fields of a query concurrently and a database session serves one caller at
a time, so calls queue here instead of in every resolver. A task that already holds the session passes straight through.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

Answer = TypeVar("Answer")


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

    async def _serve(self, statement: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer of a statement, when it is this caller's turn.

        A caller that is broken off leaves when its statement has ended: a field that fails breaks off those beside it,
        and a connection with half an answer on it would be lost to the whole request.
        """
        asked: asyncio.Task[Answer] | None = None
        try:
            async with self._turn():
                asked = asyncio.create_task(statement)
                try:
                    return await asyncio.shield(asked)
                except asyncio.CancelledError:
                    # Broken off once more, as by a server that ends, the statement ends too.
                    await asyncio.gather(asked, return_exceptions=True)
                    raise
        finally:
            if asked is None:
                statement.close()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep every other caller out while the block runs; inside it nothing may be awaited that another task reads."""
        async with self._turn():
            yield

    # `scalars` goes through `execute`.
    async def execute(self, *arguments: Any, **options: Any) -> Any:
        return await self._serve(super().execute(*arguments, **options))

    async def scalar(self, *arguments: Any, **options: Any) -> Any:
        return await self._serve(super().scalar(*arguments, **options))

    async def get(self, *arguments: Any, **options: Any) -> Any:
        return await self._serve(super().get(*arguments, **options))

    async def get_one(self, *arguments: Any, **options: Any) -> Any:
        return await self._serve(super().get_one(*arguments, **options))

    async def stream(self, *arguments: Any, **options: Any) -> Any:
        return await self._serve(super().stream(*arguments, **options))

    async def flush(self, *arguments: Any, **options: Any) -> None:
        await self._serve(super().flush(*arguments, **options))

    async def refresh(self, *arguments: Any, **options: Any) -> None:
        await self._serve(super().refresh(*arguments, **options))

    async def connection(self, *arguments: Any, **options: Any) -> Any:
        return await self._serve(super().connection(*arguments, **options))


@asynccontextmanager
async def alone(session: AsyncSession) -> AsyncIterator[None]:
    """`RequestSession.alone`; any other session has one caller only."""
    if isinstance(session, RequestSession):
        async with session.alone():
            yield
    else:
        yield
