"""Subscriptions: a stream of results, each read in a transaction of its own, by the caller as it may read then.

Owns the stream of one subscription, whatever carries it: what is told when, and what ends it. Hearing of changes is left to
`store/listening.py`, carrying results to `websocket.py` and `sse.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from graphql import ExecutionResult, GraphQLError
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event

from app.actor import Actor
from app.errors import BillingError, NotFound
from app.graphql.context import Authenticate, Context
from app.graphql.execution import Gateway, Operation, Result
from app.graphql.nodes import visible
from app.store import ids
from app.store.listening import Change, Subscription

CHECK_SECONDS = 30.0
"""So long at most a revoked or expired key hears on, and so old at most is a state that changed by itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a field of Subscription listens to: which changes, and what a caller reads of each; None: nothing to tell.

    A state (`is_state`) is told at once, and again when it reads otherwise, at most every `pace_seconds`; a change of it
    may be None. `is_last` says that nothing comes after a value.
    """

    accepts: Callable[[Change], bool]
    load: Callable[[Context, Change | None], Awaitable[Any]]
    is_state: bool = False
    pace_seconds: float = 0.0
    is_last: Callable[[Context, Any], Awaitable[bool]] | None = None
    permit: Callable[[Actor], None] = lambda _: None

    def __aiter__(self) -> AsyncIterator[object]:
        """The executor asks for something that could be iterated over; only `opened` reads it."""
        raise TypeError("a source is read by the stream of its subscription")


async def changes(context: Context, kind: str, loader: str, customer_id: str | None) -> Source:
    """Each change of one kind of rows: of one customer, of all, or of the customer to whom the caller is bound."""
    own = await customer_of(context, customer_id)

    async def load(reader: Context, change: Change | None) -> Any:
        assert change is not None, "changes are no state"
        row = await reader.load(loader, change.id)
        return row if row is not None and (reader.actor.customer_id is None or visible(reader.actor, row)) else None

    return Source(lambda change: change.kind == kind and own in (None, change.customer_id), load)


async def customer_of(context: Context, customer_id: str | None) -> UUID | None:
    """The customer that is meant; NOT_FOUND for one that does not exist, and for another one's token."""
    if customer_id is None:
        return context.actor.customer_id
    own = ids.from_text("customer", customer_id, path=("customerId",))
    found = await context.load("customer", own)
    if found is None or not visible(context.actor, found):
        raise NotFound("Customer", customer_id, path=("customerId",))
    return own


@asynccontextmanager
async def opened(
    gateway: Gateway, operation: Operation, authenticate: Authenticate, *, request_id: str
) -> AsyncIterator[Result | AsyncGenerator[Result]]:
    """The results of a subscription, which is heard from now on; or the one result that refuses it.

    Errors: those of the door and of the listener. Afterwards none: what ends a stream is its last result.
    """
    source: Source | Result
    async with gateway.open(authenticate, request_id=request_id) as context:
        source = await _source(gateway, operation, context)
    if isinstance(source, Result):
        yield source
        return
    async with gateway.store.listener.subscribe(source.accepts, is_state=source.is_state) as subscription:
        stream = _Stream(gateway, operation, authenticate, request_id, source, subscription)
        results = stream.results()
        try:
            yield results
        finally:
            await results.aclose()


async def _source(gateway: Gateway, operation: Operation, context: Context) -> Source | Result:
    prepared = gateway.check(operation, context)
    if prepared.errors:
        return Result(executed=False, data=None, errors=list(prepared.errors))
    executor = _executor(gateway, operation, context)
    if not isinstance(executor, Executor):
        return Result(executed=False, data=None, errors=executor)
    found: Any = create_source_event_stream(executor)
    found = await found if executor.is_awaitable(found) else found
    if isinstance(found, ExecutionResult):
        return Result(executed=False, data=None, errors=list(found.errors or ()))
    assert isinstance(found, Source), "fields of Subscription return a Source"
    return found


def _executor(
    gateway: Gateway, operation: Operation, context: Context, value: object = None
) -> Executor | list[GraphQLError]:
    document = gateway.documents.prepare(operation.query).document
    assert document is not None
    return Executor.build(
        gateway.schema._schema, document, root_value=value, context_value=context,
        raw_variable_values=operation.variables, operation_name=operation.name,
        max_coercion_errors=gateway.documents.limits.errors,
    )  # fmt: skip


@dataclass(slots=True)
class _Stream:
    gateway: Gateway
    operation: Operation
    authenticate: Authenticate
    request_id: str
    source: Source
    subscription: Subscription

    async def results(self) -> AsyncGenerator[Result]:
        """One result for each change, until the caller goes or something ends the stream."""
        try:
            last: Result | None = None
            heard: Change | bool = self.source.is_state
            while True:
                result, is_last = await self._read(heard)
                if result is not None and not (self.source.is_state and _says_the_same(result, last)):
                    yield result
                    last = result
                if is_last:
                    return
                if last is not None:
                    await asyncio.sleep(self.source.pace_seconds)
                heard = await self.subscription.next(wait_seconds=CHECK_SECONDS)
        except GraphQLError as error:
            yield Result(executed=False, data=None, errors=[error])
        except Exception as error:
            # Ours is told with its code, anything else masked and logged, when the body is made.
            message = error.message if isinstance(error, BillingError) else "fault"
            yield Result(executed=False, data=None, errors=[GraphQLError(message, original_error=error)])

    async def _read(self, heard: Change | bool) -> tuple[Result | None, bool]:
        """What there is to tell of a change, and whether it is the last; the caller is looked at also when nothing is."""
        async with self.gateway.store.listener.readers, self._opened() as context:
            self.source.permit(context.actor)
            if heard is False and not self.source.is_state:
                return None, False
            value = await self.source.load(context, heard if isinstance(heard, Change) else None)
            if value is None:
                return None, False
            executor = _executor(self.gateway, self.operation, context, value)
            assert isinstance(executor, Executor), "the same variables fitted before"
            answer = execute_subscription_event(executor)
            done = cast("ExecutionResult", await answer if executor.is_awaitable(answer) else answer)
            errors = list(done.errors or ())[: self.gateway.documents.limits.errors]
            is_last = self.source.is_last is not None and await self.source.is_last(context, value)
            return Result(executed=True, data=done.data, errors=errors), is_last

    def _opened(self) -> Any:
        return self.gateway.open(self.authenticate, request_id=self.request_id)


def _says_the_same(result: Result, last: Result | None) -> bool:
    return last is not None and result.data == last.data and not result.errors and not last.errors
