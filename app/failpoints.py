"""Named points at which a sandbox process can be told to die, so that tests prove what survives a kill -9.

Owns the check only. Outside a sandbox the setting is refused at start, and `reached` does nothing.
"""

from __future__ import annotations

import os
import signal

_armed: str | None = None


def arm(name: str | None) -> None:
    """Name the point at which this process will kill itself; None for none. Called once at start."""
    global _armed
    _armed = name


def reached(name: str) -> None:
    """Die here, without any clean-up, when this point was named."""
    if _armed == name:
        os.kill(os.getpid(), signal.SIGKILL)
