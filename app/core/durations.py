"""Durations as people write them in ISO 8601, with a sign: `P3DT12H`, `-P7D`, `P1M`.

Owns the form. Adding one to an instant is calendar arithmetic of the database, which reads the same form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(
    r"(-?)(P(?=[0-9T])(?:[0-9]{1,2}Y)?(?:[0-9]{1,3}M)?(?:[0-9]{1,3}W)?(?:[0-9]{1,4}D)?(?:T[0-9]{1,5}H)?)"
)
LIKE = "years, months, weeks, days and hours such as P3DT12H or -P7D"


@dataclass(frozen=True, slots=True)
class Duration:
    """A length without sign, as ISO 8601 writes it, and whether it leads back."""

    length: str
    is_back: bool


def duration_of(text: str) -> Duration | None:
    """The duration in a text; None for another form, for nothing at all, and for a duration of zero."""
    found = _FORM.fullmatch(text)
    if found is None or not re.search("[1-9]", text):
        return None
    return Duration(found[2], found[1] == "-")
