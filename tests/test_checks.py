"""Checks on what callers send that no GraphQL document gets as far as, because its own door refuses it first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app import checks
from app.errors import ErrorCode, InvalidInput
from app.providers import NoProviders, ProviderDirectory


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "b\udfff"])
def test_texts_that_the_database_cannot_keep(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checks.text_of(text, path=("input", "name"), longest=10)
    assert (refused.value.code, refused.value.path) == (ErrorCode.INVALID, ("input", "name"))


def test_hours_are_told_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert checks.hour_of(datetime(2026, 11, 1, 1, tzinfo=berlin), path=()) == datetime(2026, 11, 1, tzinfo=UTC)
    kolkata = timezone(timedelta(hours=5, minutes=30))
    with pytest.raises(InvalidInput) as refused:
        checks.hour_of(datetime(2026, 11, 1, tzinfo=kolkata), path=("input", "startingAt"))
    assert refused.value.code is ErrorCode.NOT_HOUR_ALIGNED


def test_without_accounts_nothing_can_be_routed_and_no_currency_is_wrong() -> None:
    directory: ProviderDirectory = NoProviders()
    with pytest.raises(InvalidInput) as refused:
        directory.resolve("stripe", None, {})
    assert refused.value.code is ErrorCode.PROVIDER_NOT_CONFIGURED
    assert directory.takes_currency("stripe", "EUR")
