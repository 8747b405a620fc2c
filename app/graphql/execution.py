"""From an operation to its result: check the caller, execute in one transaction, decide what is kept.

Owns the transaction around one operation and what becomes of it after an error. Documents are prepared in
`documents.py`; transport is left to `http.py` and `websocket.py`, which share the gateway, so both behave alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import strawberry
import structlog
from graphql import GraphQLError, OperationType

from app.clock import Clock
from app.errors import Unavailable
from app.graphql.context import AuditWriter, Authenticate, Context, Outcome
from app.graphql.documents import Documents, Prepared
from app.graphql.errors import ApiError, Code, forbidden, public, retryable
from app.graphql.session import RequestSession
from app.providers import NoProviders, ProviderDirectory
from app.store.engine import Store

if TYPE_CHECKING:
    from app.settings import Settings

log = structlog.get_logger("metrograph.graphql")
ATTEMPTS = 3
ROLLED_BACK = "ROLLED_BACK"
"""Audit code of a mutation that was carried out and undone, because another one of its request failed."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a caller sends."""

    query: str
    variables: dict[str, Any] | None = None
    name: str | None = None
    read_only: bool = False
    """Set for GET, which runs queries only."""


@dataclass(slots=True)
class Result:
    """What came of it. `executed` is False when nothing ran; then `errors` are about the request itself."""

    executed: bool
    data: dict[str, Any] | None
    errors: list[GraphQLError] = field(default_factory=list)

    def body(self, *, request_id: str) -> dict[str, Any]:
        """The JSON object of the answer; no `data` entry when nothing was executed."""
        body: dict[str, Any] = {"data": self.data} if self.executed else {}
        if self.errors:
            body["errors"] = [public(error, request_id=request_id) for error in self.errors]
        return body


class _Undo(Exception):
    """Leaves a transaction without committing it."""


@dataclass(slots=True)
class Gateway:
    """Runs operations on one schema and one store; the doors hold one of these."""

    schema: strawberry.Schema
    documents: Documents
    store: Store
    clock: Clock
    write_audit: AuditWriter
    settings: Settings
    providers: ProviderDirectory = field(default_factory=NoProviders)

    def check(self, operation: Operation, context: Context) -> Prepared:
        """The prepared document, when this caller may run the chosen operation; ApiError otherwise."""
        prepared = self.documents.prepare(operation.query)
        if prepared.document is None or prepared.errors:
            return prepared
        chosen = prepared.operation(operation.name)
        if operation.read_only and chosen.operation is OperationType.MUTATION:
            raise ApiError(
                Code.BAD_REQUEST,
                "GET changes nothing; send this operation by POST.",
                status=405,
            )
        if prepared.shape is not None and prepared.shape.introspects and not may_introspect(context):
            raise forbidden("schema introspection")
        return prepared

    def is_subscription(self, operation: Operation) -> bool:
        """Whether an operation is one that goes on. What is wrong with a document is told when it is run."""
        prepared = self.documents.prepare(operation.query)
        if prepared.document is None or prepared.errors:
            return False
        return prepared.operation(operation.name).operation is OperationType.SUBSCRIPTION

    def is_mutation(self, operation: Operation, context: Context) -> bool:
        """Whether an operation that this caller may run would change something."""
        prepared = self.check(operation, context)
        return not prepared.errors and prepared.operation(operation.name).operation is OperationType.MUTATION

    @asynccontextmanager
    async def open(self, authenticate: Authenticate, *, request_id: str) -> AsyncIterator[Context]:
        """A context whose transaction commits when the block ends, unless the block raises `_Undo`."""
        now = self.clock.now()
        async with self.store.transaction(session_class=RequestSession) as session:
            actor = await authenticate(session, now)
            yield Context(session, actor, now, request_id, self.write_audit, self.settings, self.providers)

    async def run(
        self,
        operation: Operation,
        authenticate: Authenticate,
        *,
        request_id: str,
        around: Callable[[Context, Callable[[], Awaitable[Result]]], Awaitable[Result]] | None = None,
    ) -> Result:
        """Run a query or mutation in a transaction of its own; one that leaves a top-level error changes nothing.

        Deadlocks are repeated, up to three attempts in all.
        `around` may answer in place of the operation, or add to its transaction (idempotency keys).
        """
        for attempt in range(1, ATTEMPTS + 1):
            result, context = Result(executed=False, data=None), None
            try:
                async with self.open(authenticate, request_id=request_id) as context:
                    opened = context

                    async def execute(opened: Context = opened) -> Result:
                        return await self.execute(operation, opened)

                    result = await (around(context, execute) if around else execute())
                    if result.errors:
                        raise _Undo
                return result
            except _Undo:
                assert context is not None
                if attempt < ATTEMPTS and any(retryable(error) for error in result.errors):
                    continue
                if context.outcomes:
                    result.data = None
                    await self._keep_outcomes(context)
                return result
            except ApiError:
                raise
            except Unavailable as error:
                if attempt == ATTEMPTS or not isinstance(error.__cause__, Exception) or not retryable(error.__cause__):
                    wrapped = GraphQLError(error.message, original_error=error)
                    return Result(executed=False, data=None, errors=[wrapped])
        raise AssertionError("the loop returns")

    async def execute(self, operation: Operation, context: Context) -> Result:
        """Run an operation in a context that is open; whoever opened it undoes what leaves errors."""
        prepared = self.check(operation, context)
        limit = self.documents.limits.errors
        if prepared.errors:
            return Result(executed=False, data=None, errors=list(prepared.errors[:limit]))
        if self.is_subscription(operation):
            raise ApiError(
                Code.BAD_REQUEST,
                "A subscription needs a stream: accept text/event-stream, or speak graphql-transport-ws.",
                status=406,
            )
        answer = await self.schema.execute(
            operation.query, operation.variables, context_value=context, operation_name=operation.name
        )
        errors = list(answer.errors or [])[:limit]
        # Variables that do not fit stop an operation before its first field, so no error has a path.
        executed = answer.data is not None or any(error.path for error in errors) or not errors
        return Result(executed=executed, data=answer.data, errors=errors)

    async def _keep_outcomes(self, context: Context) -> None:
        """Write the audit entries of a rolled-back operation again: nothing was changed, and that is what they say."""
        undone = [Outcome(found.action, found.code or ROLLED_BACK, found.change) for found in context.outcomes]
        try:
            async with self.store.transaction() as session:
                for outcome in undone:
                    await self.write_audit(session, context.actor, context.now, outcome)
        except Unavailable:
            actions = [outcome.action for outcome in undone]
            log.error("audit entries of undone mutations are lost", request_id=context.request_id, actions=actions)


def may_introspect(context: Context) -> bool:
    """Whether a caller may ask for the schema: not a customer's own token, nor a key that can only write."""
    reads = any(scope == "admin" or scope.endswith(":read") for scope in context.actor.scopes)
    return context.actor.customer_id is None and reads
