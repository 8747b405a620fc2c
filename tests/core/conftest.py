"""Settings of the property tests: no deadline for one example, because a shared machine may pause at any time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("metrograph", deadline=None)
settings.load_profile("metrograph")
