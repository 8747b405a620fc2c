"""What AWS's own service models allow: members, types, patterns and bounds of a request.

Owns the walk through botocore's models, so that the stand-in refuses what AWS would. Leaves rules that no model states
(windows, identities) to the stand-in. The SDK itself checks less than its models say.
"""

# botocore ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import re
from functools import cache
from typing import Any, cast

from botocore import session as boto_session

_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict, "map": dict, "list": list, "string": str, "integer": int, "boolean": bool,
}  # fmt: skip


@cache
def _input_shape(service: str, operation: str) -> Any:
    model: Any = boto_session.get_session().get_service_model(service)
    return model.operation_model(operation).input_shape


def fault(service: str, operation: str, body: object) -> str | None:
    """The first thing in a request that the model does not allow, with its place; None when it is fine."""
    return _fault(_input_shape(service, operation), body, "")


def _fault(shape: Any, value: object, path: str) -> str | None:
    kind = str(shape.type_name)
    expected = _TYPES.get(kind)
    if expected is not None and (not isinstance(value, expected) or (kind == "integer" and isinstance(value, bool))):
        return f"{path or 'the request'} must be of type {kind}."
    if kind == "structure":
        return _structure_fault(shape, cast("dict[str, object]", value), path)
    bounds = shape.metadata
    size = len(cast("Any", value)) if kind in ("string", "list", "map") else value if kind == "integer" else None
    least, most = bounds.get("min"), bounds.get("max")
    if isinstance(size, int) and ((least is not None and size < least) or (most is not None and size > most)):
        return f"{path} must be within {least} and {most}."
    pattern = bounds.get("pattern")
    if kind == "string" and pattern and not re.fullmatch(str(pattern), str(value)):
        return f"{path} must match {pattern}."
    if kind == "list":
        items = enumerate(cast("list[object]", value))
        return next((found for i, one in items if (found := _fault(shape.member, one, f"{path}.{i}"))), None)
    return None


def _structure_fault(shape: Any, value: dict[str, object], path: str) -> str | None:
    unknown = sorted(set(value) - set(shape.members))
    if unknown:
        return f"{path or 'the request'} has no member {unknown[0]}."
    missing = sorted(set(shape.required_members) - set(value))
    if missing:
        return f"{path or 'the request'} lacks {missing[0]}."
    members = ((name, shape.members[name], one) for name, one in value.items())
    return next((found for name, inner, one in members if (found := _fault(inner, one, f"{path}.{name}"))), None)
