"""Where two canonical contents of an invoice differ: which line, which part of it, and both values.

Owns the pairing of lines, so that one line too many or too few is told as one, and not as a change of all after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

MEASURES = frozenset({"quantity", "unit_price", "amount"})
"""What a line says; the rest of it tells which line it is."""

Form = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One part that is not what it should be. `line` counts from 1, in the order of the side that has the line; None is
    the invoice itself. A line that one side lacks is the part `line`, with None on that side.
    """

    part: str
    stored: object
    computed: object
    line: int | None = None


def differences(stored: bytes, computed: bytes) -> Iterator[Difference]:
    """What differs between two contents, the invoice's own parts first, then its lines in order."""
    if stored == computed:
        return
    ours, theirs = json.loads(stored), json.loads(computed)
    lines, others = ours.pop("lines"), theirs.pop("lines")
    yield from _parts(ours, theirs, line=None)
    yield from _of_lines(lines, others)


def _of_lines(stored: Sequence[Form], computed: Sequence[Form]) -> Iterator[Difference]:
    matcher = SequenceMatcher(None, [_identity(one) for one in stored], [_identity(one) for one in computed], False)
    for _, first, last, other_first, other_last in matcher.get_opcodes():
        ours, theirs = stored[first:last], computed[other_first:other_last]
        paired = min(len(ours), len(theirs))
        for place in range(paired):
            yield from _parts(ours[place], theirs[place], line=first + place + 1)
        for place, line in enumerate(ours[paired:], first + paired + 1):
            yield Difference("line", dict(line), None, place)
        for place, line in enumerate(theirs[paired:], other_first + paired + 1):
            yield Difference("line", None, dict(line), place)


def _identity(line: Form) -> str:
    return json.dumps({name: value for name, value in line.items() if name not in MEASURES}, sort_keys=True)


def _parts(stored: Form, computed: Form, *, line: int | None) -> Iterator[Difference]:
    for name in sorted({*stored, *computed}):
        if stored.get(name) != computed.get(name):
            yield Difference(name, stored.get(name), computed.get(name), line)
