"""How long to wait before trying again.

Owns the arithmetic of waiting; what is tried, and whether again, is left to jobs and delivery. The jitter comes from a
text instead of a random source, so a test and a log can both say when the next attempt is due.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

_MICROSECOND = timedelta(microseconds=1)
_LONGEST_SHIFT = 64


def wait_before(attempt: int, *, seed: str, first: timedelta, cap: timedelta) -> timedelta:
    """How long to wait before attempt number `attempt`; the first attempt (1) does not wait.

    The second waits up to `first`, each further one up to twice as long, never longer than `cap`. The wait lies
    between half and all of that; `seed` (such as an id) decides where, so that many failures do not return at once.
    """
    assert attempt >= 1, "attempts count from 1"
    assert timedelta(0) < first <= cap, "the first wait is positive and not above the cap"
    if attempt == 1:
        return timedelta(0)
    longest = min(cap // _MICROSECOND, (first // _MICROSECOND) << min(attempt - 2, _LONGEST_SHIFT))
    draw = int.from_bytes(hashlib.sha256(f"{seed}:{attempt}".encode()).digest()[:8], "big")
    half = longest // 2
    return timedelta(microseconds=longest - half + (half * draw >> 64))
