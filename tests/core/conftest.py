"""Settings of the property tests: no deadline for one example, because a shared machine may pause at any time.

`HYPOTHESIS_PROFILE=mutation` looks for a counterexample only and does not make it small: a planted fault needs no more.
"""

from __future__ import annotations

import os

from hypothesis import Phase, settings

settings.register_profile("metrograph", deadline=None)
settings.register_profile(
    "mutation", deadline=None, database=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "metrograph"))
