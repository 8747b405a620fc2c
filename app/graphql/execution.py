"""From document text to an answer: prepare once, check the caller, execute, decide what is kept.

Owns the memo of prepared documents and the transaction around one operation. Parsing, limits and validation are most
of the cost of a small query, so they are done once for each text. Transport is left to `http.py` and `websocket.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

import strawberry
from graphql import DocumentNode, GraphQLError, OperationType, parse, recommended_rules, specified_rules, validate
from graphql.language import OperationDefinitionNode
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app.actor import Actor
from app.clock import Clock
from app.errors import Unavailable
from app.graphql.context import AuditWriter, Context, Outcome
from app.graphql.errors import ApiError, Code, forbidden, public, retryable
from app.graphql.limits import Limits, Shape, check_document, refuse
from app.graphql.session import RequestSession
from app.store.engine import Store

RULES = tuple(dict.fromkeys((*specified_rules, *recommended_rules, MaybeNullValidationRule, OneOfInputValidationRule)))
ATTEMPTS = 3
ROLLED_BACK = "ROLLED_BACK"
"""Audit code of a mutation that was carried out and undone, because another one of its request failed."""

Authenticate = Callable[[AsyncSession, datetime], Awaitable[Actor]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document after parsing, limits and validation; `errors` is empty when it may be executed."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    shape: Shape | None = None

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation to run, by name or because it is the only one."""
        assert self.document is not None
        found = [node for node in self.document.definitions if isinstance(node, OperationDefinitionNode)]
        named = [node for node in found if name is None or (node.name is not None and node.name.value == name)]
        if not named:
            wanted = f"The document has no operation named {name[:60]!r}." if name else "The document has no operation."
            raise ApiError(Code.BAD_REQUEST, wanted)
        if len(named) > 1:
            raise ApiError(Code.BAD_REQUEST, "The document has several operations; operationName must choose one.")
        return named[0]


class Documents:
    """A bounded memo: document text -> Prepared. The oldest text is forgotten first."""

    def __init__(self, limits: Limits, *, size: int = 300) -> None:
        self.limits = limits
        self.size = size
        self.schema: strawberry.Schema | None = None
        self._memo: OrderedDict[str, Prepared] = OrderedDict()

    def prepare(self, text: str) -> Prepared:
        """Parse, check and validate a text, or remember having done so."""
        found = self._memo.get(text)
        if found is None:
            found = self._memo[text] = self._prepare(text)
            if len(self._memo) > self.size:
                self._memo.popitem(last=False)
        else:
            self._memo.move_to_end(text)
        return found

    def extension(self) -> SchemaExtension:
        """The extension that hands prepared documents to the library, which then neither parses nor validates."""
        return _UsePrepared(self)

    def _prepare(self, text: str) -> Prepared:
        assert self.schema is not None
        try:
            if len(text) > self.limits.document_bytes or len(text.encode()) > self.limits.document_bytes:
                refuse(f"The document is larger than {self.limits.document_bytes} bytes.")
            document = parse(text, max_tokens=self.limits.tokens)
            shape = check_document(document, self.limits)
            errors = validate(self.schema._schema, document, RULES, max_errors=self.limits.errors)
        except RecursionError:
            return Prepared(None, (ApiError(Code.LIMIT_EXCEEDED, "The document is nested too deeply."),))
        except GraphQLError as error:
            if "tokens" in error.message:
                error = ApiError(Code.LIMIT_EXCEEDED, f"The document has more than {self.limits.tokens} tokens.")
            return Prepared(None, (error,))
        return Prepared(document, tuple(errors[: self.limits.errors]), shape)


class _UsePrepared(SchemaExtension):
    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    def on_parse(self) -> Iterator[None]:
        assert self.execution_context.query is not None
        prepared = self.documents.prepare(self.execution_context.query)
        if prepared.errors:
            raise prepared.errors[0]
        self.execution_context.graphql_document = prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        self.execution_context.pre_execution_errors = []
        yield


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

    def check(self, operation: Operation, actor: Actor) -> Prepared:
        """The prepared document, when this caller may run the chosen operation; ApiError otherwise."""
        prepared = self.documents.prepare(operation.query)
        if prepared.document is None or prepared.errors:
            return prepared
        chosen = prepared.operation(operation.name)
        if operation.read_only and chosen.operation is not OperationType.QUERY:
            raise ApiError(
                Code.BAD_REQUEST,
                "GET runs queries only; send this operation by POST.",
                status=HTTPStatus.METHOD_NOT_ALLOWED,
            )
        if prepared.shape is not None and prepared.shape.introspects and not may_introspect(actor):
            raise forbidden("schema introspection")
        return prepared

    @asynccontextmanager
    async def open(self, authenticate: Authenticate, *, request_id: str) -> AsyncIterator[Context]:
        """A context whose transaction commits when the block ends, unless the block raises `_Undo`."""
        now = self.clock.now()
        async with self.store.transaction(session_class=RequestSession) as session:
            actor = await authenticate(session, now)
            yield Context(session, actor, now, request_id, self.write_audit)

    async def run(
        self,
        operation: Operation,
        authenticate: Authenticate,
        *,
        request_id: str,
        around: Callable[[Context, Callable[[], Awaitable[Result]]], Awaitable[Result]] | None = None,
    ) -> Result:
        """Run a query or mutation in a transaction of its own. Deadlocks are repeated, up to three attempts in all.

        `around` may answer in place of the operation, or add to its transaction (idempotency keys).
        """
        for attempt in range(1, ATTEMPTS + 1):
            result, context = Result(executed=False, data=None), None
            try:
                async with self.open(authenticate, request_id=request_id) as context:
                    opened = context

                    async def execute(opened: Context = opened) -> Result:
                        return await self._execute(operation, opened)

                    result = await (around(context, execute) if around else execute())
                    if context.outcomes and result.errors:
                        raise _Undo
                return result
            except _Undo:
                assert context is not None
                if attempt < ATTEMPTS and any(retryable(error) for error in result.errors):
                    continue
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

    async def _execute(self, operation: Operation, context: Context) -> Result:
        prepared = self.check(operation, context.actor)
        limit = self.documents.limits.errors
        if prepared.errors:
            return Result(executed=False, data=None, errors=list(prepared.errors[:limit]))
        answer = await self.schema.execute(
            operation.query, operation.variables, context_value=context, operation_name=operation.name
        )
        errors = list(answer.errors or [])[:limit]
        # Variables that do not fit stop an operation before its first field, so no error has a path.
        executed = answer.data is not None or any(error.path for error in errors) or not errors
        return Result(executed=executed, data=answer.data, errors=errors)

    async def _keep_outcomes(self, context: Context) -> None:
        """Write the audit entries of a rolled-back operation again: nothing was changed, and that is what they say."""
        async with self.store.transaction() as session:
            for outcome in context.outcomes:
                undone = Outcome(outcome.action, outcome.code or ROLLED_BACK, outcome.change)
                await self.write_audit(session, context.actor, context.now, undone)


def may_introspect(actor: Actor) -> bool:
    """Whether a caller may ask for the schema: not a customer's own token, nor a key that can only write."""
    reads = any(scope == "admin" or scope.endswith(":read") for scope in actor.scopes)
    return actor.customer_id is None and reads
