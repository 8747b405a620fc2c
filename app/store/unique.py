"""Creates that are safe to repeat: a uniqueness key is used at most once, for ever, also by racing callers.

Owns the refusal of a second use. The unique index decides and the savepoint keeps the transaction usable; a create that
fails for any reason leaves no row and so consumes no key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import errors as pg
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.errors import Conflict, ErrorCode, InvalidInput
from app.store.base import Unique

PATH = ("input", "uniquenessKey")
LONGEST = 128


@asynccontextmanager
async def once(
    session: AsyncSession, row_class: type[Unique], key: str | None, *, path: tuple[str, ...] = PATH
) -> AsyncIterator[None]:
    """Create a row of this class inside the block, in a savepoint.

    Errors: `Conflict` UNIQUENESS_KEY_CONFLICT naming the first row, when the key was used before or is being used by
    somebody who commits first. Violations of other unique indexes pass through as IntegrityError.
    """
    if key is not None and not 0 < len(key) <= LONGEST:
        raise InvalidInput(ErrorCode.INVALID, f"A uniqueness key has 1 to {LONGEST} characters.", path=path)
    await _refuse_used(session, row_class, key, path)
    try:
        async with session.begin_nested():
            yield
    except IntegrityError as error:
        if isinstance(error.orig, pg.UniqueViolation):
            await _refuse_used(session, row_class, key, path)
        raise


async def _refuse_used(session: AsyncSession, row_class: type[Unique], key: str | None, path: tuple[str, ...]) -> None:
    if key is None:
        return
    first = (await session.execute(select(row_class).where(row_class.uniqueness_key == key))).scalar_one_or_none()
    if first is not None:
        raise Conflict(
            ErrorCode.UNIQUENESS_KEY_CONFLICT,
            f"The uniqueness key {key[:60]!r} was used before; nothing was created.",
            path=path,
            conflicting=first,
        )
