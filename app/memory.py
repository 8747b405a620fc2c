"""How a process of ours looks for memory that nobody uses any more."""

from __future__ import annotations

import gc

YOUNG, MIDDLE, OLD = 20_000, 20, 50
"""Objects after which the youngest are looked through, and how often before older ones are.

A billing run holds some hundred thousand objects for as long as a transaction, nearly none in cycles; as the interpreter
comes, looking for cycles among them is a tenth of its time.
"""


def settle_memory() -> None:
    """Leave alone for good what was made until now, and look through the rest less often. Called when all is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
