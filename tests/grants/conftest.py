"""The seller of the delivery tests, for tests of balances alone: nothing here calls a provider."""

from __future__ import annotations

from tests.delivery.conftest import quiet_logs, sandbox, sandbox_process, world

__all__ = ["quiet_logs", "sandbox", "sandbox_process", "world"]
