"""Documents, prepared once: parsed, held against the limits, validated, remembered.

Owns the bounded memo from text to prepared document, and the extension that hands them to the library. These three
steps are most of the cost of a small query; the validation rules are built once for the same reason.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import strawberry
from graphql import DocumentNode, GraphQLError, parse, recommended_rules, specified_rules, validate
from graphql.language import OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app.graphql.errors import ApiError, Code
from app.graphql.limits import Limits, Shape, check_document, refuse

RULES = tuple(dict.fromkeys((*specified_rules, *recommended_rules, MaybeNullValidationRule, OneOfInputValidationRule)))


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
        if len(text) > self.limits.document_bytes or len(text.encode("utf-8", "replace")) > self.limits.document_bytes:
            refuse(f"The document is larger than {self.limits.document_bytes} bytes.")
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
            document = parse(
                text,
                max_lexical_tokens=self.limits.tokens,
                max_comments=self.limits.tokens,
                allow_empty_selection_sets=False,
            )
            shape = check_document(document, self.limits)
            errors = validate(self.schema._schema, document, RULES, max_errors=self.limits.errors)
        except RecursionError:
            return Prepared(None, (ApiError(Code.LIMIT_EXCEEDED, "The document is nested too deeply."),))
        except GraphQLError as error:
            return Prepared(None, (self._named(error),))
        return Prepared(document, tuple(errors[: self.limits.errors]), shape)

    def _named(self, error: GraphQLError) -> GraphQLError:
        """The parser reports its own bounds as syntax errors; callers hear which limit it was."""
        if "Document contains more than" in error.message:
            return ApiError(Code.LIMIT_EXCEEDED, f"The document has more than {self.limits.tokens} tokens or comments.")
        if "nested too deeply" in error.message:
            return ApiError(Code.LIMIT_EXCEEDED, "The document is nested too deeply.")
        return error


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
