"""Compares results with expectations, at level 2 or 3 of the scenario format, and says where they differ.

Level 2 merges lines over intervals before it compares; level 3 takes them as they are. The order of lines is for
reading only and never compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from app.core.money import ZERO, canonical, exact

Json = dict[str, Any]


def differences(found: Any, expected: Any, *, strict: bool, path: str = "") -> list[str]:
    """What differs, one line each: path, found, expected. Empty when everything is equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        lines: list[str] = []
        for key in sorted(set(found) | set(expected)):
            here = f"{path}.{key}"
            if key == "lines" and key in found and key in expected:
                lines += _line_differences(found[key], expected[key], strict=strict, path=here)
            else:
                lines += differences(found.get(key), expected.get(key), strict=strict, path=here)
        return lines
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return [f"{path}: {len(found)} entries, expected {len(expected)}: {_short(found)} / {_short(expected)}"]
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for number, (a, b) in pairs for line in differences(a, b, strict=strict, path=f"{path}[{number}]")]
    return [] if found == expected else [f"{path}: found {_short(found)}, expected {_short(expected)}"]


def _line_differences(found: Sequence[Json], expected: Sequence[Json], *, strict: bool, path: str) -> list[str]:
    prepare = _sorted if strict else _merged
    ours, theirs = prepare(found), prepare(expected)
    missing = [f"{path}: missing {_short(line)}" for line in theirs if line not in ours]
    extra = [f"{path}: unexpected {_short(line)}" for line in ours if line not in theirs]
    if not missing and not extra and len(ours) != len(theirs):
        return [f"{path}: {len(ours)} lines, expected {len(theirs)}"]
    return missing + extra


def _sorted(lines: Sequence[Json]) -> list[Json]:
    return sorted(lines, key=lambda line: json.dumps(line, sort_keys=True))


def _merged(lines: Sequence[Json]) -> list[Json]:
    """Quantities and amounts summed over everything else but the interval."""
    sums: dict[str, tuple[Json, Decimal, Decimal]] = {}
    with exact():
        for line in lines:
            rest = {k: v for k, v in line.items() if k not in ("starting_at", "ending_before", "quantity", "amount")}
            key = json.dumps([rest, "quantity" in line], sort_keys=True)
            _, quantity, amount = sums.get(key, (rest, ZERO, ZERO))
            sums[key] = (rest, quantity + Decimal(line.get("quantity", "0")), amount + Decimal(line["amount"]))
    merged = [
        {**rest, "quantity": canonical(quantity), "amount": canonical(amount)}
        for rest, quantity, amount in sums.values()
        if quantity or amount
    ]
    return _sorted(merged)


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 300 else text[:300] + "…"
