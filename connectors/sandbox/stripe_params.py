"""Which parameters Stripe knows, and of which kind: read from the SDK's own types.

Owns the check of a decoded form against such a type: unknown names, wrong kinds, words that are none of a closed list, and
what is missing. So a request that the SDK's types would not allow fails here as it fails at Stripe.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NotRequired, TypeVar, Union, cast

import stripe.params

from connectors.sandbox.stripe_form import Refusal

_Item = TypeVar("_Item")
_OPTIONS = frozenset({"api_key", "content_type", "headers", "idempotency_key", "max_network_retries", "stripe_account", "stripe_context",
                      "stripe_version"})  # fmt: skip
_FORMS: dict[Any, str] = {int: r"-?\d{1,18}", bool: "true|false", Decimal: r"-?\d{1,18}(\.\d{1,12})?"}
_REFUSALS: dict[Any, str] = {int: "parameter_invalid_integer"}


class _Untyped(dict[str, _Item]):
    """Stands for a name that the SDK's types import for type checkers only."""


def require_params(kind: str, values: dict[str, Any], *, simulated: frozenset[str] | None = None) -> None:
    """Refuse what `stripe.params.<kind>` does not allow, and what this stand-in does not carry out."""
    _check_object(getattr(stripe.params, kind), values, "")
    for name in values:
        if simulated is not None and name not in simulated:
            # Taken in silence it would look like a success.
            raise Refusal(f"This stand-in does not carry out {name}", code="not_simulated", param=name)


@cache
def _members(kind: type) -> dict[str, Any]:
    """Name -> annotation, `NotRequired` kept; options of the SDK itself are no parameters."""
    known = {"StripeContext": object, "Mapping": Mapping, "UntypedStripeObject": _Untyped}
    hints = typing.get_type_hints(kind, localns=known, include_extras=True)
    return {name: hint for name, hint in hints.items() if name not in _OPTIONS}


def _check_object(kind: type, values: dict[str, Any], prefix: str) -> None:
    members = _members(kind)
    for name, value in values.items():
        path = f"{prefix}[{name}]" if prefix else name
        if name not in members:
            raise Refusal(f"Received unknown parameter: {path}", code="parameter_unknown", param=path)
        hint = members[name]
        _check(typing.get_args(hint)[0] if typing.get_origin(hint) is NotRequired else hint, value, path)
    for name, hint in members.items():
        if typing.get_origin(hint) is not NotRequired and name not in values:
            path = f"{prefix}[{name}]" if prefix else name
            raise Refusal(f"Missing required param: {path}.", code="parameter_missing", param=path)


def _check(hint: Any, value: Any, path: str) -> None:
    choices = list(typing.get_args(hint)) if typing.get_origin(hint) in (Union, types.UnionType) else [hint]
    words = [word for choice in choices if typing.get_origin(choice) is Literal for word in typing.get_args(choice)]
    if isinstance(value, str) and value in words:
        return
    # The SDK writes `Literal[…] | str` for a list that may grow; to the API of today it is closed.
    choices = [
        choice for choice in choices if typing.get_origin(choice) is not Literal and not (choice is str and any(words))
    ]
    if isinstance(value, str):
        _check_text(choices, value, path)
    elif isinstance(value, list):
        kind = next((choice for choice in choices if typing.get_origin(choice) is list), None)
        if kind is None:
            raise Refusal("Invalid array", param=path)
        for place, item in enumerate(cast("list[Any]", value)):
            _check(typing.get_args(kind)[0], item, f"{path}[{place}]")
    else:
        kind = next((choice for choice in choices if hasattr(choice, "__required_keys__")), None)
        # Those of `typing_extensions` are none to `typing.is_typeddict` in Python 3.11.
        if kind is not None:
            _check_object(kind, value, path)
        elif not any(typing.get_origin(choice) in (dict, _Untyped) for choice in choices):
            raise Refusal("Invalid object", param=path)


def _check_text(choices: list[Any], value: str, path: str) -> None:
    plain = [choice for choice in choices if choice is str or choice in _FORMS]
    if str in plain or any(re.fullmatch(_FORMS[choice], value) for choice in plain):
        return
    wanted = plain[0].__name__ if plain else "value"
    code = _REFUSALS.get(plain[0]) if plain else None
    raise Refusal(f"Invalid {wanted}: {value[:100]}", code=code, param=path)
