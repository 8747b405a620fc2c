"""Settings: every wrong one is named, all at once, before anything starts; secrets are never shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import settings
from app.settings import KNOWN, BadSettings, Settings

SECRET = "correct-horse-battery-staple-0123456789"
SANDBOX = {"METROGRAPH_ENVIRONMENT": "sandbox"}
ROOT = Path(__file__).resolve().parents[1]


def load(folder: Path, **given: str) -> Settings:
    return settings.load({"METROGRAPH_DATA_DIR": str(folder), **given})


def problems(folder: Path, **given: str) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        load(folder, **given)
    assert all(line in str(refused.value) for line in refused.value.problems)
    return refused.value.problems


WRONG = {
    "METROGRAPH_ENVIRONMENT": ("staging", "production or sandbox"),
    "DATABASE_URL": ("mysql://user:hunter2hunter2@host/books", "postgresql://"),
    "METROGRAPH_EVENT_STORE": ("clickhouse://host", "postgres"),
    "METROGRAPH_SECRET_KEY": ("short-secret", "32 characters"),
    "METROGRAPH_BOOTSTRAP_KEY": ("short-bootstrap", "24 characters"),
    "METROGRAPH_CONNECTIONS": ("/nowhere/connections.toml", "no such file"),
    "METROGRAPH_LOG_LEVEL": ("loud", "warning"),
    "METROGRAPH_SELLER_NAME": ("x" * 201, "1 to 200 characters"),
    "METROGRAPH_SELLER_DETAILS": ("|".join("x" * 11), "at most 10 lines"),
    "METROGRAPH_TRUSTED_PROXIES": ("-1", "whole number"),
    "METROGRAPH_ALLOW_PRIVATE_WEBHOOKS": ("yes", "1 or 0"),
    "METROGRAPH_STRIPE_API_BASE": ("api.stripe.com", "https://"),
    "AWS_ENDPOINT_URL_MARKETPLACE_METERING": ("localhost:9000", "http://"),
    "METROGRAPH_AZURE_MARKETPLACE_API_BASE": ("ftp://host/api", "https://"),
    "METROGRAPH_AZURE_AUTHORITY": ("http://login.example.com", "https://"),
    "METROGRAPH_ENTRA_OPENID_BASE": ("login", "https://"),
    "METROGRAPH_CLOCK": ("yesterday", "2026-11-01T00:00:00Z"),
    "METROGRAPH_SECRTE_KEY": (SECRET, "no such setting"),
}


@pytest.mark.parametrize("variable", sorted(WRONG))
def test_a_wrong_setting_is_named_with_what_would_be_accepted(tmp_path: Path, variable: str) -> None:
    value, accepted = WRONG[variable]
    [line] = problems(tmp_path, **{**SANDBOX, variable: value})
    assert line.startswith(f"{variable}=")
    assert accepted in line


def test_all_are_named_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, **{name: value for name, (value, _) in WRONG.items()})
    for variable in WRONG:
        assert sum(line.startswith(f"{variable}=") for line in found) >= 1, variable


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("METROGRAPH_CLOCK", "2026-11-01T00:00:00Z"),
        ("METROGRAPH_AZURE_STATIC_TOKEN", "token"),
        ("METROGRAPH_ALLOW_PRIVATE_WEBHOOKS", "1"),
        ("METROGRAPH_FAILPOINT", "delivery.called"),
    ],
)
def test_what_only_a_sandbox_may_have(tmp_path: Path, variable: str, value: str) -> None:
    [line] = problems(tmp_path, **{variable: value})
    assert line.startswith(f"{variable}=")
    assert "METROGRAPH_ENVIRONMENT=sandbox" in line
    load(tmp_path, **SANDBOX, **{variable: value})


@pytest.mark.parametrize("source", ["2026-11-01", "2026-11-01T00:00:00", "01.11.2026", "/nowhere/clock"])
def test_a_clock_is_an_instant_with_a_zone(tmp_path: Path, source: str) -> None:
    [line] = problems(tmp_path, **SANDBOX, METROGRAPH_CLOCK=source)
    assert line.startswith("METROGRAPH_CLOCK=")


def test_secrets_are_neither_shown_nor_told(tmp_path: Path) -> None:
    secrets = {
        "DATABASE_URL": f"postgresql://user:{SECRET}-a@host/books",
        "METROGRAPH_SECRET_KEY": f"{SECRET}-b",
        "METROGRAPH_BOOTSTRAP_KEY": f"{SECRET}-c",
        "METROGRAPH_AZURE_STATIC_TOKEN": f"{SECRET}-d",
    }
    assert SECRET not in repr(load(tmp_path, **SANDBOX, **secrets))
    wrong = {
        "DATABASE_URL": f"host=h password={SECRET}",
        "METROGRAPH_SECRET_KEY": SECRET[:20],
        "METROGRAPH_BOOTSTRAP_KEY": SECRET[:20],
        "METROGRAPH_AZURE_STATIC_TOKEN": SECRET,
    }
    found = problems(tmp_path, **wrong)
    assert len(found) == 4
    assert SECRET[:20] not in "\n".join(found)


def test_serving_in_production_needs_a_secret_key(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="METROGRAPH_SECRET_KEY"):
        settings.require_secret(load(tmp_path))
    settings.require_secret(load(tmp_path, METROGRAPH_SECRET_KEY=SECRET))
    settings.require_secret(load(tmp_path, **SANDBOX))


def test_defaults(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert (found.environment, found.event_store, found.log_level) == ("production", "postgres", "info")
    assert (found.trusted_proxies, found.allow_private_webhooks, found.demo) == (0, False, False)
    assert found.clock().is_real
    at_home = settings.load({"HOME": "/home/ada"})
    assert at_home.data_dir == Path("/home/ada/.local/share/metrograph")
    assert settings.load({"XDG_DATA_HOME": "/data"}).data_dir == Path("/data/metrograph")


def test_an_empty_variable_counts_as_absent(tmp_path: Path) -> None:
    assert load(tmp_path, METROGRAPH_LOG_LEVEL="", DATABASE_URL="").database_url is None


def test_a_demo_is_found_beside_its_database(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2026-11-02T12:00:00Z\n")
    (tmp_path / settings.DEMO_FILE).write_text(
        f'METROGRAPH_ENVIRONMENT = "sandbox"\nMETROGRAPH_CLOCK = "{clock}"\nMETROGRAPH_BOOTSTRAP_KEY = "{SECRET}"\n'
    )
    found = load(tmp_path)
    assert found.demo
    assert found.is_sandbox
    assert found.bootstrap_key == SECRET
    assert found.clock().now() == datetime(2026, 11, 2, 12, tzinfo=UTC)
    clock.write_text("2026-11-02T13:00:00Z")
    assert found.clock().now().hour == 13, "a clock file is read at every use"


def test_the_environment_goes_before_a_demo_and_another_database_knows_none(tmp_path: Path) -> None:
    (tmp_path / settings.DEMO_FILE).write_text('METROGRAPH_ENVIRONMENT = "sandbox"\nMETROGRAPH_LOG_LEVEL = "error"\n')
    assert load(tmp_path, METROGRAPH_LOG_LEVEL="debug").log_level == "debug"
    elsewhere = load(tmp_path, DATABASE_URL="postgresql://host/books")
    assert not elsewhere.demo
    assert elsewhere.environment == "production"


@pytest.mark.parametrize("content", ["not toml at all", 'METROGRAPH_CLOKC = "x"', 'METROGRAPH_LOG_LEVEL = "loud"'])
def test_a_demos_file_is_checked_as_well(tmp_path: Path, content: str) -> None:
    (tmp_path / settings.DEMO_FILE).write_text(content)
    assert problems(tmp_path)


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in sorted(KNOWN) if name not in page] == []
