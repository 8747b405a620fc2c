"""The decorators of root fields: every one declares its scope, every mutation leaves one audit entry.

Owns the order of things around a resolver: permission, savepoint, resolver, audit entry, `userErrors`. A root field
made in any other way fails `tests/test_schema.py`, so nothing can be reached without a decision about who may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField

from app.actor import Actor
from app.change import take_change
from app.errors import BillingError
from app.graphql.context import Info, Outcome
from app.graphql.errors import ApiError, Code, forbidden
from app.graphql.nodes import readable
from app.graphql.payload import Payload, UserError

ANY_KEY = "any"
"""Scope of fields that every authenticated caller may read; what they show is decided below them."""

SCOPE = "metrograph.scope"
ACTION = "metrograph.action"


def query_field(
    *, scope: str, description: str, for_customers: bool = False, **options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """A field of Query. `for_customers` marks one that narrows its answer for tokens bound to one customer.

    A customer's token is refused everywhere else, so that forgetting the filter closes a field instead of opening it.
    """
    extensions: list[FieldExtension] = [_Permission(scope, for_customers=for_customers), *options.pop("extensions", [])]
    return strawberry.field(
        description=_with_scope(description, scope), metadata={SCOPE: scope}, extensions=extensions, **options
    )


def subscription_field(
    *, scope: str, description: str, for_customers: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """A field of Subscription whose resolver returns a `Source`; scope and caller are looked at again for each change."""
    return strawberry.subscription(
        description=_with_scope(description, scope),
        metadata={SCOPE: scope},
        extensions=[_Subscription(scope, for_customers=for_customers)],
    )


def object_field(*, description: str, scope: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A field of an object that asks for a scope of its own, such as a customer's invoices."""
    extensions: list[FieldExtension] = [_Permission(scope, for_customers=True)] if scope else []
    return strawberry.field(description=description, extensions=extensions, **options)


def mutation_field(
    *, scope: str, action: str, description: str, audited: bool = True, **options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """A field of Mutation whose resolver returns a `Payload`; `action` names it in the audit log (customer.create).

    Not `audited`: it keeps a log of its own when it is carried out, as ingest does; refusals are audited all the same.
    """
    return strawberry.mutation(
        description=_with_scope(description, scope),
        metadata={SCOPE: scope, ACTION: action},
        extensions=[_Mutation(scope, action, audited=audited)],
        **options,
    )


def _with_scope(description: str, scope: str) -> str:
    """Readers of the schema see what a field asks for."""
    return f"{description} Scope: {'any key' if scope == ANY_KEY else scope}."


def permit(actor: Actor, scope: str, *, for_customers: bool = False) -> None:
    """Raise FORBIDDEN unless the caller holds the scope and the field is open to callers of its kind."""
    if scope != ANY_KEY and not actor.may(scope):
        raise forbidden(scope)
    if actor.customer_id is not None and not for_customers:
        raise ApiError(Code.FORBIDDEN, "This token is bound to one customer and cannot read this field.")


class _Permission(FieldExtension):
    def __init__(self, scope: str, *, for_customers: bool) -> None:
        self.scope = scope
        self.for_customers = for_customers

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Info, **arguments: Any) -> Any:
        permit(info.context.actor, self.scope, for_customers=self.for_customers)
        return await next_(source, info, **arguments)


class _Subscription(FieldExtension):
    def __init__(self, scope: str, *, for_customers: bool) -> None:
        self.permit = partial(permit, scope=scope, for_customers=for_customers)

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Info, **arguments: Any) -> Any:
        self.permit(info.context.actor)
        return replace(await next_(source, info, **arguments), permit=self.permit)


class _Mutation(FieldExtension):
    def __init__(self, scope: str, action: str, *, audited: bool) -> None:
        self.scope = scope
        self.action = action
        self.audited = audited

    def apply(self, field: StrawberryField) -> None:
        self.field = field

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Info, **arguments: Any) -> Any:
        context = info.context
        try:
            permit(context.actor, self.scope)
        except ApiError:
            await context.record(Outcome(self.action, Code.FORBIDDEN))
            raise
        take_change(context.session)
        refused: BillingError | None = None
        payload: Payload | None = None
        try:
            async with context.session.begin_nested():
                payload = await next_(source, info, **arguments)
        except BillingError as error:
            refused = error
        except Exception:
            # The operation will be rolled back whole; the entry is kept for the transaction after that.
            context.outcomes.append(Outcome(self.action, Code.INTERNAL, take_change(context.session)))
            raise
        finally:
            context.forget_loaded()
        change = take_change(context.session)
        if self.audited or refused is not None:
            await context.record(Outcome(self.action, refused.code if refused else None, change))
        if refused is None:
            return payload
        await readable(context.session, refused)
        return self._payload_class(info)(user_errors=[UserError.of(error, context.actor) for error in refused.each()])

    def _payload_class(self, info: Info) -> Callable[..., Payload]:
        made = self.field.resolve_type()
        assert get_object_definition(made) is not None, f"{info.field_name} must return a Payload"
        return made  # type: ignore[return-value]
