"""A connector of another package: installed as anyone would, it is found, configured and delivered through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.delivery.registry import connect
from connectors.base import OutcomeStatus
from tests.connectors.world import NOW, invoice

PACKAGE = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "metrograph-acme"
version = "1.0"
[project.entry-points."metrograph.connectors"]
acme = "metrograph_acme:AcmeConnector"
[tool.hatch.build.targets.wheel]
packages = ["metrograph_acme"]
""",
    "metrograph_acme/__init__.py": '''
"""Acme's billing, which takes every invoice."""
from connectors.base import Outcome, OutcomeStatus
from connectors.manual import ManualConnector


class AcmeConnector(ManualConnector):
    name = "acme"

    async def deliver(self, document, key):
        return [Outcome(reference=document.reference, status=OutcomeStatus.ACCEPTED,
                        acknowledged=document.total, provider_reference=f"acme-{key}")]
''',
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package built, and installed into a folder that is searched."""
    for name, text in PACKAGE.items():
        file = tmp_path / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(tmp_path / "site")]
    subprocess.run([*command, str(tmp_path / "source")], check=True, timeout=120)
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.mark.usefixtures("installed")
async def test_a_connector_comes_from_another_package() -> None:
    connections = connect({"theirs": {"provider": "acme"}}, environ={}, now=lambda: NOW)
    assert connections.resolve("acme", None, {"note": "by mail"}) == "theirs"
    found = connections.find("theirs")
    assert found is not None
    [outcome] = await found.connector.deliver(invoice(), "inv_october")
    assert (outcome.status, outcome.provider_reference) == (OutcomeStatus.ACCEPTED, "acme-inv_october")
